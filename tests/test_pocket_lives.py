"""The browser demo visit after visit: whatever is stored, the page comes back."""

import os
import time

import pytest
from playwright.sync_api import Error
from pocket_site import CASES, expect, open_page, try_example, write_site

from benchmarks.browser import READY
from pocket import server as pocket_server
from pocket.server import serve_folder
from pocket.site import first_visit

# What a page has that died behind clean URLs: a worker that answers for ever with what
# came by way of a redirection, which no browser takes for a page.
DEAD = """self.onfetch = (event) => {
    if (event.request.mode === "navigate") event.respondWith(fetch("index.html"));
};"""
KILL = """caches.open(`pocket ${new URL("./", location)} 1`)
    .then(() => navigator.serviceWorker.register("sw.js?build=plain&v=1"))
    .then(() => navigator.serviceWorker.ready).then(() => {})"""
KEPT = """async () => [(await navigator.serviceWorker.getRegistrations()).length,
    (await caches.keys()).map((key) => key.split(" ").at(-1) === "1")]"""
BREAK = """async ([name, body, path]) => {
    const store = await caches.open((await caches.keys())[0]);
    await store.put(name, path ? await fetch(path + "?now") : new Response(body));
}"""
IS_WHOLE = """async ([name]) => {
    const stored = await (await caches.open((await caches.keys())[0])).match(name);
    const { files } = await (await fetch("files.json")).json();
    const size = files[name || "index.html"];
    return !stored.redirected && (await stored.blob()).size === size;
}"""


class CleanUrls(pocket_server._Handler):
    """A host that answers /index.html by a redirection to /; notes what it sends."""

    pause = 0.0  # s, before it answers
    sent: list[str] = []  # paths

    def do_GET(self) -> None:
        time.sleep(self.pause)
        if not self.path.startswith("/index.html"):
            return super().do_GET()
        self.send_response(308)
        self.send_header("Location", "/")
        self.send_header("Content-Length", "0")
        return self.end_headers()

    def copyfile(self, source, outputfile) -> None:
        self.sent.append(self.path)
        super().copyfile(source, outputfile)


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.setattr(pocket_server, "_Handler", CleanUrls)
    monkeypatch.setattr(CleanUrls, "sent", [])
    return write_site(tmp_path / "site")


def visit(context, url: str):
    page = open_page(context, url)
    page.locator("#offline").wait_for(timeout=60_000)
    return page


def test_it_works_at_every_visit_behind_clean_urls(site, context, monkeypatch):
    assert sum(first_visit(site).values()) <= 5_000_000
    with serve_folder(site) as served:
        for address in ("", "", "index.html", "?from=a-friend"):
            page = visit(context, served.url + address)
        for large in ("/foodvision_mini.onnx", "/vendor/ort.wasm.gz"):
            assert CleanUrls.sent.count(large) == 1
        kept = page.evaluate(
            """async () => [
                localStorage.length, sessionStorage.length, document.cookie,
                (await indexedDB.databases()).length, (await caches.keys()).length]"""
        )
        assert kept == [0, 0, "", 0, 1], "only the copy for days without network"
        assert context.cookies() == []
        monkeypatch.setattr(CleanUrls, "pause", 10)
        page = context.new_page()
        page.goto(served.url, timeout=9_000)  # what is stored: the host takes too long
        page.wait_for_selector(READY, timeout=9_000)
    for address in ("", "index.html", "?from=a-friend"):
        page = visit(context, served.url + address)  # the server is gone
    assert page.evaluate("crossOriginIsolated"), "the copy keeps its headers"
    context.set_offline(True)
    page.reload()
    page.wait_for_selector(READY, timeout=60_000)
    try_example(page, 1)
    expect(page, "This looks like pizza.")


def test_a_broken_store_is_mended(site, context):
    with serve_folder(site) as served:
        page = visit(context, served.url)
        for broken in CASES["broken"]:
            page.evaluate(BREAK, broken)
            page = visit(context, served.url)
            page.wait_for_function(IS_WHOLE, arg=broken)
    assert visit(context, served.url).complaints == []  # the server is gone


@pytest.mark.parametrize("way_out", ["sw.js", "sw-remove.js"])
def test_a_page_that_is_dead_today_comes_back(site, context, way_out):
    mended = (site / way_out).read_text("utf-8")
    (site / "sw.js").write_text(DEAD, "utf-8")
    os.utime(site / "sw.js", (0, 0))  # of another second than the mended one
    with serve_folder(site) as served:
        page = context.new_page()
        page.goto(served.url)
        page.evaluate(KILL)
        with pytest.raises(Error, match="ERR_FAILED"):
            page.goto(served.url)
        (site / "sw.js").write_text(mended, "utf-8")
        until = time.monotonic() + 60
        while True:
            try:
                page.goto(served.url)
                break
            except Error:
                assert time.monotonic() < until, "it stays dead"
                time.sleep(4)  # Chromium looks for a new worker a while after a visit
        page.wait_for_selector(READY)
        if way_out == "sw.js":
            assert visit(context, served.url).evaluate(KEPT) == [1, [False]]
        else:
            page.wait_for_timeout(5_000)  # it would have kept itself by now
            assert page.evaluate(KEPT) == [0, []]
            assert page.locator("#offline").is_hidden()
