"""The browser demo, in Chromium: every way to show it a picture, what may fail."""

import base64
import io
import json

import numpy as np
import pytest
from demo_model_fixture import BLUE, DARK, GREEN, RED, YELLOW
from drawn_images import GOLDEN, golden_pictures
from odd_pictures import NOT_IN_BROWSERS, READABLE, REFUSED, halves, turned, wide_gamut
from pocket_site import (
    COMMITTED,
    SIDEWAYS,
    choose,
    expect,
    grave_complaints,
    open_page,
    plate,
    start_camera,
    status,
    try_example,
    visitor,
    write_site,
)

from benchmarks.browser import READY
from going_modular.app.model import SENTENCES, open_picture
from pocket.server import serve_folder
from pocket.site import MODEL, TFLITE, first_visit, write_pocket

FAILS = "This picture did not work."
RELOAD = "Check the connection and reload the page."
FORMATS = {"JPEG": RED, "WEBP": DARK, "PNG": GREEN, "GIF": RED, "BMP": DARK}
NAMES = {RED: "pizza", DARK: "steak", GREEN: "sushi"}
MOODS = {
    "another-dish": (YELLOW, "I think this is another dish."),
    "no-plate": (BLUE, "This does not look like a plate of food."),
}


def test_files_of_all_formats_are_answered(context, url):
    page = open_page(context, url, until="")
    choose(page, plate(RED))  # it waits until the model is ready
    choose(page, plate(DARK), "This looks like steak.")  # only the latest is answered
    for kind, colour in FORMATS.items():
        choose(page, plate(colour, kind), name="plate", kind="")
        expect(page, f"This looks like {NAMES[colour]}.", "Answered in")
        names = page.locator("#bars .name").all_text_contents()
        assert names[0] == NAMES[colour] and len(names) == 3
        assert status(page).startswith(f"This looks like {NAMES[colour]}.")
        assert page.locator("#shown").is_visible()
    choose(page, plate(RED, size=(3000, 2000)))
    choose(page, plate(GREEN, size=(4000, 3000)), "This looks like sushi.")
    assert page.evaluate("shown.width") == 1200, "a large one is shown smaller"
    choose(page, turned(6))
    page.wait_for_function("() => shown.width === 60 && shown.height === 40")  # upright
    for mood, (colour, verdict) in MOODS.items():
        choose(page, plate(colour), verdict, "Closest of the dishes I know: ")
        expect(page, "(0.50 needed), likeness to my dishes", "(0.25 needed). Answered")
        assert page.get_attribute("#answer", "data-mood") == mood
        assert status(page).startswith(f"{verdict} Closest of the dishes I know: ")
    for width, height in ((360, 740), (768, 1024), (1440, 900)):
        page.set_viewport_size({"width": width, "height": height})
        box = page.locator("#bars li").last.bounding_box()
        assert box["y"] + box["height"] <= height, "the answer needs no scrolling"
        assert not page.evaluate(SIDEWAYS)
    assert page.complaints == []


HAND_OVER = """([event, files]) => {
    const data = new DataTransfer();
    for (const [name, type, bytes] of files) {
        data.items.add(new File([new Uint8Array(bytes)], name, { type }));
    }
    dispatchEvent(event === "paste"
        ? new ClipboardEvent(event, { clipboardData: data })
        : new DragEvent(event, { dataTransfer: data, cancelable: true }));
}"""
SLOW = """() => {
    const coming = fetch("examples/1.png");
    globalThis.fetch = () => new Promise((resolve) => {
        globalThis.arrive = () => resolve(coming);
    });
}"""
COPY = """async (bytes) => {
    const blob = new Blob([new Uint8Array(bytes)], { type: "image/png" });
    await navigator.clipboard.write([new ClipboardItem({ [blob.type]: blob })]);
}"""


def test_pasted_and_dropped_files_are_answered(context, url):
    page = open_page(context, url)
    notes = ["n.txt", "text/plain", list(b"hello")]
    food = ["p", "image/png", list(plate(DARK))]
    for event in ("paste", "drop"):
        page.evaluate(HAND_OVER, [event, [notes, food]])
        expect(page, "This looks like steak.")
        page.evaluate(HAND_OVER, [event, [notes]])
        expect(page, FAILS, SENTENCES["no picture"])
    page.evaluate(HAND_OVER, ["drop", []])
    expect(page, FAILS, "Drop a picture file, not a link to one.")
    rights = ["clipboard-read", "clipboard-write"]
    context.grant_permissions(rights, origin=url.rstrip("/"))
    page.evaluate(COPY, list(plate(GREEN, "PNG")))
    button = page.get_by_role("button", name="Paste")
    button.click()
    expect(page, "This looks like sushi.")
    page.evaluate("navigator.clipboard.writeText('no picture')")
    button.click()
    expect(page, "There is no picture on the clipboard.")
    context.clear_permissions()
    button.click()
    expect(page, "Try Ctrl+V, or choose a photo.")


