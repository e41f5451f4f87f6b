"""How many answers a second does the browser demo give, in this computer's browser?

A browser of Chromium's family is started without a window and asks the demo's model, as
the demo does. Playwright drives it, in a process of its own: notebooks do not let it.
"""

import base64
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from going_modular.demo_folder import DeployError
from pocket.server import serve_folder

COURSE = Path(__file__).resolve().parents[1]
NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "microsoft-edge",
)
# Where macOS and Windows have them; no PATH leads there.
PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
    "C:/Program Files/Google/Chrome/Application/chrome.exe",
    "C:/Program Files (x86)/Google/Chrome/Application/chrome.exe",
    "C:/Program Files/Microsoft/Edge/Application/msedge.exe",
    "C:/Program Files (x86)/Microsoft/Edge/Application/msedge.exe",
)
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


@dataclass(frozen=True)
class BrowserSpeed:
    """What a browser did with some pictures, on one thread.

    Attributes:
        browser: Its engine and version, in Chrome and Edge, too: "Chromium 156".
        runs: What ran the model, in the page's own words.
        milliseconds: Of each of N pictures, from its bytes to the answer.
        answers: Probabilities (N, C), in the order of the class names.
    """

    browser: str
    runs: str
    milliseconds: list[float]
    answers: list[list[float]]

    @property
    def per_second(self) -> float:
        """Answers a second, by the median."""
        return float(1000 / np.median(self.milliseconds))


class FoundSpeed(NamedTuple):
    """Answers a second, measured or reported."""

    per_second: float
    where: str  # it was measured
    answers: list[list[float]] | None = None  # probabilities (N, C), if it was here


def find_browser() -> Path | None:
    """A browser of Chromium's family on this computer, if there is one."""
    places = [Path(found) for name in NAMES if (found := shutil.which(name))]
    return next(filter(Path.is_file, [*places, *map(Path, PLACES)]), None)


def measure_in_browser(
    folder: Path,
    pictures: Sequence[Path],
    *,
    browser: Path | None = None,
    timeout: float = 120.0,
) -> BrowserSpeed:
    """Let the browser demo answer for pictures, one by one, after a warm-up.

    Args:
        folder: Written by `write_pocket`; it stays as it is.
        pictures: Picture files.
        browser: What to start; None looks for one.
        timeout: Seconds for all of it.

    Raises:
        DeployError: If there is no browser, it or the model cannot be started, or time
            runs out.
    """
    browser = browser or find_browser()
    if browser is None:
        raise DeployError("There is no browser here: install Chromium, Chrome or Edge.")
    files = [str(Path(file).resolve()) for file in (browser, folder, *pictures)]
    command = [sys.executable, "-m", "pocket.stopwatch", *files]
    how = {"cwd": COURSE, "capture_output": True, "encoding": "utf-8"}
    try:
        done = subprocess.run(command, timeout=timeout, **how)
    except subprocess.TimeoutExpired as error:
        late = f"{browser.name} did not finish in {timeout:g} s: give it more time"
        raise DeployError(late) from error
    if done.returncode:
        why = (done.stderr.strip() or "it stopped by itself").splitlines()[-1]
        raise DeployError(f"{browser.name} could not answer: {why}")
    return BrowserSpeed(**json.loads(done.stdout))


def _measure(browser: str, folder: str, *pictures: str) -> BrowserSpeed:
    """What `measure_in_browser` does, where Playwright may run."""
    from playwright.sync_api import sync_playwright

    sent = [base64.b64encode(Path(file).read_bytes()).decode() for file in pictures]
    with (
        serve_folder(Path(folder), isolated=False) as served,
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=browser, args=[NO_NAMES]) as running,
    ):
        page = running.new_page()
        page.goto(f"{served.url}model.json")  # nothing of the demo's page runs there
        runs = page.evaluate(START)
        for number in range(WARM_UP):
            page.evaluate(ASK, sent[number % len(sent)])
        said = [page.evaluate(ASK, picture) for picture in sent]
        name = f"Chromium {running.version.partition('.')[0]}"
    times = [answer["milliseconds"] for answer in said]
    return BrowserSpeed(name, runs, times, [answer["probabilities"] for answer in said])


def speed_in_report(report: Path, runs: str = ON_LITE_RT) -> float:
    """Answers a second in Chromium, on one thread, as `make bench` found them.

    Args:
        report: Its results.json.
        runs: What ran the model, in the page's words: `ON_LITE_RT` or `ON_ORT_WEB`.

    Raises:
        DeployError: If there is no report, or it does not say.
    """
    try:
        stored = json.loads(Path(report).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DeployError(f"{report} could not be read: {error}") from error
    for way in stored.get("pocket", {}).get("ways", []):
        if way["where"].startswith("Chromium") and way["what runs it"] == runs:
            return 1000 / way["median ms"]
    raise DeployError(f"{report} says nothing of Chromium: run make bench")


def browser_speed(
    folder: Path | None,
    pictures: Sequence[Path],
    *,
    report: Path,
    runs: str = ON_LITE_RT,
) -> FoundSpeed:
    """Answers a second in a browser: measured here, or else as reported.

    Args:
        folder: Of the browser demo; None if it could not be written.
        pictures: Picture files to ask about.
        report: What `make bench` wrote, on whatever computer.
        runs: What runs the model in that folder, for the report.

    Raises:
        DeployError: If it has to come from the report, and the report does not say.
    """
    if folder and find_browser():
        try:
            speed = measure_in_browser(folder, pictures)
            where = f"{speed.browser}, here"
            return FoundSpeed(speed.per_second, where, speed.answers)
        except DeployError as reason:
            print(f"Not measured here: {reason}")
    where = "another computer's, benchmarks/results.md"
    return FoundSpeed(speed_in_report(report, runs), where)


if __name__ == "__main__":
    from playwright.sync_api import Error

    try:
        print(json.dumps(vars(_measure(*sys.argv[1:]))))
    except Error as error:
        sys.exit(error.message.splitlines()[0])
