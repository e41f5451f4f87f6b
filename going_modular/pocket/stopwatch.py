"""How many answers a second does the browser demo give, in this computer's browser?

A browser of Chromium's family is started without a window, and with a page beside the
demo's own that asks the demo's model, as the demo does. Nothing has to be installed for
that, and nothing of it is left afterwards.
"""

import json
import os
import queue
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from going_modular.demo_folder import DeployError
from going_modular.pocket.server import Extra, serve_folder

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
FLAGS = (
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # asks for no name
)
SCRIPT = Path(__file__).with_name("stopwatch.js")
PAGE = (
    b'<!doctype html><meta charset="utf-8"><title>Stopwatch</title>'
    b'<script type="module" src="stopwatch.js"></script>'
)
ON_LITE_RT, ON_ORT_WEB = "LiteRT with relaxed SIMD, 1 thread", "ONNX Runtime, 1 thread"
STOP_LOOKS, STOP_PAUSE = 100, 0.02  # how often, s: whether a stopped browser is gone


@dataclass(frozen=True)
class BrowserSpeed:
    """What a browser did with some pictures, on one thread.

    Attributes:
        browser: What its engine calls itself: "Chromium 156", in Chrome and Edge, too.
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
    results, home = queue.Queue(), f"/{secrets.token_hex(16)}/"  # nobody can guess it
    files = {"index.html": PAGE, SCRIPT.name: SCRIPT.read_bytes()}
    files |= {str(n): Path(file).read_bytes() for n, file in enumerate(pictures)}
    beside = {home + name: content for name, content in files.items()}
    extra = Extra(beside, report_to=f"{home}result", take=results.put)
    with serve_folder(folder, isolated=False, extra=extra) as served:
        url = f"{served.url.rstrip('/')}{home}index.html#{len(pictures)}"
        with _running(browser, url) as process:
            told = _wait(results, process, browser.name, timeout)
    if "failed" in told:
        raise DeployError(f"{browser.name} could not answer: {told['failed']}")
    version = re.search(r"Chrome/(\d+)", told["agent"])
    name = f"Chromium {version[1]}" if version else browser.name
    return BrowserSpeed(name, told["runs"], told["milliseconds"], told["answers"])


@contextmanager
def _running(browser: Path, url: str) -> Iterator[subprocess.Popen]:
    """A browser that opens a page, without a window; stopped whatever happens."""
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    sandbox = ["--no-sandbox"] if is_root else []  # which root cannot have
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        command = [str(browser), *FLAGS, *sandbox, f"--user-data-dir={scratch}", url]
        nothing = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
        try:
            process = subprocess.Popen(command, start_new_session=True, **nothing)
        except OSError as error:
            raise DeployError(f"{browser} could not be started: {error}") from error
        try:
            yield process
        finally:
            _stop(process)
            _remove_socket(Path(scratch))


def _wait(
    results: queue.Queue, process: subprocess.Popen, name: str, timeout: float
) -> dict:
    """What the page reports."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        with suppress(queue.Empty):
            return json.loads(results.get(timeout=0.1))
        if process.poll() is not None:
            code = process.returncode
            raise DeployError(f"{name} stopped by itself with exit code {code}")
    raise DeployError(f"{name} did not finish in {timeout:g} s: give it more time")


def _stop(process: subprocess.Popen) -> None:
    """End a browser and what it has started, and wait until they write no more."""
    process.kill()
    process.wait()
    if os.name == "posix":
        with suppress(ProcessLookupError, PermissionError):  # as soon as none is left
            for _ in range(STOP_LOOKS):
                os.killpg(process.pid, signal.SIGKILL)
                time.sleep(STOP_PAUSE)


def _remove_socket(profile: Path) -> None:
    """Remove the folder in which a browser kept a socket, beside its profile."""
    with suppress(OSError):  # there was none
        folder = (profile / "SingletonSocket").readlink().parent
        for name in ("SingletonSocket", "SingletonCookie"):
            (folder / name).unlink(missing_ok=True)
        folder.rmdir()


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
    browser = find_browser()
    if folder and browser:
        try:
            speed = measure_in_browser(folder, pictures, browser=browser)
            where = f"{speed.browser}, here"
            return FoundSpeed(speed.per_second, where, speed.answers)
        except DeployError as reason:
            print(f"Not measured here: {reason}")
    where = "another computer's, benchmarks/results.md"
    return FoundSpeed(speed_in_report(report, runs), where)
