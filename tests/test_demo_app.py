"""The demo as a Space serves it: what visitors get, and what strangers do not."""

import json
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, cycle, islice
from pathlib import Path
from urllib.parse import quote

import browsing
import psutil
import pytest
from browsing import API, ask, open_page, photo_of, send, upload_in
from demo_model_fixture import BLUE, DARK, GREEN, RED, YELLOW
from odd_pictures import HEIC

from going_modular.app_process import run_demo

pytestmark = pytest.mark.slow

CASES = json.loads(Path(__file__).with_name("demo_cases.json").read_text("utf-8"))
TEXT = b"my shopping list: milk, eggs"
SECRET = "the host's own file, nobody's business"
NAUGHTY = '<img src=x onerror="document.title=1">'
CLIENTS, REQUESTS, LONG_RUN = 50, 200, 2000
CROWD = "requests, 50 clients at once, every second one no picture"
ROW = "requests one after the other, memory flat"
FETCHED = "files asked for that are not the app's own, each spelt in 3 ways"
MEGABYTES = 25  # that memory may grow by in the long run; Python keeps some to itself
# As in a shell, where nothing was put right for Gradio; it notes what it would fetch.
START = """
import os, runpy
os.environ.pop("GRADIO_TEMP_DIR")
import page
from gradio import processing_utils

async def fetch(address, *_, **__):
    open("fetched.txt", "a").write(f"{address}\\n")
    raise OSError

processing_utils.async_ssrf_protected_download = fetch
runpy.run_path("app.py", run_name="__main__")
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A machine: the demo, a secret beside it, and links that lead there."""
    home = tmp_path_factory.mktemp("home")
    folder = browsing.lay_out(home / "demo")
    (folder / "start.py").write_text(START)
    (folder / "examples" / "4.HEIC").write_bytes(HEIC)
    (home / "secret.txt").write_text(SECRET)
    (folder / "link.png").symlink_to(home / "secret.txt")
    (folder / ".env").write_text(SECRET)
    (home / "tmp").mkdir()
    (home / "tmp" / "gradio").touch()  # a neighbour's: it cannot be written to
    return home


