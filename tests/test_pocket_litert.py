"""The browser demo on LiteRT in Chromium: each of its builds, and all that may fail.

That its answers are those of Python is shown in test_pocket_agreement.py.
"""

import io
import json
from pathlib import Path

import pytest
from demo_model_fixture import make_model
from drawn_images import drawn_image
from pocket_site import need_runtime, open_page, status

from benchmarks.browser import READY, ask_page, launched
from going_modular.drawn import CLASS_NAMES
from going_modular.pocket.server import serve_folder
from going_modular.pocket.site import MODEL, TFLITE, first_visit, write_pocket

COMMITTED = Path(__file__).resolve().parents[1] / "models" / MODEL
EIGHT_CORES = "Object.defineProperty(navigator, 'hardwareConcurrency', {get: () => 8})"
RELAXED = "LiteRT with relaxed SIMD, 1 thread"
# Init script, whether the page is isolated, what it says it runs, the build's name.
BUILDS = {
    "no relaxed SIMD": (
        f"{EIGHT_CORES}; WebAssembly.validate = () => false",
        True,
        "LiteRT with SIMD, 1 thread",
        "plain",
    ),
    "eight cores": (
        EIGHT_CORES,
        True,
        "LiteRT with relaxed SIMD, 4 threads",
        "threads",
    ),
    "eight cores, not isolated": (EIGHT_CORES, False, RELAXED, "relaxed"),
}


@pytest.fixture(scope="module")
def browser(playwright):
    with launched(playwright, "--use-fake-device-for-media-stream") as program:
        yield program


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    need_runtime()
    home = tmp_path_factory.mktemp("pocket")
    drawn_image("sushi", 4).save(home / "sushi.png")
    return write_pocket(COMMITTED, home / "site", examples=[home / "sushi.png"])


@pytest.fixture(scope="module")
def url(site):
    with serve_folder(site) as served:
        yield served.url


@pytest.fixture
def context(browser, url):
    context = browser.new_context(viewport={"width": 390, "height": 844})
    context.grant_permissions(["camera"], origin=url.rstrip("/"))
    yield context
    context.close()


@pytest.fixture(scope="module")
def pictures():
    """A square, a wide, a high and a small picture of each class, as JPEG files."""
    files = []
    for name in CLASS_NAMES:
        for size in ((512, 512), (700, 400), (384, 512), (64, 48)):
            file = io.BytesIO()
            drawn_image(name, 7, size).save(file, "JPEG", quality=88)
            files.append(file.getvalue())
    return files


def answers_of(page, pictures) -> list[float]:
    answers = [ask_page(page, picture) for picture in pictures]
    return [share for answer in answers for share in answer["probabilities"]]


@pytest.fixture(scope="module")
def expected(browser, url, pictures):
    """What the build with relaxed SIMD says."""
    page = open_page(browser, url)
    assert page.inner_text("#runs") == RELAXED
    yield answers_of(page, pictures)
    page.close()


@pytest.mark.parametrize("kind", BUILDS)
def test_each_build_gives_the_same_answers(context, site, pictures, expected, kind):
    script, isolated, words, build = BUILDS[kind]
    context.add_init_script(script)
    with serve_folder(site, isolated=isolated) as served:
        asked = []
        context.on("request", lambda request: asked.append(request.url))
        page = open_page(context, served.url)
        assert page.inner_text("#runs") == words
        assert answers_of(page, pictures) == pytest.approx(expected, abs=0.001)
        page.locator("#offline").wait_for()
    runtime = {Path(url).name for url in asked if "/vendor/litert" in url}
    assert runtime == {"litert.js", f"litert_{build}.js", f"litert_{build}.wasm.gz"}
    assert page.complaints == [] and page.crashes == []
    page.reload()  # the server is gone
    page.get_by_text(words).wait_for()
    page.wait_for_selector(READY)


