"""The browser demo visit after visit, whatever is stored, missing or odd."""

import os
import time
from contextlib import suppress
from functools import partial

import pytest
from demo_model_fixture import GREEN
from playwright.sync_api import Error
from pocket_site import CASES, COMMITTED, Pocket, add_code, plate, visitor, write_site

from benchmarks.browser import READY
from pocket import server as pocket_server
from pocket.server import serve_folder
from pocket.site import first_visit, write_pocket

visit = partial(Pocket, until="#offline:not([hidden])")
# What a page has that died behind clean URLs: a worker that answers for ever with what
# came by way of a redirection, which no browser takes for a page.
DEAD = """self.onfetch = (event) => {
    if (event.request.mode === "navigate") event.respondWith(fetch("index.html"));
};"""
KILL = """caches.open(`pocket ${new URL("./", location)} 1`)
    .then(() => navigator.serviceWorker.register("sw.js?build=plain&v=1"))
    .then(() => navigator.serviceWorker.ready).then(() => {})"""
ALL_KEPT = """async () => [
    localStorage.length, sessionStorage.length, document.cookie,
    (await indexedDB.databases()).length, (await caches.keys()).length]"""
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


def test_it_works_at_every_visit_behind_clean_urls(site, context, monkeypatch):
    assert sum(first_visit(site).values()) <= 5_000_000
    with serve_folder(site) as served:
        for address in ("", "", "index.html", "?from=a-friend"):
            page = visit(context, served.url + address)
        for large in ("/foodvision_mini.onnx", "/vendor/ort.wasm.gz"):
            assert CleanUrls.sent.count(large) == 1
        kept = page.evaluate(ALL_KEPT)
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
    page.try_example(1, "This looks like pizza.")


def test_a_new_version_replaces_the_old_one(tmp_path, context):
    site = write_site(tmp_path / "site")
    with serve_folder(site) as served:
        page = Pocket(context, served.url)
        page.locator("#offline").wait_for()
        assert page.inner_text("#runs").startswith("ONNX Runtime")
        assert page.inner_text("#question") == "Pizza, steak or sushi?"
        words = page.inner_text("footer")
        assert "450 real photos" in words and "147 of 150" in words
        assert "No picture leaves this device." in words
        assert not page.locator("#banner").is_visible()
        write_site(site, is_practice="true", trained_on="450 drawn pictures")
        page.reload()
        page.see("450 drawn pictures", timeout=60_000)
        assert "learned from drawings" in page.inner_text("#banner")
        page.locator("#offline").wait_for()
        write_pocket(COMMITTED, site)  # another engine, too
        page.reload()
        page.see("LiteRT with relaxed SIMD, 1 thread")
        assert not page.locator("#tries").is_visible(), "no examples, no heading"
        page.locator("#offline").wait_for()
        page.wait_for_function("async () => (await caches.keys()).length === 1")
    page.reload()  # the server is gone
    page.see("LiteRT with relaxed SIMD, 1 thread")
    assert page.complaints == []


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
        for _ in range(15):
            with suppress(Error):
                page.goto(served.url)
                break
            time.sleep(4)  # Chromium looks for a new worker a while after a visit
        page.wait_for_selector(READY)
        if way_out == "sw.js":
            assert visit(context, served.url).evaluate(KEPT) == [1, [False]]
        else:
            page.wait_for_timeout(5_000)  # it would have kept itself by now
            assert page.evaluate(KEPT) == [0, []]
            assert page.locator("#offline").is_hidden()


@pytest.mark.parametrize("odd", CASES["odd"].values(), ids=CASES["odd"])
def test_what_only_helps_never_keeps_an_answer_back(browser, committed_url, odd):
    """By the committed model, which can be taught: it asks for what was kept."""
    script = f"try {{ {odd} }} catch {{}}"
    with visitor(browser, committed_url) as context:
        context.add_init_script(script)
        add_code(context, "worker.js", before=script)
        page = Pocket(context, committed_url, until="")
        page.choose(plate(GREEN), "Closest of the dishes I know", "Answered in")


@pytest.mark.parametrize("of", CASES["parts"])
def test_a_part_that_does_not_come_or_is_torn_is_told(browser, request, of):
    url = request.getfixturevalue(of)
    for file, sentence, *replies in CASES["parts"][of]:
        with visitor(browser, url) as context:
            whole, place = context.request.get(url + file).body(), f"**/{file}"
            beginning, zeros = {"body": whole[:300]}, {"body": bytes(len(whole))}
            for reply in replies or [{"status": 404}, beginning, zeros]:
                context.route(place, lambda route, _, how=reply: route.fulfill(**how))
                page = Pocket(context, url, until="")
                page.see(sentence)
                if sentence == "This page has not started.":
                    continue
                assert page.locator("#not-started").count() == 0
                page.expect("The model did not start.")
                assert sentence in page.status()
                page.choose(plate(GREEN), "This picture did not work.", sentence)
            context.unroute(place)
            page.reload()  # what was torn is not kept
            page.wait_for_selector(READY, timeout=60_000)


def test_a_browser_that_cannot_start_the_page_gets_a_sentence(browser, url):
    for script, sentence in CASES["old"]:
        with browser.new_context(java_script_enabled=bool(script)) as context:
            context.add_init_script(script)
            page = context.new_page()
            page.goto(url)
            page.get_by_text(sentence).first.wait_for()


# A minute, and all longer times, take half a second.
HURRY = """const wait = setTimeout;
self.setTimeout = (what, ms, ...more) => wait(what, Math.min(ms, 500), ...more);"""
DEAF = """const really = self.onmessage;
self.onmessage = (event) => { if (event.data.call === "start") really(event); }"""


def test_a_worker_that_never_speaks_or_falls_silent_is_told(context, url):
    context.add_init_script(HURRY)
    add_code(context, "worker.js", after="onmessage = null")
    page = Pocket(context, url, until="")
    page.choose(plate(GREEN))
    page.see("This takes long.")
    assert page.get_attribute("body", "data-model") is None
    context.unroute("**/worker.js")
    add_code(context, "worker.js", after=DEAF)
    page = Pocket(context, url)
    page.choose(plate(GREEN))
    page.expect("This picture did not work.", "has not answered for a minute.")
    assert page.locator(READY).count() == 1 and page.locator("#choose").is_enabled()
