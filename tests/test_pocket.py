"""The browser demo, in Chromium: every way to show it a picture, and all that may fail.

A stand-in model answers for the colour of a picture, so answers are known beforehand.
"""

import io
import json

import numpy as np
import pytest
from demo_model_fixture import BLUE, DARK, GREEN, RED, YELLOW, make_model
from odd_pictures import READABLE, REFUSED, turned
from PIL import Image
from pocket_site import Counting, open_page, pixels_of, status, write_site

from going_modular.app.model import SENTENCES, open_picture
from going_modular.pocket import server as pocket_server
from going_modular.pocket.server import serve_folder

COLOURS = {"pizza": RED, "steak": DARK, "sushi": GREEN}
FAILS = "This picture did not work."


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    home = tmp_path_factory.mktemp("pocket")
    return write_site(home / "site", make_model(home / "m.onnx"), COLOURS)


@pytest.fixture(scope="module")
def url(folder):
    with serve_folder(folder) as served:
        yield served.url


@pytest.fixture
def context(browser):
    context = browser.new_context(viewport={"width": 390, "height": 844})
    yield context
    context.close()


@pytest.fixture
def page(context, url):
    page = open_page(context, url)
    yield page
    assert page.crashes == [] and page.complaints == []


def encoded(colour=RED, kind="JPEG", *, size=(80, 60), **options) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, kind, **options)
    return file.getvalue()


def choose(page, content: bytes, name="plate.jpg", kind="image/jpeg") -> None:
    file = {"name": name, "mimeType": kind, "buffer": content}
    page.set_input_files("#file", file)


def expect(page, *texts: str) -> None:
    """Wait for texts in the answer."""
    for text in texts:
        page.locator("#answer").get_by_text(text).first.wait_for(timeout=30_000)


@pytest.mark.parametrize(("name", "colour"), COLOURS.items())
def test_a_chosen_file_is_answered(page, name, colour):
    choose(page, encoded(colour))
    expect(page, f"This looks like {name}.", "Answered in")
    names = page.locator("#bars .name").all_text_contents()
    assert names[0] == name and len(names) == 3
    assert status(page).startswith(f"This looks like {name}.")
    assert page.locator("#shown").is_visible()
    assert "median of 1 answer" in page.inner_text("footer")


@pytest.mark.parametrize(
    ("colour", "mood", "verdict"),
    [
        (YELLOW, "another-dish", "I think this is another dish."),
        (BLUE, "no-plate", "This does not look like a plate of food."),
    ],
)
def test_a_stranger_gets_no_dish_for_an_answer(page, colour, mood, verdict):
    choose(page, encoded(colour))
    expect(page, verdict, "Closest of the dishes I know: ")
    expect(page, "(0.50 needed), likeness to my dishes", "(0.25 needed). Answered in")
    assert page.get_attribute("#answer", "data-mood") == mood
    assert status(page).startswith(f"{verdict} Closest of the dishes I know: ")


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF", "BMP"])
def test_other_formats_are_answered(page, kind):
    choose(page, encoded(GREEN, kind), name="plate", kind="")
    expect(page, "This looks like sushi.")


def test_an_example_is_answered(page):
    page.get_by_role("button", name="Example picture 3").click()
    expect(page, "This looks like sushi.")


def hand_over(page, event: str, files: list[tuple[str, str, bytes]]) -> None:
    """Paste or drop files, as the browser itself reports it."""
    page.evaluate(
        """([event, files]) => {
            const data = new DataTransfer();
            for (const [name, type, bytes] of files) {
                data.items.add(new File([new Uint8Array(bytes)], name, { type }));
            }
            dispatchEvent(event === "paste"
                ? new ClipboardEvent(event, { clipboardData: data })
                : new DragEvent(event, { dataTransfer: data, cancelable: true }));
        }""",
        [event, [(name, kind, list(content)) for name, kind, content in files]],
    )


@pytest.mark.parametrize("event", ["paste", "drop"])
def test_pasted_and_dropped_files_are_answered(page, event):
    notes, plate = ("n.txt", "text/plain", b"hello"), ("p", "image/png", encoded(DARK))
    hand_over(page, event, [notes, plate])
    expect(page, "This looks like steak.")
    hand_over(page, event, [notes])
    expect(page, FAILS, SENTENCES["no picture"])


