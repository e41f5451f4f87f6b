"""The browser demo for those who do not see it, or use no mouse."""

from pocket_site import (
    choose,
    grave_complaints,
    open_page,
    start_camera,
    status,
    try_example,
    write_site,
)

from pocket.server import serve_folder

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


def test_axe_finds_nothing_serious_and_nothing_moves_for_those_who_asked(
    context, tmp_path
):
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