@pytest.fixture(scope="module")
def running(home):
    """The one app for all tests that do not need another; proxies lead nowhere."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name in ("HTTP_PROXY", "https_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.setenv("TMPDIR", str(home / "tmp"))
        with run_demo(home / "demo", app="start.py") as running:
            monkeypatch.undo()
            yield running


ANSWERS = {
    RED: r"This looks like pizza\.\n.*\n",
    DARK: r"This looks like steak\.\n.*\n",
    GREEN: r"This looks like sushi\.\n.*\n",
    BLUE: r"This does not look like a plate of food\.\n.*\n.*\(0\.50 needed\)",
    YELLOW: r"I think this is another dish\.\n.*\n.*\(0\.25 needed\)",
}


@pytest.mark.parametrize("colour", ANSWERS)
def test_answers_over_http(running, tmp_path, colour):
    photo = photo_of(colour, tmp_path / "plate.png")
    scores, note = ask(running.url, photo.read_bytes(), "plate.png")
    assert scores["label"] == scores["confidences"][0]["label"]
    assert sum(c["confidence"] for c in scores["confidences"]) == pytest.approx(1)
    assert re.fullmatch(rf"{ANSWERS[colour]}.*Answered in \d+ ms\.", note)
    assert scores["label"] in note


def enter(page, words: str) -> None:
    """Press Tab until what has the focus is labelled with these words; then Enter."""
    for _ in range(40):
        page.keyboard.press("Tab")
        if words in (page.evaluate("document.activeElement.ariaLabel") or ""):
            page.keyboard.press("Enter")
            return
    pytest.fail(f"Tab never reaches {words}")


def upload_by_keyboard(page, file: Path) -> None:
    with page.expect_file_chooser() as chooser:
        enter(page, "Drop an image file")
    chooser.value.set_files(file)


@pytest.mark.parametrize("size", [browsing.DESKTOP, (360, 740)])
def test_a_visitor_by_keyboard(browser, running, tmp_path, size):
    notes, photo = tmp_path / "notes.jpg", photo_of(RED, tmp_path / "photo.jpg")
    notes.write_bytes(TEXT)
    page = open_page(browser, running.url, size)
    upload_by_keyboard(page, photo)
    answer = page.get_by_text("This looks like pizza.")
    answer.wait_for(timeout=20_000)
    assert page.locator("#scores meter").count() == 3
    box = answer.bounding_box()
    assert box["y"] + box["height"] < size[1], "the answer shows without scrolling"
    enter(page, "Example picture 3")
    page.get_by_text("This looks like sushi.").wait_for(timeout=20_000)
    enter(page, "Remove Image")  # after an example: a picture of its own
    page.get_by_role("status").filter(has_text="What is on your plate?").wait_for()
    upload_by_keyboard(page, notes)
    page.get_by_text("This picture did not work.").wait_for(timeout=20_000)
    assert page.get_by_text("Please send a JPEG, PNG or WebP photo").is_visible()
    assert not page.locator("#scores").is_visible()
    wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert wide <= 0, "nothing reaches beyond the screen"
    page.close()
    assert page.hosts <= {"127.0.0.1", None}, "no request leaves this machine"
    assert page.crashes == []


DROP = """([target, bytes]) => {
  const data = new DataTransfer();
  data.items.add(new File([new Uint8Array(bytes)], "IMG_2.heic"));
  const options = { bubbles: true, cancelable: true, dataTransfer: data };
  document.querySelector(target).dispatchEvent(new DragEvent("drop", options));
}"""


@pytest.mark.parametrize("way", ["chosen", "dropped"])
def test_a_phones_heic_photo_where_its_kind_is_unknown(browser, running, tmp_path, way):
    (tmp_path / "IMG_1.HEIC").write_bytes(HEIC)
    page = open_page(browser, running.url)
    page.get_by_label("Example picture 1").wait_for()  # the page's own script has run
    if way == "chosen":
        upload_in(page, tmp_path / "IMG_1.HEIC")
    else:
        page.evaluate(DROP, ["#picture button", list(HEIC)])
    page.get_by_text("Answered in").wait_for(timeout=20_000)
    assert page.locator("#scores meter").count() == 3
    assert page.get_by_alt_text("Your browser cannot show this file.").count() == 1
    page.close()


@pytest.fixture(scope="module")
def questions(tmp_path_factory):
    """Without end: what is sent, its name, and the dish that is on it, or None."""
    folder, dishes = tmp_path_factory.mktemp("plates"), ("pizza", "steak", "sushi")
    good = [
        (photo_of(colour, folder / f"{dish}.jpg").read_bytes(), "1.jpg", dish)
        for dish, colour in zip(dishes, (RED, DARK, GREEN), strict=True)
    ]
    half = good[0][0][: len(good[0][0]) // 2]
    wrong = (TEXT, b"", half, b"%PDF-1.7", b"\x89PNG\r\n\x1a\n")
    bad = [(each, name, None) for name in ("1.jpg", "1.svg", "1") for each in wrong]
    return lambda: chain.from_iterable(zip(cycle(good), cycle(bad), strict=False))


def check(url: str, content: bytes, name: str, dish: str | None) -> None:
    scores, note = ask(url, content, name)
    assert scores.get("label") == dish
    if dish:
        assert note.startswith(f"This looks like {dish}.\n")
    else:
        assert note.startswith("This picture did not work.\n") and "Please send" in note
        assert scores == {} and "/" not in note and "Error" not in note


@pytest.mark.reliability(CROWD, REQUESTS)
def test_fifty_clients_at_once_half_of_them_wrong(running, questions):
    with ThreadPoolExecutor(CLIENTS) as pool:
        asked = islice(questions(), REQUESTS)
        answers = [pool.submit(check, running.url, *question) for question in asked]
        assert len([answer.result() for answer in answers]) == REQUESTS


@pytest.mark.reliability(ROW, LONG_RUN)
def test_memory_stays_flat(running, questions):
    memory, early = psutil.Process(running.process.pid).memory_info, None
    for number, question in enumerate(islice(questions(), LONG_RUN)):
        check(running.url, *question)
        if number == LONG_RUN // 4:
            early = memory().rss
    assert (memory().rss - early) / 1e6 < MEGABYTES


def test_so_far_no_error_passed_through_our_files(running, home):
    log = running.log_path.read_text()
    assert "do not show these examples: 4.HEIC" in log
    assert str(home / "demo") not in log


def test_there_is_one_named_endpoint_and_uploads_are_bounded(running):
    config = json.loads(send(running.url, "GET", "/config")[1])
    public = [d for d in config["dependencies"] if d["api_visibility"] == "public"]
    assert [d["api_name"] for d in public] == ["predict"]
    status, text = browsing.upload(running.url, bytes(16_000_000))
    assert status == 413 and "maximum allowed size" in text


@pytest.mark.reliability(FETCHED, 25)
def test_only_the_apps_own_files_can_be_fetched(home, running):
    [own] = (home / "tmp").glob("foodvision-*")
    (own / "app.log").write_text(SECRET)
    (own / "gradio" / "0").mkdir(parents=True)
    (own / "gradio" / "0" / "link.png").symlink_to(home / "secret.txt")
    places = {"home": home, "demo": home / "demo", "uploads": own / "gradio"}
    tried = [place.format(**places) for place in CASES["places"]]
    assert len(tried) == 25
    for place in tried:
        for written in (place, quote(place, safe=""), place.replace("/", "%2f")):
            status, text = send(running.url, "GET", f"{API}/file={written}")
            assert 400 <= status < 500, f"{place} gave {status}"
            assert SECRET not in text and "import" not in text
            assert str(home) not in text or place.startswith("/")
    for path in ("/../secret.txt", "/static/../../app.py", "/assets/..%2f..%2fapp.py"):
        status, text = send(running.url, "GET", path)
        assert 400 <= status < 500 and SECRET not in text


def test_errors_give_nothing_away(home, running):
    for method, path, body in CASES["requests"]:
        _, text = send(running.url, method, path, body)
        for word in (str(home), "Traceback", "site-packages", 'File "', ".py"):
            assert word not in text, f"{path}: {word} in {text[:500]}"


@pytest.mark.parametrize("payload", CASES["payloads"] + CASES["forbidden"])
def test_only_uploads_are_opened_and_no_address_is_fetched(home, running, payload):
    """Nobody may send the app to ask another server in its own name."""
    text = browsing.call(running.url, payload)
    if text.startswith(API):
        _, text = send(running.url, "GET", text)
        assert payload not in CASES["forbidden"] or "event: error" in text
    assert "Traceback" not in text and str(home) not in text
    assert not (home / "demo" / "fetched.txt").exists()


def test_a_web_address_is_not_fetched_after_an_example(home, running):
    """Gradio makes a session another picture when an example is clicked."""
    _, text = send(running.url, "GET", "/config")
    ids = {fn["api_name"]: fn["id"] for fn in json.loads(text)["dependencies"]}
    session = {"session_hash": "somebody"}
    click = session | {"fn_index": ids["load_example"], "data": [0]}
    status, _ = send(running.url, "POST", f"{API}/run/predict", json.dumps(click))
    assert status == 200
    question = {"fn_index": ids["predict"], "data": CASES["forbidden"][-2:-1]}
    send(running.url, "POST", f"{API}/queue/join", json.dumps(session | question))
    _, text = send(running.url, "GET", f"{API}/queue/data?session_hash=somebody")
    assert "Please upload a picture." in text
    assert not (home / "demo" / "fetched.txt").exists()


HELD_UP = """
import time
from pathlib import Path
import model