def test_a_dropped_link_gets_a_sentence(page):
    hand_over(page, "drop", [])
    expect(page, FAILS, "Drop a picture file, not a link to one.")


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_picture_gets_the_sentence_that_python_gives(page, name):
    content, reason = REFUSED[name]
    choose(page, content)
    expect(page, FAILS, SENTENCES[reason])
    assert SENTENCES[reason] in status(page)
    assert not page.locator("#bars").is_visible()
    choose(page, encoded(GREEN))  # and the page goes on working
    expect(page, "This looks like sushi.")


def test_only_the_latest_picture_is_answered(page):
    choose(page, encoded(RED, size=(3000, 2000)))
    choose(page, encoded(GREEN))
    expect(page, "This looks like sushi.")
    page.evaluate(
        "import('./worker-client.js').then(async ({ask}) => ask(new Blob(['x'])))"
        ".catch(() => 0)"
    )  # answered after all that was asked before
    assert page.inner_text("#verdict") == "This looks like sushi."


def test_a_picture_chosen_before_the_model_is_ready_waits_for_it(context, url):
    page = open_page(context, url, wait=False)
    choose(page, encoded(DARK))
    expect(page, "This looks like steak.")
    assert page.crashes == []


def test_a_turned_photo_is_shown_upright(page):
    choose(page, turned(6))
    page.wait_for_selector("#stage[data-state=photo]")
    assert page.evaluate("[shown.width, shown.height]") == [60, 40]


def test_odd_pictures_become_the_pixels_that_python_makes(page):
    apart = {}
    for name, content in READABLE.items():
        theirs = np.asarray(pixels_of(page, content)).astype(int)
        ours = open_picture(io.BytesIO(content)).astype(int)
        assert theirs.shape == ours.shape, name
        apart[name] = np.abs(theirs - ours).max()
    # Two decoders of a JPEG may round differently, and so may two means of a square.
    limits = {name: 4 if content[:2] == b"\xff\xd8" else 1
              for name, content in READABLE.items()}  # fmt: skip
    assert {n: d for n, d in apart.items() if d > limits[n]} == {}


def test_the_square_in_the_middle_is_cut_out_as_the_model_cuts_it(page):
    share = np.float32(0.89)
    for name, content in READABLE.items():
        whole = np.asarray(pixels_of(page, content))
        square = np.asarray(pixels_of(page, content, float(share)))
        height, width = whole.shape[:2]
        side = max(1, int(np.float32(min(height, width)) * share))
        top, left = (height - side) // 2, (width - side) // 2
        assert np.array_equal(square, whole[top:, left:][:side, :side]), name


def test_a_large_photo_is_answered_and_shown(page):
    choose(page, encoded(RED, size=(4000, 3000)))
    expect(page, "This looks like pizza.")
    assert page.evaluate("shown.width") == 1200


def test_first_visit_is_small_and_later_ones_need_no_network(
    folder, browser, monkeypatch
):
    monkeypatch.setattr(pocket_server, "_Handler", Counting)
    monkeypatch.setattr(Counting, "sent", [])
    context = browser.new_context()
    with serve_folder(folder) as served:
        page = open_page(context, served.url)
        page.locator("#offline").wait_for()
        port = int(served.url.split(":")[-1].strip("/"))
    sent = sum(size for _, size in Counting.sent)
    print(f"first visit, without model: {sent / 1e6:.2f} MB")  # the stand-in's is tiny
    assert sent <= 5_000_000
    paths = [path for path, _ in Counting.sent]
    assert paths.count("/foodvision_mini.onnx") == 1, "large files come once"
    assert paths.count("/vendor/ort.wasm.gz") == 1
    kept = page.evaluate(
        """async () => [
            localStorage.length, sessionStorage.length, document.cookie,
            (await indexedDB.databases()).length, (await caches.keys()).length]"""
    )
    assert kept == [0, 0, "", 0, 1], "only the copy for days without network"
    assert context.cookies() == []
    page.close()

    page = open_page(context, served.url)  # the server is gone
    page.locator("#offline").wait_for()
    page.get_by_role("button", name="Example picture 1").click()
    expect(page, "This looks like pizza.")
    assert page.evaluate("crossOriginIsolated"), "the copy keeps its headers"
    context.set_offline(True)
    page.reload()
    page.wait_for_selector("body[data-model=ready]", timeout=60_000)

    context.set_offline(False)
    with serve_folder(folder, port=port):
        page.goto(served.url)
        page.locator("#offline").wait_for()
    context.close()


