"""A headless Firefox, and the browser demo in it.

Playwright drives only a Firefox that was built for it. Any other one understands
WebDriver BiDi, JSON over a WebSocket: https://www.w3.org/TR/webdriver-bidi/.
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
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread
from typing import Any

from websocket import WebSocket, create_connection

from benchmarks.browser import READY, READY_MS
from going_modular.app_process import HOST, LOG_LINES, STOP_SECONDS

FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")
START_SECONDS = 60  # a busy machine takes its time
PREFERENCES = """
// Whatever it asks of other machines comes to _Elsewhere, which does not answer.
user_pref("network.proxy.type", 1);
user_pref("network.proxy.http", "HOST");
user_pref("network.proxy.http_port", PORT);
user_pref("network.proxy.ssl", "HOST");
user_pref("network.proxy.ssl_port", PORT);
// What it would ask them of its own accord; the protocol switches off the rest.
user_pref("media.gmp-manager.updateEnabled", false);
user_pref("services.settings.server", "data:,");
"""
ENVIRONMENT = {
    "MOZ_CRASHREPORTER_DISABLE": "1",
    "MOZ_REMOTE_SETTINGS_DEVTOOLS": "1",  # or it would not heed services.settings
}
# In and out as JSON, which is shorter than the types that BiDi has for all values.
CALL = """async (argument) => {
    const it = (EXPRESSION);
    const value = typeof it === "function" ? it(JSON.parse(argument)) : it;
    return JSON.stringify(await value) ?? "null";
}"""


class FirefoxError(RuntimeError):
    """Firefox did not start, or what it was asked to do failed."""


class FirefoxPage:
    """As much of a Playwright page as the lesson needs, in Firefox.

    Attributes:
        asked_elsewhere: What other machines were asked for, by the page or by Firefox:
            host:port, or the whole address where it is http.
    """

    def __init__(self, connection: WebSocket, asked_elsewhere: set[str]):
        self.asked_elsewhere = asked_elsewhere
        self._connection = connection
        self._command("session.new", capabilities={})
        tree = self._command("browsingContext.getTree")
        self._tab = tree["contexts"][0]["context"]

    def goto(self, url: str) -> None:
        """Open a page, as far as its `load` event."""
        self._command(
            "browsingContext.navigate", context=self._tab, url=url, wait="complete"
        )

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
        FirefoxError: If Firefox does not start (the message ends with the last lines
            it printed), or the model does not get ready.
    """
    with _elsewhere() as (proxy, asked), _started(proxy) as address:
        connection = create_connection(
            address, timeout=READY_MS / 1000, suppress_origin=True, http_no_proxy=[HOST]
        )
        with closing(connection):
            page = FirefoxPage(connection, asked)
            page.goto(url)
            page.wait_for_selector(READY)
            yield page


@contextmanager
def _started(proxy: int) -> Iterator[str]:
    """A Firefox that nobody has used yet, and where it takes commands."""
    if FIREFOX is None:
        raise FirefoxError("No Firefox: install the system package firefox-esr")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        profile, log = Path(folder), Path(folder, "firefox.log")
        preferences = PREFERENCES.replace("HOST", HOST).replace("PORT", str(proxy))
        (profile / "user.js").write_text(preferences, encoding="utf-8")
        command = [FIREFOX, "--headless", "--profile", folder]
        command += ["--remote-debugging-port", "0"]  # any free one of this machine's
        env = {**os.environ, **ENVIRONMENT, "HOME": folder}
        with log.open("wb") as out:
            process = subprocess.Popen(command, env=env, stdout=out, stderr=out)
        try:
            yield _wait(process, profile / "WebDriverBiDiServer.json", log)
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(process: subprocess.Popen, noted: Path, log: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError, ValueError):  # not there yet, or half of it
            port = json.loads(noted.read_text("utf-8"))["ws_port"]
            return f"ws://{HOST}:{port}/session"
        time.sleep(0.05)
    printed = log.read_text("utf-8", errors="replace").splitlines()[-LOG_LINES:]
    raise FirefoxError("\n".join(["Firefox did not start. It printed:", *printed]))


class _Elsewhere(StreamRequestHandler):
    def handle(self) -> None:
        with suppress(ConnectionError):
            request = self.rfile.readline().decode("latin-1").split()
            self.server.asked.update(request[1:2])


@contextmanager
def _elsewhere() -> Iterator[tuple[int, set[str]]]:
    """A proxy that answers nothing: its port, and what it has been asked for."""
    with ThreadingTCPServer((HOST, 0), _Elsewhere) as server:
        server.asked = set()
        Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield server.server_address[1], server.asked
        finally:
            server.shutdown()
