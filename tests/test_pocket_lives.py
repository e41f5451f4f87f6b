"""The browser demo on its second visit: whatever is stored, the page comes back."""

import time

import pytest
from demo_model_fixture import BLUE, make_model
from playwright.sync_api import Error
from pocket_site import open_page, write_site

from going_modular.pocket import server as pocket_server
from going_modular.pocket.server import serve_folder

pytestmark = pytest.mark.browser
# What a page that died behind clean URLs has: a worker that answers for ever with what
# came by way of a redirection, which no browser takes for a page.
DEAD = """self.onfetch = (event) => {
    if (event.request.mode === "navigate") event.respondWith(fetch("index.html"));
};"""
STORED = """async ([name, body, path]) => {
    const [key] = await caches.keys(), store = await caches.open(key);
    const stored = path ? await fetch(path, { cache: "no-store" }) : new Response(body);
    await store.put(name, stored);
}"""
WHOLE = """async (name) => {
    const [key] = await caches.keys(), store = await caches.open(key);
    const [stored, list] = [await store.match(name), await fetch("files.json")];
    const { files } = await list.json();
    const size = files[name === "./" ? "index.html" : name];
    return stored && !stored.redirected && (await stored.blob()).size === size;
}"""


class CleanUrls(pocket_server._Handler):
    """A host that answers /index.html by a redirection to /, or not at all."""

    pause = 0.0  # s

    def do_GET(self) -> None:
        time.sleep(self.pause)
        if self.path.partition("?")[0] == "/index.html":
            self.send_response(308)
            self.send_header("Location", "/")
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            super().do_GET()


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.setattr(pocket_server, "_Handler", CleanUrls)
    model = make_model(tmp_path / "m.onnx")
    return write_site(tmp_path / "site", model, {"blue": BLUE})


@pytest.fixture
def context(browser):
    context = browser.new_context()
    yield context
    context.close()


def visit(context, url: str):
    page = open_page(context, url)
    page.locator("#offline").wait_for(timeout=60_000)
    return page


def test_it_works_at_every_visit_behind_clean_urls(site, context, monkeypatch):
    with serve_folder(site) as served:
        for address in ("", "", "index.html", "?from=a-friend"):
            visit(context, served.url + address)
        monkeypatch.setattr(CleanUrls, "pause", 10)
        page = context.new_page()
        page.goto(served.url, timeout=9_000)  # stored, as the host takes too long
        page.wait_for_selector("body[data-model=ready]", timeout=9_000)
    for address in ("", "index.html", "?from=a-friend"):
        visit(context, served.url + address)  # the server is gone


@pytest.mark.parametrize(
    "stored",
    [
        ("./", "", "index.html"),
        ("page.js", "<h1>Sign in to this hotel's network</h1>", ""),
        ("model.json", "", ""),
        ("foodvision_mini.onnx", "torn", ""),
    ],
    ids=lambda stored: stored[0],
)
def test_a_broken_store_is_no_reason_to_die(site, context, stored):
    with serve_folder(site) as served:
        page = visit(context, served.url)
        page.evaluate(STORED, stored)
        page = visit(context, served.url)
        page.wait_for_function(WHOLE, arg=stored[0])
    page = visit(context, served.url)  # the server is gone
    assert page.complaints == []


@pytest.mark.parametrize("way_out", ["sw.js", "sw-remove.js"])
def test_a_page_that_is_dead_today_comes_back(site, context, way_out):
    mended = (site / way_out).read_text("utf-8")
    (site / "sw.js").write_text(DEAD, "utf-8")
    with serve_folder(site) as served:
        page = context.new_page()
        page.goto(served.url)
        register = "navigator.serviceWorker.register('sw.js?build=plain&v=1')"
        page.evaluate(f"{register}.then(() => navigator.serviceWorker.ready)")
        page.evaluate("caches.open(`pocket ${new URL('./', location)} 1`)")
        with pytest.raises(Error, match="ERR_FAILED"):
            page.goto(served.url)
        (site / "sw.js").write_text(mended, "utf-8")
        until = time.monotonic() + 60
        while not alive(page, served.url):
            assert time.monotonic() < until, "it stays dead"
        if way_out == "sw.js":
            visit(context, served.url)
            kept = "caches.keys().then((keys) => keys.map((key) => key.slice(-2)))"
            assert " 1" not in page.evaluate(kept)
        else:
            page.wait_for_selector("body[data-model=ready]")
            gone = """async () => !(await caches.keys()).length &&
                !(await navigator.serviceWorker.getRegistrations()).length"""
            page.wait_for_function(gone)
            assert page.locator("#offline").is_hidden()


def alive(page, url: str) -> bool:
    try:
        return page.goto(url).ok
    except Error as error:
        assert "ERR_FAILED" in str(error)
        time.sleep(1)
        return False