def test_a_new_version_replaces_the_old_one(tmp_path, browser):
    def model(name, **about):
        return make_model(tmp_path / name, **about)

    site = write_site(tmp_path / "site", model("a.onnx"), COLOURS)
    context = browser.new_context()
    with serve_folder(site) as served:
        page = open_page(context, served.url)
        page.locator("#offline").wait_for()
        about = {"trained_on": "999 better photos"}
        write_site(site, model("b.onnx", **about), COLOURS)
        page.reload()
        page.get_by_text("999 better photos").wait_for(timeout=60_000)
        page.locator("#offline").wait_for()
        page.wait_for_function("async () => (await caches.keys()).length === 1")
    context.close()


def test_no_request_leaves_the_page_s_own_address(context, url):
    asked = []
    context.on("request", lambda request: asked.append(request))
    page = open_page(context, url)
    choose(page, encoded(RED))
    expect(page, "This looks like pizza.")
    page.locator("#offline").wait_for()
    urls = {request.url for request in asked}
    assert all(address.startswith((url, "blob:", "data:")) for address in urls)
    assert {f"{url}vendor/ort.wasm.gz", f"{url}foodvision_mini.onnx"} <= urls
    assert any(request.service_worker for request in asked), "its requests count, too"
    refused = page.evaluate("fetch('http://127.0.0.1:9/').then(() => 0, () => 1)")
    assert refused == 1
    assert urls == {request.url for request in asked}, "the policy stopped it"


def test_more_cores_mean_threads_and_the_same_answer(context, folder):
    cores = "Object.defineProperty(navigator, 'hardwareConcurrency', {get: () => 8})"
    context.add_init_script(cores)
    answers = []
    runs = ((True, "ONNX Runtime, 4 threads"), (False, "ONNX Runtime, 1 thread"))
    for isolated, words in runs:
        with serve_folder(folder, isolated=isolated) as served:
            page = open_page(context, served.url)
            assert page.inner_text("#runs") == words
            choose(page, encoded(GREEN))
            expect(page, "This looks like sushi.")
            answers.append(page.locator(".share").all_text_contents())
            page.close()
    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    "lost", ["foodvision_mini.onnx", "vendor/ort.wasm.gz", "model.json", "files.json"]
)
def test_a_file_that_does_not_come_gets_a_sentence(context, url, lost):
    context.route(f"**/{lost}", lambda route: route.fulfill(status=404))
    page = open_page(context, url, wait=False)
    expect(page, "The model did not start.", "Check the connection and reload")
    assert "Check the connection" in status(page)
    choose(page, encoded(RED))
    expect(page, FAILS, "Check the connection and reload")
    assert page.crashes == []


def test_half_a_model_gets_a_sentence(context, url, folder):
    half = (folder / "foodvision_mini.onnx").read_bytes()[:300]
    context.route("**/*.onnx", lambda route: route.fulfill(body=half))
    page = open_page(context, url, wait=False)
    expect(page, "The model did not start.")
    # It was not kept: with the whole file, a reload helps.
    context.unroute("**/*.onnx")
    page.reload()
    page.wait_for_selector("body[data-model=ready]", timeout=60_000)


def test_a_script_that_does_not_come_gets_a_sentence(context, url):
    context.route("**/vendor/ort.mjs", lambda route: route.fulfill(status=404))
    page = open_page(context, url, wait=False)
    expect(page, "The model did not start.", "Check the connection and reload")


@pytest.mark.parametrize("missing", ["OffscreenCanvas", "DecompressionStream"])
def test_an_old_browser_gets_a_sentence(context, url, missing):
    context.add_init_script(f"delete globalThis.{missing}")
    page = open_page(context, url, wait=False)
    expect(page, "This browser is too old to run the model.")


