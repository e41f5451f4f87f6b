"""A headless Firefox, and the browser demo in it.

Playwright drives only a Firefox that was built for it, or one as new as itself. Any
understands WebDriver BiDi, JSON over a WebSocket: https://www.w3.org/TR/webdriver-bidi/.
"""

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from websocket import WebSocket, create_connection

from benchmarks.browser import READY, READY_MS
from going_modular.app_process import HOST

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
    """Firefox did not start, or what it was asked to do failed."""


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

    def wait_for_selector(self, selector: str, *, timeout: float = READY_MS) -> None:
        """Wait until there is such an element, at most so many milliseconds."""
        deadline = time.monotonic() + timeout / 1000
        while not self.evaluate("(css) => !!document.querySelector(css)", selector):
            if time.monotonic() > deadline:
                raise FirefoxError(f"The page shows no {selector}")
            time.sleep(0.05)

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
        FirefoxError: If Firefox does not start, or the model does not get ready.
    """
    direct = {"suppress_origin": True, "http_no_proxy": [HOST]}
    with _started() as address:
        connection = create_connection(address, timeout=READY_MS / 1000, **direct)
        with closing(connection):
            page = FirefoxPage(connection)
            page.goto(url)
            page.wait_for_selector(READY)
            yield page


@contextmanager
def _started() -> Iterator[str]:
    """A Firefox that nobody has used yet, and where it takes commands."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        profile = Path(folder)
        (profile / "user.js").write_text(PREFERENCES, encoding="utf-8")
        command = [FIREFOX, "--headless", "--profile", folder]
        command += ["--remote-debugging-port", "0"]  # any free one of this machine's
        env = {**os.environ, "MOZ_CRASHREPORTER_DISABLE": "1", "HOME": folder}
        quiet = dict.fromkeys(("stdout", "stderr"), subprocess.DEVNULL)
        process = subprocess.Popen(command, env=env, **quiet)
        try:
            yield _wait(process, profile / "WebDriverBiDiServer.json")
        finally:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen, noted: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError, ValueError):  # not there yet, or half of it
            port = json.loads(noted.read_text("utf-8"))["ws_port"]
            return f"ws://{HOST}:{port}/session"
        time.sleep(0.05)
    raise FirefoxError(f"{FIREFOX} did not start")
