"""Browsers that never answer, lack something, or cannot start the page at all."""

import re

import pytest
from demo_model_fixture import GREEN
from pocket_site import choose, expect, open_page, plate, visitor

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


@pytest.mark.parametrize("file", ["page.js", "view.js", "patience.js"])
def test_a_page_without_a_part_of_its_program_says_so(failing, url, file):
    failing.route(f"**/{file}", lambda route: route.fulfill(status=404))
    page = failing.new_page()
    page.goto(url)
    page.get_by_text("This page has not started.").wait_for()


def test_a_page_that_fails_at_its_start_says_so(failing, url):
    failing.add_init_script("CSSStyleDeclaration = undefined; delete self.URL;")
    page = failing.new_page()
    page.goto(url)
    page.get_by_text("This page has not started.").wait_for()


def test_a_page_that_started_takes_the_sentence_away(failing, url):
    page = open_page(failing, url)
    assert page.locator("#not-started").count() == 0


@pytest.mark.parametrize(
    ("file", "reply"),
    [
        ("worker.js", {"status": 404}),
        ("engine.js", {"status": 404}),
        ("model.json", {"body": '{"half": '}),
        ("files.json", {"status": 500}),
        ("picture.js", {"body": "throw new Error('odd')"}),
    ],
)
def test_a_part_that_does_not_come_is_told(failing, url, file, reply):
    failing.route(re.compile(f"/{file}$"), lambda route: route.fulfill(**reply))
    page = failing.new_page()
    page.goto(url)
    expect(page, "The model did not start")


def test_a_worker_that_never_speaks_is_told(failing, url):
    failing.add_init_script(
        "const wait = setTimeout;"
        "self.setTimeout = (what, ms) => wait(what, Math.min(ms, 500));"
    )
    quiet = "self.onmessage = () => {};"
    failing.route(
        "**/worker.js", lambda route: route.fulfill(response=route.fetch(), body=quiet)
    )
    page = failing.new_page()
    page.goto(url)
    choose(page, plate(GREEN))
    page.get_by_text("This takes long.").wait_for()
    assert page.get_attribute("body", "data-model") is None
