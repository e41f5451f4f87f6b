"""The browser demo's camera: live answers, a photo, all that may keep it closed."""

from contextlib import contextmanager

import numpy as np
import pytest
from demo_model_fixture import BLUE, DARK, GREEN, RED, make_model
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


FPS = 30  # what Chromium plays a film of JPEG pictures at
SIZE = (320, 180)
# Runs before the page's own code: counts questions that wait for an answer.
COUNT_WAITING = """
globalThis.waiting = 0;
globalThis.mostWaiting = 0;
globalThis.Worker = class extends Worker {
    constructor(...given) {
        super(...given);
        this.addEventListener("message", ({ data }) => { if (data.id) waiting -= 1; });
    }
    postMessage(message, ...rest) {
        if (message.id) mostWaiting = Math.max(mostWaiting, ++waiting);
        super.postMessage(message, ...rest);
    }
};
"""


@contextmanager
def seeing(playwright, frames, film):
    """Chromium with a camera that sees these frames again and again."""
    with film.open("wb") as file:
        for frame in frames:
            frame.save(file, "JPEG", quality=90)
    with launched(
        playwright,
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={film}",
    ) as program:
        yield program


@pytest.fixture(scope="module")
def browser(playwright, tmp_path_factory):
    """Its camera sees a sushi-green square that stays still, with a sensor's noise.

    Every few seconds the brown on either side moves, outside the page's viewfinder.
    """
    noise = np.random.default_rng(42).normal(0, 10, (7, SIZE[1], SIZE[0], 1))
    still, moving = 6 * FPS, FPS
    frames = []
    for number in range(still + moving):
        is_lit = number >= still and number % 10 < 5
        frame = Image.new("RGB", SIZE, BLUE if is_lit else DARK)
        frame.paste(GREEN, (70, 0, 250, 180))
        noisy = (np.asarray(frame) + noise[number % len(noise)]).clip(0, 255)
        frames.append(Image.fromarray(noisy.astype(np.uint8)))
    film = tmp_path_factory.mktemp("film") / "still.mjpeg"
    with seeing(playwright, frames, film) as program:
        yield program


@pytest.fixture(scope="module")
def lively_browser(playwright, tmp_path_factory):
    """Its camera sees red and green in turns, each with one dark frame in its midst."""
    frames = []
    for colour in (RED, GREEN):
        frames += [Image.new("RGB", SIZE, colour)] * (FPS * 3 // 2)
        frames[-25] = Image.new("RGB", SIZE, DARK)
    film = tmp_path_factory.mktemp("film") / "lively.mjpeg"
    with seeing(playwright, frames, film) as program:
        yield program


def new_context(browser, url):
    context = browser.new_context(viewport={"width": 390, "height": 844})
    context.grant_permissions(["camera"], origin=url.rstrip("/"))
    return context


@pytest.fixture
def context(browser, url):
    context = new_context(browser, url)
    yield context
    context.close()


@pytest.fixture
def page(context, url):
    page = open_page(context, url)
    yield page
    assert page.crashes == [] and page.complaints == []


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
    assert page.locator("#live-note").is_visible()
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


def test_live_answers_follow_the_picture_but_not_each_frame(lively_browser, url):
    context = new_context(lively_browser, url)
    context.add_init_script(COUNT_WAITING)
    page = open_page(context, url)
    start(page)
    expect(page, "This looks like")
    page.evaluate(
        """() => {
            [globalThis.verdicts, globalThis.changes] = [[], []];
            const note = () => {
                changes.push(performance.now());
                const now = verdict.textContent;
                if (now !== verdicts.at(-1)) verdicts.push(now);
            };
            new MutationObserver(note).observe(
                document.body, { childList: true, characterData: true, subtree: true });
        }"""
    )
    page.wait_for_function("() => verdicts.length >= 4", timeout=60_000)
    assert page.inner_text("#rate-chip").endswith("a second"), "it does not rest"
    said = page.evaluate("verdicts")
    assert set(said) == {"This looks like pizza.", "This looks like sushi."}
    # Words and numbers may change four times a second; a slow machine's clock may lag.
    changes = np.array(page.evaluate("changes"))
    assert (changes[5:] - changes[:-5] > 1000).all()
    assert page.evaluate("mostWaiting") == 1
    assert page.crashes == []
    context.close()


def test_the_page_rests_while_nothing_moves_and_goes_on_answering(page):
    def wait_for(condition):
        page.wait_for_function(f"() => {condition}", timeout=60_000)

    start(page)
    wait_for("rate.textContent === 'Resting: nothing moves'")
    page.evaluate("globalThis.before = median.textContent")
    wait_for("median.textContent !== before")
    wait_for("rate.textContent.endsWith('a second')")
    assert page.inner_text("#verdict") == "This looks like sushi."


@pytest.mark.parametrize("per_second", [5, 30])
def test_the_running_mean_is_by_time(page, per_second):
    """Half a second after the picture has changed, nothing is left of the old one."""
    means = page.evaluate(
        """async (perSecond) => {
            const { runningMean } = await import("./live.js");
            const average = runningMean();
            return Array.from({ length: 2 * perSecond }, (_, index) => {
                const share = index < perSecond ? 0 : 1;
                const probabilities = [share, 1 - share];
                const scores = { knn_similarity: share, in_distribution_score: share };
                const answer = { probabilities, ...scores };
                return average(answer, (1000 * index) / perSecond);
            });
        }""",
        per_second,
    )
    pizza = np.array([mean["probabilities"][0] for mean in means])
    assert np.array_equal(pizza, [mean["knn_similarity"] for mean in means])
    assert np.array_equal(pizza, [mean["in_distribution_score"] for mean in means])
    assert pizza[:per_second].max() == 0
    seconds = np.arange(1, per_second + 1) / per_second  # since the picture changed
    one_answer = 2 / per_second  # as a share of half a second
    expected = pytest.approx((2 * seconds).clip(max=1), abs=one_answer)
    assert pizza[per_second:] == expected
    assert pizza[-per_second // 2 :].min() == 1


def test_words_do_not_waver_between_two_verdicts(page):
    changes = page.evaluate(
        """async () => {
            const { steadyWords } = await import("./live.js");
            const mayChange = steadyWords();
            const changes = [];
            const see = (verdict, now) => {
                if (mayChange(verdict, now)) changes.push([verdict, now]);
            };
            for (let now = 0; now < 2000; now += 250) see("AB"[(now / 250) % 2], now);
            for (let now = 2000; now < 3000; now += 50) see("B", now);
            return changes;
        }"""
    )
    waver, lasts = (changes[:4], changes[4:])
    assert waver == [["A", 0], ["A", 500], ["A", 1000], ["A", 1500]]
    assert lasts == [["B", 2000], ["B", 2250], ["B", 2500], ["B", 2750]]


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
            asked.push([wanted.video.facingMode, wanted.video.frameRate.ideal]);
            return open(wanted);
        };"""
    )
    page = open_page(context, url)
    start(page)
    page.get_by_role("button", name="Turn to the other camera").click()
    page.wait_for_function("() => asked.length === 2")
    expect(page, "This looks like sushi.")
    assert page.evaluate("asked") == [["environment", 30], ["user", 30]]


def test_one_camera_cannot_be_turned(page):
    start(page)
    expect(page, "This looks like sushi.")
    assert not page.locator("#flip").is_visible()
