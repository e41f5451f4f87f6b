"""The demo's app.py, served as a Space serves it: its own process, asked over HTTP."""

import json
import re
import runpy
import shutil
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import numpy as np
import page as its_page
import pytest
from browsing import (
    DESKTOP,
    SMALL_PHONE,
    ask,
    lay_out,
    photo_of,
    send,
    upload,
    upload_in,
)
from demo_model_fixture import BLUE, DARK, DEMO, GREEN, RED, YELLOW
from drawn_images import GOLDEN
from model import ModelMetadata
from odd_pictures import HEIC
from PIL import Image

from going_modular.app_process import run_demo

pytestmark = pytest.mark.slow

TEXT = b"my shopping list: milk, eggs"
NO_FOOD = "This does not look like a plate of food.\n"
ANOTHER = "I think this is another dish.\n"


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    folder = lay_out(tmp_path_factory.mktemp("space") / "demo")
    with run_demo(folder) as demo:
        yield demo.url
        log = demo.log_path.read_text()
    assert str(folder) not in log, "no error passed through our files"


@pytest.mark.parametrize(
    ("colour", "first", "third"),
    [
        (RED, "This looks like pizza.\n", "Answered in"),
        (DARK, "This looks like steak.\n", "Answered in"),
        (GREEN, "This looks like sushi.\n", "Answered in"),
        (BLUE, NO_FOOD + "Closest of the dishes I know: ", "(0.50 needed)"),
        (YELLOW, ANOTHER + "Closest of the dishes I know: ", "(0.25 needed)"),
    ],
)
def test_answers_over_http(url, tmp_path, colour, first, third):
    photo = photo_of(colour, tmp_path / "plate.png")
    scores, note = ask(url, photo.read_bytes(), "plate.png")
    assert scores["label"] == scores["confidences"][0]["label"]
    assert sum(c["confidence"] for c in scores["confidences"]) == pytest.approx(1)
    assert note.startswith(first) and scores["label"] in note and third in note
    assert re.search(r"Answered in \d+ ms\.$", note)


@pytest.mark.parametrize("content", [b"", TEXT, b"\x89PNG\r\n\x1a\n", b"%PDF-1.7"])
def test_what_is_no_picture_gets_a_sentence(url, content):
    for name in ("notes.jpg", "notes.svg", "notes"):
        scores, note = ask(url, content, name)
        assert scores == {}
        assert note.startswith("This picture did not work.\n") and "Please send" in note
        assert "/" not in note and "Error" not in note


def test_there_is_one_named_endpoint_and_uploads_are_bounded(url):
    config = json.loads(send(url, "GET", "/config")[1])
    public = [d for d in config["dependencies"] if d["api_visibility"] == "public"]
    assert [d["api_name"] for d in public] == ["predict"]
    status, text = upload(url, bytes(16_000_000))
    assert status == 413 and "maximum allowed size" in text


def build(folder: Path):
    """Run the app up to its launch; returns the page that it built."""
    return runpy.run_path(str(folder / "app.py"))["demo"]


def texts(demo) -> str:
    """Collect all words that the page starts with."""
    blocks = demo.blocks.values()
    return "\n".join(str(getattr(block, "value", "")) for block in blocks)


def test_the_page_says_what_it_was_trained_on_and_keeps_nothing(tmp_path):
    demo = build(lay_out(tmp_path / "demo"))
    words = texts(demo)
    assert "# FoodVision Mini\nPizza, steak or sushi? Show me a plate." in words
    assert "450 real photos" in words and "**147 of 150** test pictures" in words
    assert "deleted within two minutes" in words
    assert its_page.PRACTICE not in words
    assert demo.delete_cache == (30, 60)
    assert demo.analytics_enabled is False
    assert demo._queue.max_size == 64


def test_what_a_visitor_sent_is_deleted(tmp_path, monkeypatch):
    uploads = tmp_path / "uploads"
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(uploads))
    demo = build(lay_out(tmp_path / "demo"))
    demo.delete_cache = (1, 8)  # seconds, to see in a moment what takes minutes
    _, url, _ = demo.launch(
        server_name="127.0.0.1", prevent_thread_lock=True, quiet=True, ssr_mode=False
    )
    try:
        ask(url, photo_of(RED, tmp_path / "plate.png").read_bytes())
        end = time.monotonic() + 60
        while list(uploads.rglob("plate.jpg")) and time.monotonic() < end:
            time.sleep(0.3)
        left = [path.name for path in uploads.rglob("*") if path.is_file()]
    finally:
        demo.close()
    assert sorted(left) == ["1.jpg", "2.jpg", "3.jpg"], "examples stay, uploads go"


def test_a_practice_model_with_its_names_and_examples(tmp_path):
    """Examples are optional and sorted; underscores in names are shown as spaces."""

    def shown(demo):
        sets = [b for b in demo.blocks.values() if b.get_block_name() == "dataset"]
        return [Path(row[0]["path"]).name for block in sets for row in block.samples]

    about = {"is_practice": "true", "trained_on": "450 drawn practice pictures"}
    about["class_names"] = json.dumps(["BBQ_ribs", "beef_tartare", "miso_soup"])
    folder = lay_out(tmp_path / "demo", **about)
    shutil.rmtree(folder / "examples")
    assert shown(build(folder)) == []
    (folder / "examples").mkdir()
    for name in ("sushi.png", "pizza.jpg", "steak.jpg"):
        photo_of(GREEN, folder / "examples" / name)
    demo = build(folder)
    assert shown(demo) == ["pizza.jpg", "steak.jpg", "sushi.png"]
    words = texts(demo)
    assert its_page.PRACTICE in words and "drawn practice pictures" in words
    assert "BBQ ribs, beef tartare or miso soup? Show me a plate." in words
    predict = runpy.run_path(str(folder / "app.py"))["predict"]
    bars, note = predict(str(folder / "examples" / "sushi.png"))
    assert list(bars)[0] == "miso soup" and not any("_" in name for name in bars)
    assert note.startswith("This looks like miso soup.\n")


