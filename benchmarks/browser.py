"""The browser demo in a headless Chromium, which Playwright drives, and in Firefox.

Playwright drives only a Firefox that was built for it. Any understands WebDriver BiDi,
JSON over a WebSocket: https://www.w3.org/TR/webdriver-bidi/.
"""

import base64
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Error, Page, sync_playwright
from websocket import WebSocket, create_connection

from going_modular.app_process import HOST, started
from pocket.stopwatch import ASK, launched

CHROMIUM = shutil.which("chromium")
FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")
READY = "body[data-model=ready]"
READY_MS = 120_000  # a busy machine takes its time
# Told at once, where Playwright's own waiting comes to look only twice a second.
WAIT = """async ([selector, most]) => {
    const late = performance.now() + most;
    while (!document.querySelector(selector)) {
        if (performance.now() > late) throw new Error(document.body.innerText);
        await new Promise((resolve) => setTimeout(resolve, 5));
    }
}"""
# Whatever Firefox asks of other machines goes to a port where nobody answers.
PREFERENCES = f"""
user_pref("network.proxy.type", 1);
user_pref("network.proxy.http", "{HOST}");
user_pref("network.proxy.http_port", 9);
user_pref("network.proxy.ssl", "{HOST}");
user_pref("network.proxy.ssl_port", 9);
"""
# In and out as JSON, which is shorter than the types that BiDi has for all values.
CALL = """async (argument) => {
    const it = (EXPRESSION);
    const value = typeof it === "function" ? it(JSON.parse(argument)) : it;
    return JSON.stringify(await value) ?? "null";
}"""


@contextmanager
def chromium(*args: str) -> Iterator[Browser]:
    """A Chromium and all that drives it; one at a time."""
    with sync_playwright() as playwright, launched(playwright, *args) as browser:
        yield browser


def open_pocket(page: Page, url: str, *, first: str = "", until: str = READY) -> Page:
    """Open the browser demo, ready; `first` is JavaScript that runs before its own."""
    page.set_default_timeout(READY_MS)
    page.add_init_script(first)
    page.goto(url)
    page.evaluate(WAIT, [until, READY_MS])
    return page


def ask_page(page: "Page | FirefoxPage", picture: bytes) -> dict:
    """What the page's model says of a file: outputs by name, and "milliseconds"."""
    return page.evaluate(ASK, base64.b64encode(picture).decode())


class FirefoxPage:
    """As much of a Playwright page as the lesson needs, in Firefox."""

    def __init__(self, connection: WebSocket, url: str):
        self._connection = connection
        self._command("session.new", capabilities={})
        tree = self._command("browsingContext.getTree")
        self._tab = tree["contexts"][0]["context"]
        where = {"context": self._tab, "url": url, "wait": "complete"}
        self._command("browsingContext.navigate", **where)

    def evaluate(self, expression: str, argument: Any = None) -> Any:
        """The value of an expression; of a function and of a promise, what comes of it.

        If it throws, that is Playwright's Error, too, with JavaScript's message.
        """
        result = self._command(
            "script.callFunction",
            functionDeclaration=CALL.replace("EXPRESSION", expression),
            arguments=[{"type": "string", "value": json.dumps(argument)}],
            awaitPromise=True,
            target={"context": self._tab},
        )
        if result["type"] == "exception":
            raise Error(result["exceptionDetails"]["text"])
        return json.loads(result["result"]["value"])

    def inner_text(self, selector: str) -> str:
        return self.evaluate("(css) => document.querySelector(css).innerText", selector)

    def wait_for_selector(self, selector: str) -> None:
        self.evaluate(WAIT, [selector, READY_MS])

    def _command(self, method: str, **params: Any) -> Any:
        command = {"id": 1, "method": method, "params": params}
        self._connection.send(json.dumps(command))
        reply = json.loads(self._connection.recv())  # the next: no event is asked for
        if reply["type"] == "error":
            raise Error(f"{method}: {reply['message']}")
        return reply["result"]


@contextmanager
def firefox_page(url: str, *, until: str = READY) -> Iterator[FirefoxPage]:
    """A page at an address, once it has what a selector finds: its model is ready."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        Path(folder, "user.js").write_text(PREFERENCES, "utf-8")
        noted = Path(folder, "WebDriverBiDiServer.json")
        command = [FIREFOX, "--headless", "--profile", folder]
        command += ["--remote-debugging-port", "0"]  # any free one of this machine's
        env = {**os.environ, "MOZ_CRASHREPORTER_DISABLE": "1", "HOME": folder}
        how = {"log": Path(folder, "log.txt"), "seconds": READY_MS / 1000, "env": env}
        how["is_ready"] = lambda: noted.exists() and noted.read_text().endswith("}")
        with started(*command, **how):
            address = f"ws://{HOST}:{json.loads(noted.read_text())['ws_port']}/session"
            how = {"timeout": READY_MS / 1000, "suppress_origin": True}
            how["http_no_proxy"] = [HOST]
            with closing(create_connection(address, **how)) as connection:
                page = FirefoxPage(connection, url)
                page.wait_for_selector(until)
                yield page