def test_without_javascript_there_is_a_sentence(browser, url):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(url)
    assert "needs JavaScript" in page.inner_text("body")
    context.close()


def test_the_clipboard_button(context, url):
    origin = url.rstrip("/")
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=origin)
    page = open_page(context, url)
    page.evaluate(
        """async (bytes) => {
            const blob = new Blob([new Uint8Array(bytes)], { type: "image/png" });
            await navigator.clipboard.write([new ClipboardItem({ [blob.type]: blob })]);
        }""",
        list(encoded(GREEN, "PNG")),
    )
    page.get_by_role("button", name="Paste").click()
    expect(page, "This looks like sushi.")
    page.evaluate("navigator.clipboard.writeText('no picture')")
    page.get_by_role("button", name="Paste").click()
    expect(page, "There is no picture on the clipboard.")
    context.clear_permissions()
    page.get_by_role("button", name="Paste").click()
    expect(page, "Try Ctrl+V, or choose a photo.")


def test_a_practice_model_says_so(tmp_path, context):
    about = {"is_practice": "true", "trained_on": "450 drawn practice pictures"}
    model = make_model(tmp_path / "m.onnx", **about)
    site = write_site(tmp_path / "site", model, {})
    with serve_folder(site) as served:
        page = open_page(context, served.url)
        assert "learned from drawings" in page.inner_text("#banner")
        assert "450 drawn practice pictures" in page.inner_text("footer")
        assert not page.locator("#tries").is_visible(), "no examples, no heading"


def test_the_page_says_what_it_was_trained_on_and_that_nothing_leaves(page):
    words = page.inner_text("footer")
    assert "450 real photos" in words and "147 of 150" in words
    assert "No picture leaves this device." in words
    assert not page.locator("#banner").is_visible()
    assert page.inner_text("#question") == "Pizza, steak or sushi?"


def test_words_for_many_classes(page):
    said = page.evaluate(
        """async () => {
            const { describe, joinNames, median, percent } = await import("./words.js");
            const names = Array.from({ length: 101 }, (_, index) => `food ${index}`);
            const probabilities = names.map((_, index) => index / 5050);
            const about = {
                class_names: names, knn_similarity_threshold: 0.5,
                in_distribution_threshold: 0.25,
            };
            const scores = { knn_similarity: 0.5, in_distribution_score: 0.25 };
            const answer = { probabilities, ...scores };
            const shares = [1, 0.991, 0.5, 0.004].map(percent);
            const medians = [median([3, 1, 2]), median([1, 2])];
            const joined = [["cat", "dog"], names].map(joinNames);
            return [describe(answer, about), joined, shares, medians];
        }"""
    )
    answer, joined, shares, medians = said
    assert answer["verdict"] == "This looks like food 100.", "thresholds are reached"
    ranked = [row["name"] for row in answer["rows"]]
    assert ranked == [f"food {n}" for n in (100, 99, 98, 97, 96)]
    assert joined == ["cat or dog", "any of the 101 foods it knows"]
    assert shares == ["more than 99%", "more than 99%", "50%", "less than 1%"]
    assert medians == [2, 1.5]


@pytest.mark.parametrize("size", [(360, 740), (768, 1024), (1440, 900)])
def test_fits_the_screen(browser, url, size):
    viewport = {"width": size[0], "height": size[1]}
    context = browser.new_context(viewport=viewport)
    page = open_page(context, url)
    choose(page, encoded(BLUE))
    expect(page, "This does not look like a plate of food.")
    box = page.locator("#bars li").last.bounding_box()
    assert box["y"] + box["height"] <= size[1], "the answer shows without scrolling"
    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0, "nothing reaches beyond the screen"
    context.close()


def test_can_be_installed(page, url):
    page.locator("#offline").wait_for()
    session = page.context.new_cdp_session(page)
    manifest = session.send("Page.getAppManifest")
    assert manifest["errors"] == []
    assert json.loads(manifest["data"])["display"] == "standalone"
    errors = session.send("Page.getInstallabilityErrors")["installabilityErrors"]
    # A browser that keeps nothing, like this one, installs nothing.
    assert {error["errorId"] for error in errors} <= {"in-incognito"}