def held_up(self, picture, answer=model.Predictor.predict):
    if not hasattr(picture, "shape"):  # a visitor's, not the warm-up's
        here = Path(__file__).parent
        (here / f"begun-{time.monotonic_ns()}").touch()
        while not (here / "go on").exists():
            time.sleep(0.05)
    return answer(self, picture)

model.Predictor.predict = held_up
"""


def test_a_full_queue_says_busy_and_names_are_text_not_html(browser, tmp_path):
    """Two are answered at a time, the third waits, then the queue is full."""
    names = json.dumps([NAUGHTY, "steak", "sushi"])
    folder = browsing.lay_out(tmp_path / "demo", class_names=names, trained_on=NAUGHTY)
    app = (folder / "app.py").read_text("utf-8").replace("max_size=64", "max_size=1")
    (folder / "app.py").write_text(HELD_UP + app, "utf-8")
    plate = photo_of(RED, tmp_path / "plate.jpg")
    with run_demo(folder) as running, ThreadPoolExecutor(3) as pool:
        page = open_page(browser, running.url, browsing.PHONE)
        title, waiting = page.title(), []
        for number in (1, 2, 3):
            queued, how = threading.Event(), (running.url, plate.read_bytes())
            waiting.append(pool.submit(ask, *how, queued=queued))
            assert queued.wait(60)
            end = time.monotonic() + 60
            while len(list(folder.glob("begun-*"))) < min(number, 2):
                assert time.monotonic() < end, "it was not begun"
                time.sleep(0.05)
        upload_in(page, plate)
        page.get_by_text("currently busy").wait_for()
        (folder / "go on").touch()
        for one in waiting:
            assert one.result(timeout=60)[0]["label"] == NAUGHTY
        page.get_by_label("Remove Image").click()
        upload_in(page, plate)
        page.get_by_text("This looks like").wait_for()
        assert NAUGHTY in page.locator("#note").inner_text()
        assert page.locator("img[src=x]").count() == 0 and page.title() == title
        page.close()
