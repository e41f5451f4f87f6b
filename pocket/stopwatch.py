"""How many answers a second does the browser demo give, in this computer's browser?

Playwright starts one in a process of its own: notebooks do not let it.
"""

import base64
import json
import shutil
import statistics
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

from going_modular.app_process import COURSE, run
from going_modular.demo_folder import DeployError
from going_modular.files import LessonError
from pocket.server import serve_folder

WARM_UP = 5  # answers that do not count
NO_NAMES = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"  # asks for none
START = """async () => {
    const { startModel } = await import("./worker-client.js");
    const { kept, runs } = await startModel(() => {});
    await kept; // what comes after the start is over for all pictures alike
    return runs;
}"""
ASK = """async (base64) => {
    const { ask } = await import("./worker-client.js");
    const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt());
    const { preview, ...answer } = await ask(new Blob([bytes]));
    preview.close();
    return answer;
}"""
ON_LITE_RT, ON_ORT_WEB = "LiteRT with relaxed SIMD, 1 thread", "ONNX Runtime, 1 thread"


class BrowserSpeed(NamedTuple):
    """What a browser did with N pictures, on one thread."""

    browser: str  # its engine and version, in Chrome and Edge, too: "Chromium 156"
    runs: str  # what ran the model, in the page's own words
    milliseconds: list[float]  # from each picture's bytes to the answer
    answers: list[list[float]]  # probabilities (N, C), in the order of the class names


class FoundSpeed(NamedTuple):
    """Answers a second, measured or reported, and where."""

    per_second: float
    where: str
    answers: list[list[float]] | None = None  # probabilities (N, C), if it was here


def measure_in_browser(
    folder: Path, pictures: Sequence[Path], *, timeout: float = 120.0
) -> BrowserSpeed:
    """Let the browser demo answer for pictures, one by one, after a warm-up.

    `timeout` is the seconds for all of it. If they run out, or no browser or model can
    be started, that is a DeployError.
    """
    files = json.dumps([str(Path(file).resolve()) for file in (folder, *pictures)])
    how = {"input": files, "cwd": COURSE, "timeout": timeout}
    try:
        told = run(sys.executable, "-m", "pocket.stopwatch", **how)
        return BrowserSpeed(*json.loads(told))
    except LessonError as error:
        why = str(error).splitlines()[-1]
        raise DeployError(f"No browser answered: {why}") from error


def _measure(folder: str, *pictures: str) -> BrowserSpeed:
    """What `measure_in_browser` does, where Playwright may run."""
    from playwright.sync_api import sync_playwright  # readers may do without

    sent = [base64.b64encode(Path(file).read_bytes()).decode() for file in pictures]
    site = serve_folder(Path(folder), isolated=False)
    with site as served, sync_playwright() as pw, launched(pw, NO_NAMES) as browser:
        page = browser.new_page()
        page.goto(f"{served.url}model.json")  # nothing of the demo's page runs there
        runs = page.evaluate(START)
        for number in range(WARM_UP):
            page.evaluate(ASK, sent[number % len(sent)])
        said = [page.evaluate(ASK, picture) for picture in sent]
        name = f"Chromium {browser.version.partition('.')[0]}"
    times = [answer["milliseconds"] for answer in said]
    return BrowserSpeed(name, runs, times, [answer["probabilities"] for answer in said])


def launched(playwright, *args: str):
    """Chromium from the PATH; or else Chrome or Edge, wherever they are installed."""
    launch = partial(playwright.chromium.launch, args=["--disable-gpu", *args])
    if found := shutil.which("chromium") or shutil.which("chromium-browser"):
        return launch(executable_path=found)
    for channel in ("chrome", "msedge"):
        with suppress(Exception):
            return launch(channel=channel)
    raise DeployError("there is no Chromium, Chrome or Edge here: install one of them")


def browser_speed(
    folder: Path | None, pictures: Sequence[Path], *, report: Path, runs=ON_LITE_RT
) -> FoundSpeed:
    """Answers a second in a browser: measured here, or else as reported.

    `folder` is None if the demo could not be written. `report` is the results.json of
    `make bench`; `runs` says in its words what runs there.
    """
    if folder:
        try:
            speed = measure_in_browser(folder, pictures)
            per_second = 1000 / statistics.median(speed.milliseconds)
            return FoundSpeed(per_second, f"{speed.browser}, here", speed.answers)
        except DeployError as reason:
            print(f"Not measured here: {reason}")
    reported = next(
        way["median ms"]
        for way in json.loads(Path(report).read_text("utf-8"))["pocket"]["ways"]
        if way["where"].startswith("Chromium") and way["what runs it"] == runs
    )
    return FoundSpeed(1000 / reported, "another computer's, benchmarks/results.md")


if __name__ == "__main__":
    from playwright.sync_api import Error

    try:
        print(json.dumps(_measure(*json.load(sys.stdin))))
    except (DeployError, Error) as error:
        sys.exit(str(error).splitlines()[0])