def test_it_asks_for_what_it_needs_of_its_own_address_only(context, url, site):
    asked = []
    context.on("request", lambda request: asked.append(request.url))
    page = open_page(context, url)
    page.get_by_role("button", name="Example picture 1").click()
    page.get_by_text("This looks like sushi.").first.wait_for()
    page.locator("#offline").wait_for()
    assert all(address.startswith((url, "blob:", "data:")) for address in asked)
    listed = json.loads((site / "files.json").read_text())["files"]
    unused = {name for name in listed if "_plain." in name or "_threads." in name}
    unused.add("index.html")  # it comes as ""
    names = {address.removeprefix(url).split("?")[0] for address in asked}
    names = {name for name in names if not name.startswith(("blob:", "data:"))}
    assert sum(first_visit(site).values()) <= 10_000_000
    assert names == {"", "sw.js", "files.json", *listed} - unused
    assert page.complaints == [] and page.crashes == []


def test_a_runtime_that_does_not_start_gets_a_sentence(context, url, site):
    fails = "WebAssembly.instantiate = () => Promise.reject(new Error('no memory'));"
    code = (site / "engine.js").read_text("utf-8") + fails
    script = {"content_type": "text/javascript", "body": code}
    context.route("**/engine.js", lambda route: route.fulfill(**script))
    page = open_page(context, url, wait=False)
    page.get_by_text("The model could not be loaded.").first.wait_for()
    assert page.crashes == []


def test_the_camera_is_answered_live(context, url):
    page = open_page(context, url)
    page.get_by_role("button", name="Start camera").click()
    page.wait_for_selector("#stage[data-state=live]")
    page.wait_for_function("() => parseInt(median.textContent.split('of ')[1]) > 2")
    assert page.locator("#bars .name").count() == len(CLASS_NAMES)
    page.get_by_role("button", name="Take photo").click()
    page.wait_for_selector("#stage[data-state=photo]")
    assert page.inner_text("#runs") == RELAXED
    assert page.complaints == [] and page.crashes == []


@pytest.mark.parametrize(
    ("lost", "sentence"),
    [
        (TFLITE, "Check the connection and reload the page."),
        ("prepare.wasm", "Check the connection and reload the page."),
        ("vendor/litert_relaxed.wasm.gz", "Check the connection and reload the page."),
        ("vendor/litert_relaxed.js", "Check the connection and reload the page."),
        ("engine.js", "Check the connection and reload the page."),
        ("prepare.js", "Check the connection and reload the page."),
        ("vendor/litert.js", "Check the connection and reload the page."),
    ],
)
def test_a_file_that_does_not_come_gets_a_sentence(context, url, lost, sentence):
    context.route(f"**/{lost}", lambda route: route.fulfill(status=404))
    page = open_page(context, url, wait=False)
    page.locator("#answer").get_by_text("The model did not start.").wait_for()
    assert sentence in page.inner_text("#detail")
    assert sentence in status(page)
    assert page.crashes == []


@pytest.mark.parametrize("broken", [TFLITE, "vendor/litert_relaxed.wasm.gz"])
def test_a_file_of_other_bytes_gets_a_sentence(context, url, site, broken):
    content = bytes((site / broken).stat().st_size)
    context.route(f"**/{broken}", lambda route: route.fulfill(body=content))
    page = open_page(context, url, wait=False)
    page.locator("#answer").get_by_text("The model did not start.").wait_for()
    assert "reload the page" in page.inner_text("#detail")
    assert page.crashes == []


def test_a_model_that_litert_runs_replaces_one_that_it_does_not(browser, tmp_path):
    need_runtime()
    site = write_pocket(make_model(tmp_path / "m.onnx"), tmp_path / "site")
    context = browser.new_context()
    with serve_folder(site) as served:
        page = open_page(context, served.url)
        page.locator("#offline").wait_for()
        write_pocket(COMMITTED, site)
        assert page.inner_text("#runs").startswith("ONNX Runtime")
        page.reload()
        page.get_by_text(RELAXED).wait_for()
        page.locator("#offline").wait_for()
        page.wait_for_function("async () => (await caches.keys()).length === 1")
    assert page.complaints == [] and page.crashes == []
    page.reload()  # the server is gone
    page.get_by_text(RELAXED).wait_for()
    context.close()
