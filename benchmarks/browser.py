"""A headless Chromium, and the browser demo in it."""

import base64
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, Playwright, sync_playwright

from pocket.stopwatch import ASK

CHROMIUM = shutil.which("chromium")
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


def launched(playwright: Playwright, *more_args: str) -> Browser:
    """A Chromium of its own, for a with-block."""
    args = ["--disable-gpu", *more_args]
    return playwright.chromium.launch(executable_path=CHROMIUM, args=args)


@contextmanager
def chromium(*more_args: str) -> Iterator[Browser]:
    """A Chromium and all that drives it; one at a time."""
    with sync_playwright() as playwright, launched(playwright, *more_args) as browser:
        yield browser


def open_pocket(page: Page, url: str, *, first: str = "") -> Page:
    """Open the browser demo in an empty tab, and wait until its model is ready.

    `first` is JavaScript that runs before the page's own.
    """
    page.add_init_script(first)
    page.goto(url)
    page.evaluate(WAIT, [READY, READY_MS])
    return page


def ask_page(page: Page, picture: bytes) -> dict:
    """What the page's own model says of a picture file.

    Returns:
        probabilities, in the order of the class names; familiarity; ours; milliseconds,
        from the file's bytes to the answer.
    """
    return page.evaluate(ASK, base64.b64encode(picture).decode())
