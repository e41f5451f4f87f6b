"""What the demo must not give away, asked over plain HTTP and in a browser."""

import http.client
import json
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
from browsing import lay_out, open_page, photo_of
from demo_model_fixture import RED

from going_modular.app_process import run_demo

pytestmark = pytest.mark.slow

SECRET = b"the host's own file, nobody's business"
NAUGHTY = '<img src=x onerror="document.title=1">'
FAILED = range(400, 500)
FETCHED = "files asked for that are not the app's own, each spelt in 3 ways"


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A machine: the demo, a secret beside it, and a link that leads there."""
    home = tmp_path_factory.mktemp("home")
    lay_out(home / "demo")
    (home / "secret.txt").write_bytes(SECRET)
    (home / "demo" / "link.png").symlink_to(home / "secret.txt")
    (home / "demo" / ".env").write_bytes(SECRET)
    return home


@pytest.fixture(scope="module")
def running(home):
    with run_demo(home / "demo") as running:
        uploads = running.log_path.parent / "uploads" / "0"
        uploads.mkdir(parents=True)
        (uploads / "link.png").symlink_to(home / "secret.txt")
        yield running


def send(running, method: str, path: str, body=None, kind="application/json"):
    """One request as it stands: nothing tidies the path on the way."""
    connection = http.client.HTTPConnection(urlsplit(running.url).netloc, timeout=60)
    connection.request(method, path, body, {"Content-Type": kind})
    reply = connection.getresponse()
    try:
        text = reply.read()
    except http.client.IncompleteRead as error:  # the app broke off
        text = error.partial
    connection.close()
    return reply.status, text


def places(home: Path, running) -> list[str]:
    """Where a curious visitor would look."""
    demo, uploads = home / "demo", running.log_path.parent / "uploads"
    names = ("app.py", "model.py", "page.py", "foodvision_mini.onnx", ".env")
    inside = [demo / name for name in (*names, "requirements.txt", "link.png")]
    return [
        *map(str, inside),
        *names,
        "./app.py",
        "link.png",
        str(home / "secret.txt"),
        "/etc/passwd",
        "/proc/self/environ",
        "../secret.txt",
        "examples/../app.py",
        f"{demo}/examples/../app.py",
        f"{uploads}/../app.log",
        f"{uploads}/0/link.png",
        f"{uploads}/0/../../app.log",
        "http://127.0.0.1:1/",
        "file:///etc/passwd",
    ]


@pytest.mark.reliability(FETCHED, 25)
def test_only_the_apps_own_files_can_be_fetched(home, running):
    tried = places(home, running)
    assert len(tried) == 25
    for place in tried:
        for written in (place, quote(place, safe=""), place.replace("/", "%2f")):
            status, text = send(running, "GET", f"/gradio_api/file={written}")
            assert status in FAILED, f"{place} gave {status}"
            assert SECRET not in text and b"import" not in text
            assert str(home).encode() not in text or place.startswith("/")
    for path in ("/../secret.txt", "/static/../../app.py", "/assets/..%2f..%2fapp.py"):
        status, text = send(running, "GET", path)
        assert status in FAILED and SECRET not in text


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/nothing/here", None),
        ("POST", "/gradio_api/call/predict", "not json"),
        ("POST", "/gradio_api/call/predict", "{}"),
        ("POST", "/gradio_api/call/predict", '{"data": "plate.jpg"}'),
        ("POST", "/gradio_api/call/predict", '{"data": []}'),
        ("POST", "/gradio_api/call/train", '{"data": []}'),
        ("POST", "/gradio_api/run/predict", '{"data": [1]}'),
        ("POST", "/gradio_api/queue/join", '{"fn_index": 99, "data": []}'),
        ("POST", "/gradio_api/queue/join", '{"fn_index": "x"}'),
        ("POST", "/gradio_api/upload", "no form"),
        ("GET", "/gradio_api/call/predict/none", None),
        ("GET", "/gradio_api/queue/data?session_hash=none", None),
        ("GET", "/monitoring", None),
        ("GET", "/gradio_api/monitoring/x", None),
        ("DELETE", "/", None),
    ],
)  # fmt: skip
def test_errors_give_nothing_away(home, running, method, path, body):
    _, text = send(running, method, path, body)
    for word in (str(home), "Traceback", "site-packages", 'File "', ".py"):
        assert word.encode() not in text, f"{word} in {text[:500]}"


@pytest.mark.parametrize(
    "payload",
    [None, 7, "x", [], {}, {"path": None}, {"path": 7}, {"path": "x\0y"}, {"url": "x"}],
)
def test_odd_payloads_get_an_answer_or_a_plain_error(home, running, payload):
    status, text = send(
        running, "POST", "/gradio_api/call/predict", json.dumps({"data": [payload]})
    )
    if status == 200:
        event = json.loads(text)["event_id"]
        _, text = send(running, "GET", f"/gradio_api/call/predict/{event}")
    assert b"Traceback" not in text and str(home).encode() not in text


SPY = """
from gradio import processing_utils

