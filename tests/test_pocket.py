"""The browser demo, in Chromium: every way to show it a picture, what may fail."""

import json

from demo_model_fixture import BLUE, DARK, GREEN, RED, YELLOW
from drawn_images import GOLDEN, golden_pictures
from odd_pictures import NOT_IN_BROWSERS, REFUSED, turned
from pocket_site import HAND_OVER, SIDEWAYS, Pocket, grave_complaints, plate, write_site

from going_modular.app.model import SENTENCES
from pocket.server import serve_folder
from pocket.site import first_visit

FAILS = "This picture did not work."
MOODS = {
    "another-dish": (YELLOW, "I think this is another dish."),
    "no-plate": (BLUE, "This does not look like a plate of food."),
}


def test_chosen_files_are_answered(context, url):
    page = Pocket(context, url, until="")
    page.choose(plate(RED))  # it waits until the model is ready
    page.choose(plate(DARK), "This looks like steak.")  # only the latest is answered
    page.choose(plate(RED, "GIF"), "This looks like pizza.", name="plate", kind="")
    page.expect("Answered in")
    assert page.bars()[0] == "pizza" and len(page.bars()) == 3
    assert page.status().startswith("This looks like pizza.")
    assert page.locator("#shown").is_visible()
    page.choose(plate(RED, size=(3000, 2000)))
    page.choose(plate(GREEN, size=(4000, 3000)), "This looks like sushi.")
    assert page.evaluate("shown.width") == 1200, "a large one is shown smaller"
    page.choose(turned(6))
    page.wait_for_function("() => shown.width === 60 && shown.height === 40")  # upright
    for mood, (colour, verdict) in MOODS.items():
        page.choose(plate(colour), verdict, "Closest of the dishes I know: ")
        page.expect("(0.50 needed), likeness to my dishes", "(0.25 needed). Answered")
        assert page.get_attribute("#answer", "data-mood") == mood
        assert page.status().startswith(f"{verdict} Closest of the dishes I know: ")
    for width, height in ((360, 740), (768, 1024), (1440, 900)):
        page.set_viewport_size({"width": width, "height": height})
        box = page.locator("#bars li").last.bounding_box()
        assert box["y"] + box["height"] <= height, "the answer needs no scrolling"
        assert not page.evaluate(SIDEWAYS)
    assert page.complaints == []


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
    page = Pocket(context, url)
    notes = ["n.txt", "text/plain", list(b"hello")]
    food = ["p", "image/png", list(plate(DARK))]
    for event in ("paste", "drop"):
        page.evaluate(HAND_OVER, [event, [notes, food]])
        page.expect("This looks like steak.")
        page.evaluate(HAND_OVER, [event, [notes]])
        page.expect(FAILS, SENTENCES["no picture"])
    page.evaluate(HAND_OVER, ["drop", []])
    page.expect(FAILS, "Drop a picture file, not a link to one.")
    rights = ["clipboard-read", "clipboard-write"]
    context.grant_permissions(rights, origin=url.rstrip("/"))
    page.evaluate(COPY, list(plate(GREEN, "PNG")))
    button = page.get_by_role("button", name="Paste")
    button.click()
    page.expect("This looks like sushi.")
    page.evaluate("navigator.clipboard.writeText('no picture')")
    button.click()
    page.expect("There is no picture on the clipboard.")
    context.clear_permissions()
    button.click()
    page.expect("Try Ctrl+V, or choose a photo.")


def test_what_is_no_picture_gets_the_sentence_that_python_gives(page):
    for name, (content, reason) in {**REFUSED, **NOT_IN_BROWSERS}.items():
        page.choose(content, FAILS, SENTENCES[reason])
        assert SENTENCES[reason] in page.status(), name
        assert not page.locator("#bars").is_visible(), name
        page.choose(plate(GREEN))  # and the page goes on working
        page.expect("This looks like sushi.")


def test_a_slow_example_leaves_a_camera_open_that_was_started_meanwhile(page):
    page.locator("#offline").wait_for()  # it fetches nothing more on its own
    page.evaluate(SLOW)
    page.try_example(1)
    page.start_camera()
    page.evaluate("arrive()")
    page.wait_for_timeout(500)
    assert page.get_attribute("#stage", "data-state") == "live"
    assert page.evaluate("video.srcObject !== null")
    page.evaluate("() => { globalThis.fetch = () => Promise.reject(new Error()); }")
    page.try_example(1, FAILS, "It did not arrive. Check the connection.")


def test_one_address_gives_the_golden_answers(context, committed_url, committed_site):
    asked = set()
    context.on("request", lambda request: asked.add(request.url.split("?")[0]))
    page = Pocket(context, committed_url)
    for golden in golden_pictures():
        page.choose(golden["file"], golden["says"], name="plate.png", kind="image/png")
    page.locator("#offline").wait_for()
    assert page.evaluate("fetch('http://127.0.0.1:9/').then(() => 0, () => 1)") == 1
    addresses = {url for url in asked if not url.startswith(("blob:", "data:"))}
    used = first_visit(committed_site)
    needed = {"", "sw.js", "files.json", *used} - {"index.html"}
    assert addresses == {committed_url + name for name in needed}
    assert sum(used.values()) <= 10_000_000
    session = context.new_cdp_session(page.tab)  # it can be installed
    assert session.send("Page.getAppManifest")["errors"] == []
    errors = session.send("Page.getInstallabilityErrors")["installabilityErrors"]
    # A browser that keeps nothing, like this one, installs nothing.
    assert {error["errorId"] for error in errors} <= {"in-incognito"}


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
    "#answer[data-mood=dish]": lambda page: page.try_example(1),
    "#answer[data-mood=no-plate]": lambda page: page.try_example(2),
    "#answer[data-mood=another-dish]": lambda page: page.try_example(4),
    "#stage[data-state=live]": Pocket.start_camera,
    "#answer[data-mood=problem]": lambda page: page.choose(b"no picture"),
}


def test_axe_finds_nothing_serious_and_nothing_moves_if_asked(context, tmp_path):
    site = write_site(tmp_path / "site", is_practice="true")  # its banner counts, too
    with serve_folder(site) as served:
        context.grant_permissions(["camera"], origin=served.url.rstrip("/"))
        page = Pocket(context, served.url)
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
    assert page.status() == "The model is ready."
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
