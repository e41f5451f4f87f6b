"""The browser demo's camera: live answers, a photo, all that may keep it closed."""

import numpy as np
import pytest
from demo_model_fixture import BLUE, DARK, GREEN, RED
from PIL import Image
from pocket_site import CASES

from benchmarks.browser import launched

FPS = 30  # what Chromium plays a film of JPEG pictures at
SIZE = (320, 180)
IS_OFF = "video.srcObject === null"  # its light, too
NOTE_CHANGES = """() => {
    [globalThis.verdicts, globalThis.changes] = [[], []];
    const note = () => {
        changes.push(performance.now());
        const now = verdict.textContent;
        if (now !== verdicts.at(-1)) verdicts.push(now);
    };
    new MutationObserver(note).observe(
        document.body, { childList: true, characterData: true, subtree: true });
}"""
SIZES = "[shown.width, shown.height, video.clientWidth, video.clientHeight]"
TWO_CAMERAS = """() => {
    const devices = navigator.mediaDevices;
    const open = devices.getUserMedia.bind(devices);
    globalThis.asked = [];
    devices.enumerateDevices = async () => Array(2).fill({ kind: "videoinput" });
    devices.getUserMedia = (wanted) => {
        asked.push([wanted.video.facingMode, wanted.video.frameRate.ideal]);
        return open(wanted);
    };
}"""
HIDE = """() => {
    Object.defineProperty(document, "hidden", { get: () => true });
    document.dispatchEvent(new Event("visibilitychange"));
}"""
OPENS_NO_CAMERA = """(name) => navigator.mediaDevices.getUserMedia = () =>
    Promise.reject(new DOMException("no", name))"""
NO_MEDIA = "Object.defineProperty(navigator, 'mediaDevices', { value: undefined })"


def still_plate():
    """A noisy green square; now and then something moves beside the viewfinder."""
    noise = np.random.default_rng(42).normal(0, 10, (7, SIZE[1], SIZE[0], 1))
    for number in range(7 * FPS):
        is_lit = number >= 6 * FPS and number % 10 < 5
        frame = Image.new("RGB", SIZE, BLUE if is_lit else DARK)
        frame.paste(GREEN, (70, 0, 250, 180))
        noisy = (np.asarray(frame) + noise[number % len(noise)]).clip(0, 255)
        yield Image.fromarray(noisy.astype(np.uint8))


def red_and_green():
    """Each in turns, with one dark frame in its midst."""
    for colour in (RED, GREEN):
        for number in range(FPS * 3 // 2):
            yield Image.new("RGB", SIZE, DARK if number == 20 else colour)


@pytest.fixture(scope="module")
def browser(playwright, tmp_path_factory, request):
    """Its camera sees some frames again and again."""
    film = tmp_path_factory.mktemp("film") / "film.mjpeg"
    with film.open("wb") as file:
        for frame in getattr(request, "param", still_plate)():
            frame.save(file, "JPEG", quality=90)
    camera = "--use-fake-device-for-media-stream"
    seeing = f"--use-file-for-fake-video-capture={film}"
    with launched(playwright, camera, seeing) as program:
        yield program


def test_live_answers_rest_a_photo_and_what_else_ends_them(page):
    assert not page.locator("#flip").is_visible(), "one camera cannot be turned"
    page.start_camera()
    page.expect("This looks like sushi.")
    assert page.locator("#live-note").is_visible()
    # Said aloud once it has lasted, not several times a second.
    page.get_by_role("status").get_by_text("This looks like sushi.").wait_for()
    assert not page.locator("#flip").is_visible()
    for condition in (
        "rate.textContent === 'Resting: nothing moves'",
        "numbers.textContent !== (globalThis.before ??= numbers.textContent)",
        "rate.textContent.endsWith('a second')",
    ):
        page.wait_for_function(f"() => {condition}", timeout=60_000)
    assert page.inner_text("#verdict") == "This looks like sushi."
    page.get_by_role("button", name="Take photo").click()
    page.wait_for_selector("#stage[data-state=photo]")
    page.expect("This looks like sushi.")
    assert page.evaluate(IS_OFF)
    *frozen, width, height = page.evaluate(SIZES)  # just what the viewfinder showed
    assert frozen[0] / frozen[1] == pytest.approx(width / height, rel=0.01)
    assert frozen[0] == SIZE[0] or frozen[1] == SIZE[1]
    page.start_camera()
    page.get_by_role("button", name="Stop").click()
    page.expect("What is on your plate?")
    assert page.evaluate(IS_OFF)
    page.start_camera()
    page.expect("This looks like sushi.")
    page.try_example(1, "This looks like pizza.")
    page.wait_for_selector("#stage[data-state=photo]")
    assert page.evaluate(IS_OFF)
    page.start_camera()
    page.evaluate("video.srcObject.getVideoTracks()[0].onended()")  # unplugged
    page.expect("The camera stopped.")
    assert page.evaluate(IS_OFF)
    page.evaluate(TWO_CAMERAS)
    page.start_camera()
    page.get_by_role("button", name="Turn to the other camera").click()
    page.wait_for_function("() => asked.length === 2")
    page.wait_for_selector("#stage[data-state=live]")
    page.expect("This looks like sushi.")
    assert page.evaluate("asked") == [["environment", 30], ["user", 30]]
    page.evaluate(HIDE)  # nobody looks at the page
    assert page.evaluate(IS_OFF)


def test_a_camera_that_stays_closed_gets_a_sentence(page):
    page.context.clear_permissions()
    stays_closed(page, "The camera is not allowed here. Allow it for this page in the")
    for name, sentence in CASES["cameras"].items():
        page.evaluate(OPENS_NO_CAMERA, name)
        stays_closed(page, sentence)
    page.evaluate(NO_MEDIA)
    stays_closed(page, "The camera works on https addresses only.")


def stays_closed(page, sentence: str) -> None:
    page.get_by_role("button", name="Start camera").click()
    page.expect("The camera stays closed.", sentence)
    assert sentence in page.status()
    page.try_example(3, "This looks like sushi.")  # which still works


@pytest.mark.parametrize("browser", [red_and_green], indirect=True)
def test_live_answers_follow_the_picture_but_not_each_frame(page):
    page.start_camera()
    page.expect("This looks like")
    page.evaluate(NOTE_CHANGES)
    page.wait_for_function("() => verdicts.length >= 4", timeout=60_000)
    assert page.inner_text("#rate-chip").endswith("a second"), "it does not rest"
    verdicts, changes = page.evaluate("[verdicts, changes]")
    assert set(verdicts) == {"This looks like pizza.", "This looks like sushi."}
    # Words and numbers may change four times a second; a slow machine's clock may lag.
    changes = np.array(changes)
    assert (changes[5:] - changes[:-5] > 1000).all()
