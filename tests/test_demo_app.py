"""The demo's app.py, served as a Space serves it: its own process, asked over HTTP."""

import http.client
import json
import re
import runpy
import shutil
import subprocess
import sys
import time
import urllib.request
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import numpy as np
import page as its_page
import pytest
from browsing import DESKTOP, PHONE, SMALL_PHONE, lay_out
from demo_model_fixture import BLUE, DARK, DEMO, GREEN, RED, YELLOW
from drawn_images import GOLDEN
from gradio_client import Client, handle_file
from model import ModelMetadata
from odd_pictures import HEIC
from PIL import Image

from going_modular.app_process import run_demo

pytestmark = pytest.mark.slow

TEXT = b"my shopping list: milk, eggs"


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    folder = lay_out(tmp_path_factory.mktemp("space") / "demo")
    with run_demo(folder) as demo:
        yield demo.url
        log = demo.log_path.read_text()
    assert str(folder) not in log, "no error passed through our files"


@pytest.fixture(scope="module")
def client(url):
    with_client = Client(url, verbose=False)
    yield with_client
    with_client.close()


def picture(folder: Path, colour: tuple[int, int, int]) -> Path:
    path = folder / "plate.png"
    Image.new("RGB", (80, 60), colour).save(path)
    return path


@pytest.mark.parametrize(
    ("colour", "name"), [(RED, "pizza"), (DARK, "steak"), (GREEN, "sushi")]
)
def test_answers_over_http(client, tmp_path, colour, name):
    file = handle_file(picture(tmp_path, colour))
    scores, note = client.predict(file, api_name="/predict")
    assert scores["label"] == name == scores["confidences"][0]["label"]
    assert sum(c["confidence"] for c in scores["confidences"]) == pytest.approx(1)
    assert note.startswith(f"This looks like {name}.\n")
    assert re.search(r"Answered in \d+ ms\.$", note)


@pytest.mark.parametrize(
    ("colour", "verdict"),
    [
        (BLUE, "This does not look like a plate of food."),
        (YELLOW, "I think this is another dish."),
    ],
)
def test_a_stranger_gets_no_dish_for_an_answer(client, tmp_path, colour, verdict):
    file = handle_file(picture(tmp_path, colour))
    scores, note = client.predict(file, api_name="/predict")
    first, second, third = note.split("\n")
    assert first == verdict
    assert second.startswith(f"Closest of the dishes I know: {scores['label']} (")
    assert "(0.50 needed)" in third and "(0.25 needed)" in third


@pytest.mark.parametrize("content", [b"", TEXT, b"\x89PNG\r\n\x1a\n", b"%PDF-1.7"])
@pytest.mark.parametrize("name", ["notes.jpg", "notes.svg", "notes"])
def test_what_is_no_picture_gets_a_sentence(client, tmp_path, content, name):
    path = tmp_path / name
    path.write_bytes(content)
    scores, note = client.predict(handle_file(path), api_name="/predict")
    assert scores == {}
    assert note.startswith("This picture did not work.\n") and "Please send" in note
    assert "/" not in note and "Error" not in note


def test_there_is_one_named_endpoint(client, url):
    api = client.view_api(return_format="dict", print_info=False)
    assert list(api["named_endpoints"]) == ["/predict"]
    assert api["unnamed_endpoints"] == {}
    with urllib.request.urlopen(url + "config") as reply:
        config = json.load(reply)
    public = [d for d in config["dependencies"] if d["api_visibility"] == "public"]
    assert [d["api_name"] for d in public] == ["predict"]


