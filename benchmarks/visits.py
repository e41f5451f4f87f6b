"""A first visit to the browser demo: the time to its first answer, and its bytes."""

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from socket import SHUT_WR, create_connection, socket
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread
from urllib.parse import urlsplit

import pandas as pd
from playwright.sync_api import Browser

from benchmarks.browser import READY_MS, ask_page, chromium, open_pocket
from benchmarks.plan import in_turns
from going_modular.app_process import HOST
from going_modular.pocket.server import serve_folder

STARTS = 4  # a round
PIECE = 65_536  # bytes


def first_answers(
    sites: Mapping[str, Path], picture: bytes, rounds: int
) -> dict[str, pd.DataFrame]:
    """Visit every site in turns, each time with nothing stored, and ask once.

    Returns:
        By site: seconds, from opening the page to its answer for the picture.
    """
    with ExitStack() as stack:
        browser = stack.enter_context(chromium())
        ways = {}
        for name, site in sites.items():
            url = stack.enter_context(serve_folder(site, isolated=False)).url
            ways[name] = lambda picture, url=url: _visit(browser, url, picture)
        starts = STARTS * [picture]
        return in_turns("first visits", ways, starts, rounds=rounds, turn=1, warm_up=0)


def _visit(browser: Browser, url: str, picture: bytes) -> dict[str, float]:
    page = browser.new_page()  # in a new context, which has nothing stored
    start = time.perf_counter()
    ask_page(open_pocket(page, url), picture)
    seconds = time.perf_counter() - start
    page.close()
    return {"seconds": seconds}


def megabytes_sent(site: Path) -> float:
    """All that a server sends for a first visit, until the page works without network.

    Returns:
        10^6 bytes, HTTP's headers among them.
    """
    with (
        serve_folder(site, isolated=False) as served,
        _relayed(served.url) as (url, sent),
        chromium() as browser,
    ):
        page = open_pocket(browser.new_page(), url)
        page.locator("#offline").wait_for(timeout=READY_MS)
    return sum(sent) / 1e6


@contextmanager
def _relayed(url: str) -> Iterator[tuple[str, list[int]]]:
    """Another address of a server: its URL, and the bytes that came from there."""
    there, sent = urlsplit(url), []

    class Relay(BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError), create_connection((HOST, there.port)) as server:
                Thread(target=self._pass_on, args=(server,), daemon=True).start()
                while piece := server.recv(PIECE):
                    sent.append(len(piece))
                    self.request.sendall(piece)

        def _pass_on(self, server: socket) -> None:
            with suppress(OSError):  # either side may hang up
                while piece := self.request.recv(PIECE):
                    server.sendall(piece)
                server.shutdown(SHUT_WR)

    with ThreadingTCPServer((HOST, 0), Relay) as relay:
        relay.daemon_threads = True
        Thread(target=relay.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://{HOST}:{relay.server_address[1]}/", sent
        relay.shutdown()
