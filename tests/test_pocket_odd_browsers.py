"""Browsers that never answer, lack something, or cannot start the page at all."""

import re

import pytest
from demo_model_fixture import GREEN
from pocket_site import CASES, add_code, choose, expect, open_page, plate, visitor

from benchmarks.browser import READY

# A minute, and all longer times, take half a second.
HURRY = """const wait = setTimeout;
self.setTimeout = (what, ms, ...more) => wait(what, Math.min(ms, 500), ...more);"""
QUIET = "self.onmessage = () => {};"
DEAF = """const really = self.onmessage;
self.onmessage = (event) => { if (event.data.call === "start") really(event); }"""


@pytest.mark.parametrize(
    "odd", CASES["odd_browsers"].values(), ids=CASES["odd_browsers"]
)
def test_what_only_helps_never_keeps_an_answer_back(browser, committed_url, odd):
    """By the committed model, which can be taught: it asks for what was kept."""
    script = f"try {{ {odd} }} catch {{}}"
    with visitor(browser, committed_url) as context:
        context.add_init_script(script)
        context.route("**/worker.js", lambda route: add_code(route, script))
        page = open_page(context, committed_url, wait=False)
        choose(page, plate(GREEN))
        expect(page, "Closest of the dishes I know", "Answered in")


@pytest.fixture
def failing(browser):
    """A visitor whose pages may crash."""
    with browser.new_context() as context:
        yield context


def test_a_part_that_does_not_come_is_told(failing, url):
    for file, reply, sentence in CASES["parts"]:
        of_file = re.compile(f"/{file}$")
        failing.route(of_file, lambda route, _, told=reply: route.fulfill(**told))
        page = failing.new_page()
        page.goto(url)
        page.get_by_text(sentence).first.wait_for()
        has_not_started = page.locator("#not-started").count() == 1
        assert has_not_started == sentence.startswith("This page"), file
        page.close()
        failing.unroute(of_file)


def test_a_browser_that_cannot_start_the_page_gets_a_sentence(browser, url):
    for sentence, script in CASES["old_browsers"].items():
        with browser.new_context(java_script_enabled=bool(script)) as context:
            context.add_init_script(script)
            page = context.new_page()
            page.goto(url)
            page.get_by_text(sentence).first.wait_for()


def test_a_worker_that_never_speaks_or_falls_silent_is_told(failing, url):
    failing.add_init_script(HURRY)
    failing.route("**/worker.js", lambda route: add_code(route, after=QUIET))
    page = open_page(failing, url, wait=False)
    choose(page, plate(GREEN))
    page.get_by_text("This takes long.").wait_for()
    assert page.get_attribute("body", "data-model") is None
    failing.unroute("**/worker.js")
    failing.route("**/worker.js", lambda route: add_code(route, after=DEAF))
    page = open_page(failing, url)
    choose(page, plate(GREEN))
    expect(page, "This picture did not work.", "has not answered for a minute.")
    assert page.locator(READY).count() == 1 and page.locator("#choose").is_enabled()
