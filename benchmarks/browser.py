"""A headless Chromium, and the browser demo in it."""

import base64
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, Playwright, sync_playwright

from pocket.stopwatch import ASK

CHROMIUM = shutil.which("chromium")
CHROMIUM_ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
READY = "body[data-model=ready]"
READY_MS = 120_000  # a busy machine takes its time
# Told at once, where Playwright's own waiting comes to look only twice a second.
WAIT = """([selector, most]) => new Promise((resolve, reject) => {
    const observer = new MutationObserver(look);
    function look() {
        if (document.querySelector(selector)) resolve(observer.disconnect());
    }
    observer.observe(document, { attributes: true, subtree: true });
    setTimeout(() => reject(new Error(document.body.innerText)), most);
    look();
})"""


@contextmanager
def launched(playwright: Playwright, *more_args: str) -> Iterator[Browser]:
    """A Chromium of its own."""
    args = [*CHROMIUM_ARGS, *more_args]
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=args)
    yield browser
    browser.close()


@contextmanager
def chromium() -> Iterator[Browser]:
    """A Chromium and all that drives it; one at a time."""
    with sync_playwright() as playwright, launched(playwright) as browser:
        yield browser


def open_pocket(page: Page, url: str, *, first: str = "") -> Page:
    """Open the browser demo in an empty tab, and wait until its model is ready.

    Args:
        page: The tab.
        url: Of the demo.
        first: JavaScript that runs before the page's own.
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