def test_what_is_no_picture_gets_the_sentence_that_python_gives(page):
    for name, (content, reason) in {**REFUSED, **NOT_IN_BROWSERS}.items():
        choose(page, content, FAILS, SENTENCES[reason])
        assert SENTENCES[reason] in status(page), name
        assert not page.locator("#bars").is_visible(), name
        choose(page, plate(GREEN))  # and the page goes on working
        expect(page, "This looks like sushi.")


def test_a_slow_example_leaves_a_camera_open_that_was_started_meanwhile(page):
    page.locator("#offline").wait_for()  # it fetches nothing more on its own
    page.evaluate(SLOW)
    try_example(page, 1)
    start_camera(page)
    page.evaluate("arrive()")
    page.wait_for_timeout(500)
    assert page.get_attribute("#stage", "data-state") == "live"
    assert page.evaluate("video.srcObject !== null")
    page.evaluate("() => { globalThis.fetch = () => Promise.reject(new Error()); }")
    try_example(page, 1, FAILS, "It did not arrive. Check the connection.")


# What the page would show the model of a file, and of the square in its middle.
PIXELS = """async ([base64, share]) => {
    const { openPicture, toPixels } = await import("./picture.js");
    const { pictures } = await (await fetch("model.json")).json();
    const file = new Blob([Uint8Array.fromBase64(base64)]);
    const bitmap = await openPicture(file, pictures);
    return [undefined, share].map((part) => {
        const { data, height, width } = toPixels(bitmap, pictures, part);
        return [new Uint8Array(data.buffer).toBase64(), [height, width, 4]];
    });
}"""


def test_odd_pictures_become_the_pixels_that_python_makes(page):
    share, too_far = np.float32(0.89), {}
    profiles = {f"wide {kind}": wide_gamut(halves(), kind) for kind in ("PNG", "JPEG")}
    for name, content in (READABLE | profiles).items():
        asked = [base64.b64encode(content).decode(), float(share)]
        theirs, square = (
            np.frombuffer(base64.b64decode(data), np.uint8).reshape(shape)
            for data, shape in page.evaluate(PIXELS, asked)
        )
        assert (theirs[..., 3] == 255).all(), "nothing is see-through"
        ours = open_picture(io.BytesIO(content)).astype(int)
        assert theirs[..., :3].shape == ours.shape, name
        apart = np.abs(theirs[..., :3] - ours).max()
        # Two decoders of a JPEG may round differently; so may two means of a square.
        if apart > (4 if content[:2] == b"\xff\xd8" else 1):
            too_far[name] = apart
        # The square in the middle is cut out as the model cuts it.
        height, width = theirs.shape[:2]
        side = max(1, int(np.float32(min(height, width)) * share))
        top, left = (height - side) // 2, (width - side) // 2
        assert np.array_equal(square, theirs[top:, left:][:side, :side]), name
    assert too_far == {}


def test_a_new_version_replaces_the_old_one(tmp_path, context):
    site = write_site(tmp_path / "site")
    with serve_folder(site) as served:
        page = open_page(context, served.url)
        page.locator("#offline").wait_for()
        assert page.inner_text("#runs").startswith("ONNX Runtime")
        assert page.inner_text("#question") == "Pizza, steak or sushi?"
        words = page.inner_text("footer")
        assert "450 real photos" in words and "147 of 150" in words
        assert "No picture leaves this device." in words
        assert not page.locator("#banner").is_visible()
        write_site(site, is_practice="true", trained_on="450 drawn pictures")
        page.reload()
        page.get_by_text("450 drawn pictures").wait_for(timeout=60_000)
        assert "learned from drawings" in page.inner_text("#banner")
        page.locator("#offline").wait_for()
        write_pocket(COMMITTED, site)  # another engine, too
        page.reload()
        page.get_by_text("LiteRT with relaxed SIMD, 1 thread").wait_for()
        assert not page.locator("#tries").is_visible(), "no examples, no heading"
        page.locator("#offline").wait_for()
        page.wait_for_function("async () => (await caches.keys()).length === 1")
    page.reload()  # the server is gone
    page.get_by_text("LiteRT with relaxed SIMD, 1 thread").wait_for()
    assert page.complaints == []


def test_one_address_gives_the_golden_answers(context, committed_url, committed_site):
    asked = set()
    context.on("request", lambda request: asked.add(request.url.split("?")[0]))
    page = open_page(context, committed_url)
    for golden in golden_pictures():
        choose(page, golden["file"], golden["says"], name="plate.png", kind="image/png")
    page.locator("#offline").wait_for()
    assert page.evaluate("fetch('http://127.0.0.1:9/').then(() => 0, () => 1)") == 1
    addresses = {url for url in asked if not url.startswith(("blob:", "data:"))}
    used = first_visit(committed_site)
    needed = {"", "sw.js", "files.json", *used} - {"index.html"}
    assert addresses == {committed_url + name for name in needed}
    assert sum(used.values()) <= 10_000_000
    session = context.new_cdp_session(page)  # it can be installed
    assert session.send("Page.getAppManifest")["errors"] == []
    errors = session.send("Page.getInstallabilityErrors")["installabilityErrors"]
    # A browser that keeps nothing, like this one, installs nothing.
    assert {error["errorId"] for error in errors} <= {"in-incognito"}


