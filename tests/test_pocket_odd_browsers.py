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
NOT_STARTED = "This page has not started."
FAILED = "The model did not start"
TOO_OLD = "This browser is too old to run the model."
LOST = {"status": 404}
# Which file comes how, and what the page says then.
PARTS = [
    ("page.js", LOST, NOT_STARTED),
    ("patience.js", LOST, NOT_STARTED),
    ("worker.js", LOST, FAILED),
    ("engine.js", LOST, FAILED),
    ("engine.js", {"body": "export const start = () => Promise.reject();"}, FAILED),
    ("model.json", {"body": '{"half": '}, FAILED),
    ("files.json", {"status": 500}, FAILED),
    ("picture.js", {"body": "throw new Error('odd')"}, FAILED),
]
OLD = {
    "CSSStyleDeclaration = undefined; delete self.URL;": NOT_STARTED,
    "delete globalThis.OffscreenCanvas": TOO_OLD,
    "delete globalThis.DecompressionStream": TOO_OLD,
    "": "with JavaScript switched on",
}
# A minute, and all longer times, take half a second.
HURRY = """const wait = setTimeout;
self.setTimeout = (what, ms, ...more) => wait(what, Math.min(ms, 500), ...more);"""
QUIET = "self.onmessage = () => {};"
DEAF = """const really = self.onmessage;
self.onmessage = (event) => { if (event.data.call === "start") really(event); }"""


@pytest.mark.parametrize("odd", ODD)
def test_what_only_helps_never_keeps_an_answer_back(browser, committed_url, odd):
    """By the committed model, which can be taught: it asks for what was kept."""
    script = f"try {{ {ODD[odd]} }} catch {{}}"
    with visitor(browser, committed_url) as context:
        context.add_init_script(script)
        context.route("**/worker.js", lambda route: change(route, script, ""))
        page = open_page(context, committed_url, wait=False)
        choose(page, plate(GREEN))
        expect(page, "Closest of the dishes I know", "Answered in")


def change(route, before: str, after: str) -> None:
    """Answer with more code."""
    reply = route.fetch()
    route.fulfill(response=reply, body=f"{before}{reply.text()}{after}")


@pytest.fixture
def failing(browser):
    """A visitor whose pages may crash."""
    with browser.new_context() as context:
        yield context


def test_a_part_that_does_not_come_is_told(failing, url):
    for file, reply, sentence in PARTS:
        of_file = re.compile(f"/{file}$")
        failing.route(of_file, lambda route, _, told=reply: route.fulfill(**told))
        page = failing.new_page()
        page.goto(url)
        page.get_by_text(sentence).first.wait_for()
        assert page.locator("#not-started").count() == (sentence == NOT_STARTED), file
        page.close()
        failing.unroute(of_file)


def test_a_browser_that_cannot_start_the_page_gets_a_sentence(browser, url):
    for script, sentence in OLD.items():
        with browser.new_context(java_script_enabled=bool(script)) as context:
            context.add_init_script(script)
            page = context.new_page()
            page.goto(url)
            page.get_by_text(sentence).first.wait_for()


def test_a_worker_that_never_speaks_or_falls_silent_is_told(failing, url):
    failing.add_init_script(HURRY)
    failing.route("**/worker.js", lambda route: change(route, "", QUIET))
    page = open_page(failing, url, wait=False)
    choose(page, plate(GREEN))
    page.get_by_text("This takes long.").wait_for()
    assert page.get_attribute("body", "data-model") is None
    failing.unroute("**/worker.js")
    failing.route("**/worker.js", lambda route: change(route, "", DEAF))
    page = open_page(failing, url)
    choose(page, plate(GREEN))
    expect(page, "This picture did not work.", "has not answered for a minute.")
    assert page.locator(READY).count() == 1 and page.locator("#choose").is_enabled()