async def fetch(address, *_, **__):
    open("fetched.txt", "a").write(f"{address}\\n")
    raise OSError

processing_utils.async_ssrf_protected_download = fetch
"""


@pytest.fixture(scope="module")
def spied(tmp_path_factory):
    """The app, which notes what it would fetch."""
    folder = lay_out(tmp_path_factory.mktemp("spied") / "demo")
    app = (folder / "app.py").read_text("utf-8")
    (folder / "app.py").write_text(f"{SPY}\n{app}", "utf-8")
    with run_demo(folder) as running:
        yield running, folder / "fetched.txt"


@pytest.mark.parametrize("scheme", ["http", "https", "HTTP"])
def test_a_web_address_is_not_fetched(spied, scheme):
    """Nobody may send the app to ask another server in its own name."""
    running, fetched = spied
    address = f"{scheme}://example.org/plate.png"
    body = json.dumps({"data": [{"path": address, "url": address}]})
    _, text = send(running, "POST", "/gradio_api/call/predict", body)
    event = json.loads(text)["event_id"]
    _, text = send(running, "GET", f"/gradio_api/call/predict/{event}")
    assert b"event: error" in text
    assert not fetched.exists()


def test_a_web_address_is_not_fetched_after_an_example(spied):
    """Gradio makes a session another picture when an example is clicked."""
    running, fetched = spied
    _, text = send(running, "GET", "/config")
    ids = {fn["api_name"]: fn["id"] for fn in json.loads(text)["dependencies"]}
    session = {"session_hash": "somebody"}
    click = session | {"fn_index": ids["load_example"], "data": [0]}
    status, _ = send(running, "POST", "/gradio_api/run/predict", json.dumps(click))
    assert status == 200
    address = "https://example.org/plate.png"
    ask = {"fn_index": ids["predict"], "data": [{"path": address, "url": address}]}
    send(running, "POST", "/gradio_api/queue/join", json.dumps(session | ask))
    _, text = send(running, "GET", "/gradio_api/queue/data?session_hash=somebody")
    assert b"Please upload a picture." in text
    assert not fetched.exists()


def test_names_from_the_model_file_are_text_not_html(browser, tmp_path):
    names = json.dumps([NAUGHTY, "steak", "sushi"])
    folder = lay_out(tmp_path / "demo", class_names=names, trained_on=NAUGHTY)
    with run_demo(folder) as running:
        page = open_page(browser, running.url)
        title = page.title()
        upload = page.locator("#picture input[type=file]").first
        upload.set_input_files(photo_of(RED, tmp_path / "plate.jpg"))
        page.get_by_text("This looks like").wait_for()
        assert NAUGHTY in page.locator("#note").inner_text()
        assert page.locator("img[src=x]").count() == 0
        assert page.title() == title
        page.close()