def test_more_cores_mean_threads_and_the_same_answer(context, stand_in_site):
    cores = "Object.defineProperty(navigator, 'hardwareConcurrency', {get: () => 8})"
    context.add_init_script(cores)
    answers = []
    for isolated in (True, False):
        with serve_folder(stand_in_site, isolated=isolated) as served:
            page = open_page(context, served.url)
            threads = "4 threads" if isolated else "1 thread"
            assert page.inner_text("#runs") == f"ONNX Runtime, {threads}"
            choose(page, plate(GREEN), "This looks like sushi.")
            answers.append(page.locator(".share").all_text_contents())
            page.close()
    assert answers[0] == answers[1]


# What each engine starts with; the first two of each are tried torn, too.
STARTS = {
    "url": [MODEL, "vendor/ort.wasm.gz", "vendor/ort.mjs"],
    "committed_url": [TFLITE, "vendor/litert_relaxed.wasm.gz", "prepare.wasm"]
    + ["vendor/litert.js", "vendor/litert_relaxed.js"],
}


@pytest.mark.parametrize("of", STARTS)
def test_a_file_that_does_not_come_or_is_torn_gets_a_sentence(browser, request, of):
    url = request.getfixturevalue(of)
    for file in STARTS[of]:
        with visitor(browser, url) as context:
            whole, replies = context.request.get(url + file).body(), [{"status": 404}]
            if file in STARTS[of][:2]:  # the beginning only, or zeros
                replies += [{"body": whole[:300]}, {"body": bytes(len(whole))}]
            for reply in replies:
                place = f"**/{file}"
                context.route(place, lambda route, _, how=reply: route.fulfill(**how))
                page = open_page(context, url, until="")
                expect(page, "The model did not start.", RELOAD)
                assert RELOAD in status(page)
                choose(page, plate(RED), FAILS, RELOAD)
                context.unroute(place)
            page.reload()  # what was torn is not kept
            page.wait_for_selector(READY, timeout=60_000)


DESCRIBE = """async (cases) => {
    const { describe } = await import("./words.js");
    const about = await (await fetch("model.json")).json();
    return cases.map((one) => describe(one.asked, { ...about, ...one.about }));
}"""


def test_scores_become_the_golden_words(page):
    cases = json.loads(GOLDEN.read_text("utf-8"))["words"]
    for case, told in zip(cases, page.evaluate(DESCRIBE, cases), strict=True):
        assert told["kind"] == case["verdict"]
        assert [told[key] for key in ("verdict", "detail", "numbers")] == case["says"]
        assert 2 <= len(told["rows"]) <= 5, "bars, however many classes there are"


FOCUSED = """() => {
    const { activeElement: it } = document;
    const name = it.ariaLabel ?? (it.alt || it.innerText);
    return [name, getComputedStyle(it).outlineWidth];
}"""
MOVING = """() => [...document.querySelectorAll("*")].filter((element) => {
    const { animationName, transitionDuration } = getComputedStyle(element);
    return animationName !== "none" || !/^0s(, 0s)*$/.test(transitionDuration);
}).length"""
# What the page shows, and how to get there.
STATES = {
    "#stage[data-state=idle]": lambda page: None,
    "#answer[data-mood=dish]": lambda page: try_example(page, 1),
    "#answer[data-mood=no-plate]": lambda page: try_example(page, 2),
    "#answer[data-mood=another-dish]": lambda page: try_example(page, 4),
    "#stage[data-state=live]": start_camera,
    "#answer[data-mood=problem]": lambda page: choose(page, b"no picture"),
}


def test_axe_finds_nothing_serious_and_nothing_moves_if_asked(context, tmp_path):
    site = write_site(tmp_path / "site", is_practice="true")  # its banner counts, too
    with serve_folder(site) as served:
        context.grant_permissions(["camera"], origin=served.url.rstrip("/"))
        page = open_page(context, served.url)
        for state, reach in STATES.items():
            reach(page)
            page.wait_for_selector(state)
            assert grave_complaints(page) == [], state
            assert page.evaluate(MOVING) == 0, "reduced motion is emulated"


def focused(page) -> str:
    name, outline = page.evaluate(FOCUSED)
    assert outline == "3px", "one sees where one is"
    return name


def test_everything_can_be_reached_and_used_by_keyboard(page):
    assert page.get_by_role("status").count() == 1
    assert status(page) == "The model is ready."
    reached = []
    for _ in range(8):
        page.keyboard.press("Tab")
        reached.append(focused(page))
    examples = [f"Example picture {number}" for number in range(1, 6)]
    assert reached == ["Choose photo", "Start camera", "Paste", *examples]
    page.keyboard.press("Enter")
    page.get_by_role("status").get_by_text("This looks like steak.").wait_for()
    page.locator("#choose").focus()
    with page.expect_file_chooser():
        page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")  # starts the camera
    page.wait_for_selector("#stage[data-state=live]")
    assert focused(page) == "Take photo"
    page.keyboard.press("Tab")
    assert focused(page) == "Stop"
    page.keyboard.press("Enter")
    page.wait_for_selector("#stage[data-state=idle]")
    assert focused(page) == "Start camera", "focus is not lost with the button"
