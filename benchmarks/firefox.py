"""A headless Firefox, and the browser demo in it.

Playwright drives only a Firefox that was built for it, or one as new as itself. Any
understands WebDriver BiDi, JSON over a WebSocket: https://www.w3.org/TR/webdriver-bidi/.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from websocket import WebSocket, create_connection

from benchmarks.browser import READY, READY_MS, WAIT
from going_modular.app_process import HOST, started

FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")
START_SECONDS = 60  # a busy machine takes its time
# Whatever it asks of other machines goes to a port where nobody answers.
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


class FirefoxError(RuntimeError):
    """What Firefox was asked to do failed."""


class FirefoxPage:
    """As much of a Playwright page as the lesson needs, in Firefox."""

    def __init__(self, connection: WebSocket):
        self._connection = connection
        self._command("session.new", capabilities={})
        tree = self._command("browsingContext.getTree")
        self._tab = tree["contexts"][0]["context"]

    def goto(self, url: str) -> None:
        """Open a page, as far as its `load` event."""
        where = {"context": self._tab, "url": url, "wait": "complete"}
        self._command("browsingContext.navigate", **where)

    def evaluate(self, expression: str, argument: Any = None) -> Any:
        """The value of an expression; of a function and of a promise, what comes of it.

        Raises:
            FirefoxError: If it throws; the message is JavaScript's.
        """
        result = self._command(
            "script.callFunction",
            functionDeclaration=CALL.replace("EXPRESSION", expression),
            arguments=[{"type": "string", "value": json.dumps(argument)}],
            awaitPromise=True,
            target={"context": self._tab},
        )
        if result["type"] == "exception":
            raise FirefoxError(result["exceptionDetails"]["text"])
        return json.loads(result["result"]["value"])

    def inner_text(self, selector: str) -> str:
        """The text of the first element, as shown."""
        return self.evaluate("(css) => document.querySelector(css).innerText", selector)

    def wait_for_selector(self, selector: str) -> None:
        """Wait until there is such an element."""
        self.evaluate(WAIT, [selector, READY_MS])

    def _command(self, method: str, **params: Any) -> Any:
        command = {"id": 1, "method": method, "params": params}
        self._connection.send(json.dumps(command))
        reply = json.loads(self._connection.recv())  # the next: no event is asked for
        if reply["type"] == "error":
            raise FirefoxError(f"{method}: {reply['message']}")
        return reply["result"]


@contextmanager
def firefox_page(url: str) -> Iterator[FirefoxPage]:
    """The browser demo at an address, once its model is ready.

    Raises:
        LessonError: If Firefox does not start.
        FirefoxError: If the model does not get ready.
    """
    direct = {"suppress_origin": True, "http_no_proxy": [HOST]}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        profile = Path(folder)
        (profile / "user.js").write_text(PREFERENCES, "utf-8")
        noted = profile / "WebDriverBiDiServer.json"
        command = [FIREFOX, "--headless", "--profile", folder]
        command += ["--remote-debugging-port", "0"]  # any free one of this machine's
        with started(
            *command,
            log=profile / "log.txt",
            is_ready=lambda: noted.exists() and noted.read_text("utf-8").endswith("}"),
            seconds=START_SECONDS,
            env={**os.environ, "MOZ_CRASHREPORTER_DISABLE": "1", "HOME": folder},
        ):
            port = json.loads(noted.read_text("utf-8"))["ws_port"]
            address, most = f"ws://{HOST}:{port}/session", READY_MS / 1000
            with closing(create_connection(address, timeout=most, **direct)) as link:
                page = FirefoxPage(link)
                page.goto(url)
                page.wait_for_selector(READY)
                yield page
