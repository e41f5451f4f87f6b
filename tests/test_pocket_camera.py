"""The browser demo's camera: live answers, a photo, all that may keep it closed."""

import pytest
from demo_model_fixture import DARK, GREEN, RED, make_model
from PIL import Image
from pocket_site import open_page, status, write_site

from benchmarks.browser import launched
from going_modular.pocket.server import serve_folder


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    home = tmp_path_factory.mktemp("pocket")
    examples = {"pizza": RED, "sushi": GREEN}
    site = write_site(home / "site", make_model(home / "m.onnx"), examples)
    with serve_folder(site) as served:
        yield served.url


@pytest.fixture(scope="module")
def browser(playwright, tmp_path_factory):
    """Chromium with a camera that sees a sushi-green square, brown on either side."""
    film = tmp_path_factory.mktemp("film") / "film.mjpeg"
    frame = Image.new("RGB", (640, 360), DARK)
    frame.paste(GREEN, (140, 0, 500, 360))
    with film.open("wb") as file:
        for _ in range(2):
            frame.save(file, "JPEG", quality=95)
    with launched(
        playwright,
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={film}",
    ) as program:
        yield program


@pytest.fixture
def context(browser, url):
    context = browser.new_context(viewport={"width": 390, "height": 844})
    context.grant_permissions(["camera"], origin=url.rstrip("/"))
    yield context
    context.close()


@pytest.fixture
def page(context, url):
    page = open_page(context, url)
    yield page
    assert page.crashes == []


def start(page) -> None:
    page.get_by_role("button", name="Start camera").click()


def expect(page, text: str) -> None:
    page.locator("#answer").get_by_text(text).first.wait_for(timeout=30_000)


def is_off(page) -> bool:
    return page.evaluate("document.getElementById('video').srcObject === null")


def test_live_answers_then_a_photo_then_live_again(page):
    start(page)
    expect(page, "This looks like sushi.")
    page.wait_for_function("() => parseInt(median.textContent.split('of ')[1]) > 2")
    assert page.inner_text("#rate-chip").endswith("a second")
    # Said aloud once it has lasted, not several times a second.
    page.get_by_role("status").get_by_text("This looks like sushi.").wait_for()
    page.get_by_role("button", name="Take photo").click()
    page.wait_for_selector("#stage[data-state=photo]")
    expect(page, "This looks like sushi.")
    assert is_off(page), "its light goes out"
    start(page)
    page.wait_for_selector("#stage[data-state=live]")
    page.get_by_role("button", name="Stop").click()
    expect(page, "What is on your plate?")
    assert is_off(page)


def test_the_model_sees_what_the_viewfinder_shows(page):
    start(page)
    page.wait_for_selector("#stage[data-state=live]")
    grabbed, shown, film = page.evaluate(
        """async () => {
            const { grabFrame } = await import("./camera.js");
            const video = document.getElementById("video");
            const { width, height } = await grabFrame(video);
            const { clientWidth, clientHeight, videoWidth, videoHeight } = video;
            return [[width, height], [clientWidth, clientHeight],
                [videoWidth, videoHeight]];
        }"""
    )
    assert grabbed[0] / grabbed[1] == pytest.approx(shown[0] / shown[1], rel=0.01)
    assert any(grabbed[side] == film[side] for side in (0, 1))


def test_a_file_chosen_while_live_ends_it(page):
    start(page)
    expect(page, "This looks like sushi.")
    page.get_by_role("button", name="Example picture 1").click()
    expect(page, "This looks like pizza.")
    page.wait_for_selector("#stage[data-state=photo]")
    assert is_off(page)


def test_a_camera_that_is_unplugged_gets_a_sentence(page):
    start(page)
    page.wait_for_selector("#stage[data-state=live]")
    page.evaluate(
        """document.getElementById("video").srcObject.getVideoTracks()[0]
            .dispatchEvent(new Event("ended"))"""
    )
    expect(page, "The camera stopped.")
    assert is_off(page)


def test_a_page_that_nobody_looks_at_closes_the_camera(page):
    start(page)
    page.wait_for_selector("#stage[data-state=live]")
    page.evaluate(
        """() => {
            Object.defineProperty(document, "hidden", { get: () => true });
            document.dispatchEvent(new Event("visibilitychange"));
        }"""
    )
    assert is_off(page)


def test_a_denied_camera_gets_a_sentence_and_files_still_work(context, url):
    context.clear_permissions()
    page = open_page(context, url)
    start(page)
    expect(page, "The camera stays closed.")
    expect(page, "Allow it for this page in the browser")
    assert "The camera is not allowed here." in status(page)
    page.get_by_role("button", name="Example picture 2").click()
    expect(page, "This looks like sushi.")
    assert page.crashes == []


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        ("NotFoundError", "No camera was found on this device."),
        ("OverconstrainedError", "No camera was found on this device."),
        ("NotReadableError", "The camera is busy."),
        ("AbortError", "The camera did not start."),
    ],
)
def test_a_camera_that_does_not_open_gets_a_sentence(context, url, error, sentence):
    context.add_init_script(
        f"""navigator.mediaDevices.getUserMedia = () =>
            Promise.reject(new DOMException("no", "{error}"));"""
    )
    page = open_page(context, url)
    start(page)
    expect(page, "The camera stays closed.")
    expect(page, sentence)
    assert page.crashes == []


def test_an_address_without_https_gets_a_sentence(context, url):
    context.add_init_script(
        "Object.defineProperty(navigator, 'mediaDevices', {get: () => undefined})"
    )
    page = open_page(context, url)
    start(page)
    expect(page, "The camera works on https addresses only.")


def test_turning_to_the_other_camera(context, url):
    context.add_init_script(
        """const devices = navigator.mediaDevices;
        const open = devices.getUserMedia.bind(devices);
        globalThis.asked = [];
        devices.enumerateDevices = async () =>
            [{ kind: "videoinput" }, { kind: "videoinput" }, { kind: "audioinput" }];
        devices.getUserMedia = (wanted) => {
            asked.push(wanted.video.facingMode);
            return open(wanted);
        };"""
    )
    page = open_page(context, url)
    start(page)
    page.get_by_role("button", name="Turn to the other camera").click()
    page.wait_for_function("() => asked.length === 2")
    expect(page, "This looks like sushi.")
    assert page.evaluate("asked") == ["environment", "user"]


def test_one_camera_cannot_be_turned(page):
    start(page)
    expect(page, "This looks like sushi.")
    assert not page.locator("#flip").is_visible()