def post(url: str, path: str, body: bytes, kind: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    connection.request("POST", path, body, {"Content-Type": kind})
    reply = connection.getresponse()
    text = reply.read().decode(errors="replace")
    connection.close()
    return reply.status, text


@pytest.mark.parametrize(
    "payload",
    [
        {"path": "/etc/hostname"},
        {"path": "/dev/zero"},
        {"path": "app.py"},
        {"path": str(DEMO / "app.py"), "meta": {"_type": "gradio.FileData"}},
    ],
)
def test_only_uploaded_files_are_opened(url, payload):
    body = json.dumps({"data": [payload]}).encode()
    call = "/gradio_api/call/predict"
    status, text = post(url, call, body, "application/json")
    assert status == 200
    event = json.loads(text)["event_id"]
    with urllib.request.urlopen(
        f"{url.rstrip('/')}{call}/{event}", timeout=30
    ) as reply:
        answer = reply.read().decode()
    assert "event: error" in answer
    assert "Traceback" not in answer and str(DEMO) not in answer


def test_uploads_are_bounded(url):
    head = (
        b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.jpg"\r\n\r\n'
    )
    body = head + bytes(16_000_000) + b"\r\n--x--\r\n"
    kind = "multipart/form-data; boundary=x"
    status, text = post(url, "/gradio_api/upload", body, kind)
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
    demo.delete_cache = (1, 4)  # seconds, to see in a moment what takes minutes
    _, url, _ = demo.launch(
        server_name="127.0.0.1", prevent_thread_lock=True, quiet=True, ssr_mode=False
    )
    try:
        client = Client(url, verbose=False, download_files=False)
        client.predict(handle_file(picture(tmp_path, RED)), api_name="/predict")
        client.close()
        end = time.monotonic() + 30
        while list(uploads.rglob("plate.png")) and time.monotonic() < end:
            time.sleep(0.3)
        left = [path.name for path in uploads.rglob("*") if path.is_file()]
    finally:
        demo.close()
    assert sorted(left) == ["1.jpg", "2.jpg", "3.jpg"], "examples stay, uploads go"


def test_a_practice_model_says_so(tmp_path):
    about = {"is_practice": "true", "trained_on": "450 drawn practice pictures"}
    words = texts(build(lay_out(tmp_path / "demo", **about)))
    assert its_page.PRACTICE in words and "drawn practice pictures" in words


def test_examples_are_optional_and_sorted(tmp_path):
    def shown(demo):
        sets = [b for b in demo.blocks.values() if b.get_block_name() == "dataset"]
        return [Path(row[0]["path"]).name for block in sets for row in block.samples]

    folder = lay_out(tmp_path / "demo")
    shutil.rmtree(folder / "examples")
    assert shown(build(folder)) == []
    (folder / "examples").mkdir()
    for name in ("sushi.png", "pizza.jpg", "steak.jpg"):
        Image.new("RGB", (8, 8)).save(folder / "examples" / name)
    assert shown(build(folder)) == ["pizza.jpg", "steak.jpg", "sushi.png"]


def test_underscores_in_class_names_are_shown_as_spaces(tmp_path):
    names = json.dumps(["BBQ_ribs", "beef_tartare", "miso_soup"])
    folder = lay_out(tmp_path / "demo", class_names=names)
    predict = runpy.run_path(str(folder / "app.py"))["predict"]
    bars, note = predict(str(picture(tmp_path, GREEN)))
    assert list(bars)[0] == "miso soup" and not any("_" in name for name in bars)
    assert note.startswith("This looks like miso soup.\n")
    heading = "BBQ ribs, beef tartare or miso soup? Show me a plate."
    assert heading in texts(build(folder))


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
    command = [sys.executable, str(folder / "app.py")]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert run.returncode != 0 and "run the lesson to make it" in run.stderr


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


@pytest.mark.parametrize("size", [DESKTOP, PHONE, SMALL_PHONE])
def test_in_a_browser(browser, url, tmp_path, size):
    notes = tmp_path / "notes.jpg"
    notes.write_bytes(TEXT)
    photo = tmp_path / "photo.jpg"
    noise = np.random.default_rng(0).integers(-20, 20, (300, 400, 3)) + RED
    Image.fromarray(noise.clip(0, 255).astype(np.uint8)).save(photo)
    page = browser.new_page(viewport={"width": size[0], "height": size[1]})
    hosts, crashes = set(), []
    page.on("request", lambda request: hosts.add(urlsplit(request.url).hostname))
    page.on("pageerror", lambda error: crashes.append(str(error)))
    page.goto(url)
    upload = page.locator("#picture input[type=file]").first
    status = page.get_by_role("status").filter(has_text="What is on your plate?")
    status.wait_for()

    upload.set_input_files(photo)
    answer = page.get_by_text("This looks like pizza.")
    answer.wait_for(timeout=20_000)
    assert page.locator("#scores meter").count() == 3
    box = answer.bounding_box()
    assert box["y"] + box["height"] < size[1], "the answer shows without scrolling"

    page.get_by_label("Example picture 3").focus()
    page.keyboard.press("Enter")
    page.get_by_text("This looks like sushi.").wait_for(timeout=20_000)

    page.get_by_label("Remove Image").click()  # after an example: a picture of its own
    page.get_by_text("What is on your plate?").wait_for()
    upload = page.locator("#picture input[type=file]").first
    upload.set_input_files(notes)
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
        upload = page.locator("#picture input[type=file]").first
        upload.set_input_files(tmp_path / "IMG_1.HEIC")
    else:
        page.evaluate(DROP, ["#picture button", list(HEIC)])
    page.get_by_text("Answered in").wait_for(timeout=20_000)
    assert page.locator("#scores meter").count() == 3
    assert page.get_by_alt_text("Your browser cannot show this file.").count() == 1
    page.close()
