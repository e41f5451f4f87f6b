"""What the demo must not give away, asked over plain HTTP and in a browser."""

import json
from pathlib import Path
from urllib.parse import quote

import pytest
from browsing import API, call, lay_out, open_page, photo_of, send, upload_in
from demo_model_fixture import RED

from going_modular.app_process import run_demo

pytestmark = pytest.mark.slow

SECRET = "the host's own file, nobody's business"
CASES = json.loads(Path(__file__).with_name("demo_cases.json").read_text("utf-8"))
NAUGHTY = '<img src=x onerror="document.title=1">'
FAILED = range(400, 500)
FETCHED = "files asked for that are not the app's own, each spelt in 3 ways"
# The app notes what it would fetch.
SPY = """
from gradio import processing_utils

async def fetch(address, *_, **__):
    open("fetched.txt", "a").write(f"{address}\\n")
    raise OSError

processing_utils.async_ssrf_protected_download = fetch
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A machine: the demo, a secret beside it, and a link that leads there."""
    home = tmp_path_factory.mktemp("home")
    app = lay_out(home / "demo") / "app.py"
    app.write_text(f"{SPY}\n{app.read_text('utf-8')}", "utf-8")
    (home / "secret.txt").write_text(SECRET)
    (home / "demo" / "link.png").symlink_to(home / "secret.txt")
    (home / "demo" / ".env").write_text(SECRET)
    return home


def uploads_of(running) -> Path:
    return running.log_path.parent / "uploads"


@pytest.fixture(scope="module")
def running(home):
    with run_demo(home / "demo") as running:
        (uploads_of(running) / "0").mkdir(parents=True)
        (uploads_of(running) / "0" / "link.png").symlink_to(home / "secret.txt")
        yield running


@pytest.fixture
def url(running):
    return running.url


@pytest.mark.reliability(FETCHED, 25)
def test_only_the_apps_own_files_can_be_fetched(home, running, url):
    places = {"home": home, "demo": home / "demo", "uploads": uploads_of(running)}
    tried = [place.format(**places) for place in CASES["places"]]
    assert len(tried) == 25
    for place in tried:
        for written in (place, quote(place, safe=""), place.replace("/", "%2f")):
            status, text = send(url, "GET", f"{API}/file={written}")
            assert status in FAILED, f"{place} gave {status}"
            assert SECRET not in text and "import" not in text
            assert str(home) not in text or place.startswith("/")
    for path in ("/../secret.txt", "/static/../../app.py", "/assets/..%2f..%2fapp.py"):
        status, text = send(url, "GET", path)
        assert status in FAILED and SECRET not in text


@pytest.mark.parametrize(("method", "path", "body"), CASES["requests"])
def test_errors_give_nothing_away(home, url, method, path, body):
    _, text = send(url, method, path, body)
    for word in (str(home), "Traceback", "site-packages", 'File "', ".py"):
        assert word not in text, f"{word} in {text[:500]}"


@pytest.mark.parametrize("payload", CASES["payloads"] + CASES["forbidden"])
def test_only_uploaded_files_are_opened_and_no_address_is_fetched(home, url, payload):
    """Nobody may send the app to ask another server in its own name."""
    text = call(url, payload)
    if text.startswith(API):
        _, text = send(url, "GET", text)
        assert payload not in CASES["forbidden"] or "event: error" in text
    assert "Traceback" not in text and str(home) not in text
    assert not (home / "demo" / "fetched.txt").exists()


def test_a_web_address_is_not_fetched_after_an_example(home, url):
    """Gradio makes a session another picture when an example is clicked."""
    _, text = send(url, "GET", "/config")
    ids = {fn["api_name"]: fn["id"] for fn in json.loads(text)["dependencies"]}
    session = {"session_hash": "somebody"}
    click = session | {"fn_index": ids["load_example"], "data": [0]}
    status, _ = send(url, "POST", f"{API}/run/predict", json.dumps(click))
    assert status == 200
    ask = {"fn_index": ids["predict"], "data": CASES["forbidden"][-2:-1]}
    send(url, "POST", f"{API}/queue/join", json.dumps(session | ask))
    _, text = send(url, "GET", f"{API}/queue/data?session_hash=somebody")
    assert "Please upload a picture." in text
    assert not (home / "demo" / "fetched.txt").exists()


def test_names_from_the_model_file_are_text_not_html(browser, tmp_path):
    names = json.dumps([NAUGHTY, "steak", "sushi"])
    folder = lay_out(tmp_path / "demo", class_names=names, trained_on=NAUGHTY)
    with run_demo(folder) as running:
        page = open_page(browser, running.url)
        title = page.title()
        upload_in(page, photo_of(RED, tmp_path / "plate.jpg"))
        page.get_by_text("This looks like").wait_for()
        assert NAUGHTY in page.locator("#note").inner_text()
        assert page.locator("img[src=x]").count() == 0
        assert page.title() == title
        page.close()
