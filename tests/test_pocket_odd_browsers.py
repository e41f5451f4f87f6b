"""Browsers that never answer, lack something, or cannot start the page at all."""

import re

import pytest
from demo_model_fixture import GREEN
from pocket_site import choose, expect, open_page, plate, visitor

from benchmarks.browser import READY

NEVER = "new Promise(() => {})"
ODD = {
    "opening the database hangs": "indexedDB.open = () => ({});",
    "opening the database throws": "indexedDB.open = () => { throw new Error(); };",
    "no database": "Object.defineProperty(self, 'indexedDB', { value: undefined });",
    "the database never reads": "IDBObjectStore.prototype.getAll = () => ({});"
    "Object.defineProperty(IDBTransaction.prototype, 'oncomplete', { set() {} });",
    "no channel to other tabs": "delete self.BroadcastChannel;",
    "the store hangs": f"CacheStorage.prototype.open = () => {NEVER};",
    "the store throws": "CacheStorage.prototype.open = () => Promise.reject(Error());",
    "the store finds nothing, ever": f"Cache.prototype.match = () => {NEVER};",
    "no store": "Object.defineProperty(self, 'caches', { value: undefined });",
    "no offline": f"ServiceWorkerContainer.prototype.register = () => {NEVER};",
}
IN_PAGES = ["no offline"]  # what no worker has
NOT_STARTED = "This page has not started."
FAILED = "The model did not start"
TOO_OLD = "This browser is too old to run the model."
# A minute, and all longer times, take half a second.
HURRY = """const wait = setTimeout;
self.setTimeout = (what, ms) => wait(what, Math.min(ms, 500));"""


@pytest.mark.parametrize("odd", ODD)
def test_what_only_helps_never_keeps_an_answer_back(browser, committed_url, odd):
    """By the committed model, which can be taught: it asks for what was kept."""
    script = f"try {{ {ODD[odd]} }} catch {{}}"

    def put_before(route):
        reply = route.fetch()
        route.fulfill(response=reply, body=script + reply.text())

    with visitor(browser, committed_url) as context:
        context.add_init_script(script)
        if odd not in IN_PAGES:
            context.route("**/worker.js", put_before)
        page = open_page(context, committed_url, wait=False)
        choose(page, plate(GREEN))
        expect(page, "Closest of the dishes I know", "Answered in")


@pytest.fixture
def failing(browser):
    """A visitor whose pages may crash."""
    with browser.new_context() as context:
        yield context


@pytest.mark.parametrize(
    ("file", "reply", "sentence"),
    [
        ("page.js", {"status": 404}, NOT_STARTED),
        ("finder.js", {"status": 404}, NOT_STARTED),
        ("patience.js", {"status": 404}, NOT_STARTED),
        ("worker.js", {"status": 404}, FAILED),
        ("engine.js", {"status": 404}, FAILED),
        ("engine.js", {"body": "export const start = () => Promise.reject();"}, FAILED),
        ("model.json", {"body": '{"half": '}, FAILED),
        ("files.json", {"status": 500}, FAILED),
        ("picture.js", {"body": "throw new Error('odd')"}, FAILED),
    ],
)
def test_a_part_that_does_not_come_is_told(failing, url, file, reply, sentence):
    failing.route(re.compile(f"/{file}$"), lambda route: route.fulfill(**reply))
    page = failing.new_page()
    page.goto(url)
    page.get_by_text(sentence).first.wait_for()
    assert page.locator("#not-started").count() == (sentence == NOT_STARTED)


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ("CSSStyleDeclaration = undefined; delete self.URL;", NOT_STARTED),
        ("delete globalThis.OffscreenCanvas", TOO_OLD),
        ("delete globalThis.DecompressionStream", TOO_OLD),
        (None, "with JavaScript switched on"),
    ],
)
def test_a_browser_that_cannot_start_the_page_gets_a_sentence(
    browser, url, script, sentence
):
    with browser.new_context(java_script_enabled=script is not None) as context:
        context.add_init_script(script or "")
        page = context.new_page()
        page.goto(url)
        page.get_by_text(sentence).first.wait_for()


def test_a_worker_that_never_speaks_is_told(failing, url):
    failing.add_init_script(HURRY)
    quiet = "self.onmessage = () => {};"
    failing.route("**/worker.js", lambda route: fulfill(route, quiet))
    page = failing.new_page()
    page.goto(url)
    choose(page, plate(GREEN))
    page.get_by_text("This takes long.").wait_for()
    assert page.get_attribute("body", "data-model") is None


def test_a_worker_that_falls_silent_later_is_told_and_let_go(failing, url):
    deaf = """const really = self.onmessage;
    self.onmessage = (event) => { if (!event.data.id) really(event); };"""
    failing.route("**/worker.js", lambda route: fulfill(route, "", deaf))
    page = open_page(failing, url)
    page.evaluate(HURRY)
    choose(page, plate(GREEN))
    expect(page, "This picture did not work.", "has not answered for a minute.")
    assert page.locator(READY).count() == 1 and page.locator("#choose").is_enabled()


def fulfill(route, instead: str, after: str = "") -> None:
    """Answer with other code, or with more code."""
    reply = route.fetch()
    route.fulfill(response=reply, body=(instead or reply.text()) + after)