def test_scores_become_the_golden_words():
    for case in json.loads(GOLDEN.read_text("utf-8"))["words"]:
        about, asked = SimpleNamespace(**case["about"]), dict(case["asked"])
        about.judge = partial(ModelMetadata.judge, about)
        asked["seconds"] = asked.pop("milliseconds") / 1000
        answer = ModelMetadata.answer(about, **asked)
        assert answer.verdict == case["verdict"]
        assert its_page.describe(answer, about).split("\n") == case["says"]


def test_without_a_model_it_says_what_to_do(tmp_path):
    folder = lay_out(tmp_path / "demo")
    (folder / "foodvision_mini.onnx").unlink()
    with pytest.raises(FileNotFoundError, match="run the lesson to make it"):
        build(folder)


def test_readme_and_requirements_agree():
    readme = (DEMO / "README.md").read_text(encoding="utf-8")
    lines = readme.split("---")[1].strip().split("\n")
    front = dict(line.split(": ", 1) for line in lines)
    assert (DEMO / front["app_file"]).is_file() and front["sdk"] == "gradio"
    wanted = (DEMO / "requirements.txt").read_text().split()
    needs = {re.match(r"[a-z-]+", line)[0]: line for line in wanted}
    assert set(needs) == {"gradio", "onnxruntime", "numpy", "pillow", "pi-heif"}
    low, high = re.match(r"gradio>=([\d.]+),<(\d+)", needs["gradio"]).groups()
    version = [int(part) for part in front["sdk_version"].split(".")]
    assert [int(part) for part in low.split(".")] <= version < [int(high)]
    assert "*.onnx filter=lfs" in (DEMO / ".gitattributes").read_text()


@pytest.mark.parametrize("size", [DESKTOP, SMALL_PHONE])
def test_in_a_browser(browser, url, tmp_path, size):
    notes, photo = tmp_path / "notes.jpg", tmp_path / "photo.jpg"
    notes.write_bytes(TEXT)
    noise = np.random.default_rng(0).integers(-20, 20, (300, 400, 3)) + RED
    Image.fromarray(noise.clip(0, 255).astype(np.uint8)).save(photo)
    page = browser.new_page(viewport={"width": size[0], "height": size[1]})
    hosts, crashes = set(), []
    page.on("request", lambda request: hosts.add(urlsplit(request.url).hostname))
    page.on("pageerror", lambda error: crashes.append(str(error)))
    page.goto(url)
    invitation = page.get_by_role("status").filter(has_text="What is on your plate?")
    invitation.wait_for()

    upload_in(page, photo)
    answer = page.get_by_text("This looks like pizza.")
    answer.wait_for(timeout=20_000)
    assert page.locator("#scores meter").count() == 3
    box = answer.bounding_box()
    assert box["y"] + box["height"] < size[1], "the answer shows without scrolling"

    page.get_by_label("Example picture 3").focus()
    page.keyboard.press("Enter")
    page.get_by_text("This looks like sushi.").wait_for(timeout=20_000)

    page.get_by_label("Remove Image").click()  # after an example: a picture of its own
    invitation.wait_for()
    upload_in(page, notes)
    page.get_by_text("This picture did not work.").wait_for(timeout=20_000)
    assert page.get_by_text("Please send a JPEG, PNG or WebP photo").is_visible()
    assert not page.locator("#scores").is_visible()

    wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert wide <= 0, "nothing reaches beyond the screen"
    page.close()
    assert hosts <= {"127.0.0.1", None}, "no request leaves this machine"
    assert crashes == []


DROP = """([target, bytes]) => {
  const data = new DataTransfer();
  data.items.add(new File([new Uint8Array(bytes)], "IMG_2.heic"));
  const options = { bubbles: true, cancelable: true, dataTransfer: data };
  document.querySelector(target).dispatchEvent(new DragEvent("drop", options));
}"""


@pytest.mark.parametrize("way", ["chosen", "dropped"])
def test_a_phones_heic_photo_is_answered_where_its_kind_is_unknown(
    browser, url, tmp_path, way
):
    (tmp_path / "IMG_1.HEIC").write_bytes(HEIC)
    page = browser.new_page()
    page.goto(url)
    page.get_by_text("What is on your plate?").wait_for()
    page.get_by_label("Example picture 1").wait_for()  # the page's own script has run
    if way == "chosen":
        upload_in(page, tmp_path / "IMG_1.HEIC")
    else:
        page.evaluate(DROP, ["#picture button", list(HEIC)])
    page.get_by_text("Answered in").wait_for(timeout=20_000)
    assert page.locator("#scores meter").count() == 3
    assert page.get_by_alt_text("Your browser cannot show this file.").count() == 1
    page.close()
