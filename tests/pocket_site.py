"""What the tests of the browser demo share: its folder, a server, Chromium."""

import base64
from functools import cache
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.browser import READY, READY_MS
from going_modular.files import FileError
from going_modular.pocket import server as pocket_server
from going_modular.pocket.runtimes import LITE_RT, ORT_WEB
from going_modular.pocket.site import write_pocket

PIXELS = """async ([base64, share]) => {
    const { openPicture, toPixels } = await import("./picture.js");
    const { pictures } = await (await fetch("model.json")).json();
    const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt());
    const bitmap = await openPicture(new Blob([bytes]), pictures);
    const { data, height, width } = toPixels(bitmap, pictures, share ?? undefined);
    let text = "";
    for (let at = 0; at < data.length; at += 8192) {
        text += String.fromCharCode(...data.subarray(at, at + 8192));
    }
    return [btoa(text), height, width];
}"""


def need_runtime() -> None:
    """Fetch what the page runs on, once, or skip the test that needs it."""
    if reason := _not_fetched():
        pytest.skip(f"needs packages from npm: {reason}")


@cache
def _not_fetched() -> str | None:
    try:
        for engine in (LITE_RT, ORT_WEB):
            engine.fetch()
    except FileError as error:
        return str(error)
    return None


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

    sent: list[list] = []  # path and bytes of each file, as far as they went out

    def copyfile(self, source, outputfile) -> None:
        entry = [self.path, 0]
        self.sent.append(entry)
        while piece := source.read(65_536):
            outputfile.write(piece)
            entry[1] += len(piece)


def open_page(context, url: str, *, wait: bool = True):
    """Open the demo in a new tab, with lists of its crashes and of its complaints."""
    page = context.new_page()
    page.crashes, page.complaints = [], []
    page.on("pageerror", lambda error: page.crashes.append(str(error)))
    page.on("console", lambda line: _note(page.complaints, line))
    page.on("filechooser", lambda _: None)  # a key is faster than a late listener
    page.goto(url)
    if wait:
        page.wait_for_selector(READY, timeout=READY_MS)
    return page


def _note(complaints: list[str], line) -> None:
    if line.type in ("warning", "error"):
        complaints.append(line.text)


def pixels_of(page, content: bytes, share: float | None = None) -> Image.Image:
    """What the page would show the model of a file, or of the square in its middle."""
    asked = [base64.b64encode(content).decode(), share]
    data, height, width = page.evaluate(PIXELS, asked)
    image = Image.frombytes("RGBA", (width, height), base64.b64decode(data))
    assert image.getextrema()[3] == (255, 255), "nothing is see-through"
    return image.convert("RGB")


def status(page) -> str:
    """What a screen reader said last."""
    return page.locator("#say").text_content()


def grave_complaints(page) -> list[tuple[str, list]]:
    """What axe, once it is in the page, finds serious or critical: rules and places."""
    violations = page.evaluate("axe.run().then(({ violations }) => violations)")
    return [
        (rule["id"], [node["target"] for node in rule["nodes"]])
        for rule in violations
        if rule["impact"] in ("serious", "critical")
    ]
