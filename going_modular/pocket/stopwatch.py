"""How many answers a second does the browser demo give, in this computer's browser?"""

import json
import os
import queue
import re
import secrets
import shutil
import signal
import statistics
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from going_modular.demo_folder import DeployError
from going_modular.pocket.server import Extra, serve_folder

NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "microsoft-edge",
)
ELSEWHERE = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "C:/Program Files/Google/Chrome/Application/chrome.exe",
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
)
SCRIPT = Path(__file__).with_name("stopwatch.js")
PAGE = (
    b'<!doctype html><meta charset="utf-8">'
    b'<script type="module" src="stopwatch.js"></script>'
)
REPORTED = re.compile(r"^\| Chromium \d+ \| LiteRT with relaxed SIMD, 1 thread \|(.*)$")


@dataclass(frozen=True)
class BrowserSpeed:
    """What a browser did with some pictures, on one thread.

    Attributes:
        browser: Its name and version: "Chrome 156".
        runs: What ran the model, in the page's own words.
        milliseconds: Of each picture, from its bytes to the answer.
        answers: Probabilities of each picture, in the order of the class names.
    """

    browser: str
    runs: str
    milliseconds: list[float]
    answers: list[list[float]]

    @property
    def per_second(self) -> float:
        """Answers a second, by the median."""
        return 1000 / statistics.median(self.milliseconds)


def find_browser() -> Path | None:
    """A browser of Chromium's family on this computer, if there is one."""
    found = [shutil.which(name) for name in NAMES]
    places = [Path(place) for place in (*found, *ELSEWHERE) if place]
    return next((place for place in places if place.is_file()), None)


def measure_in_browser(
    folder: Path, pictures: Sequence[Path], *, browser: Path, timeout: float = 180.0
) -> BrowserSpeed:
    """Let the browser demo answer for pictures, one by one, in a browser of its own.

    The page's own model is asked, after a warm-up, by a page that is no part of the
    folder; the browser has no window, and a profile that is gone afterwards.

    Args:
        folder: Written by `write_pocket`.
        pictures: Picture files.
        browser: From `find_browser`.
        timeout: Seconds for all of it.

    Raises:
        DeployError: If browser or model cannot be started, or time runs out.
    """
    results, secret = queue.Queue(), f"/{secrets.token_hex(16)}/"
    names = [f"{number}{file.suffix}" for number, file in enumerate(pictures)]
    files = {
        f"{secret}index.html": PAGE,
        f"{secret}stopwatch.js": SCRIPT.read_bytes(),
        f"{secret}pictures.json": json.dumps(names).encode(),
    }
    for name, file in zip(names, pictures, strict=True):
        files[secret + name] = Path(file).read_bytes()
    extra = Extra(files, f"{secret}result", results.put)
    with (
        serve_folder(folder, isolated=False, extra=extra) as served,
        _running(browser, f"{served.url.rstrip('/')}{secret}index.html") as process,
    ):
        told = _wait(results, process, timeout)
    if "failed" in told:
        raise DeployError(f"{browser.name} could not run the model: {told['failed']}")
    version = re.search(r"(Edg|Chrome)/(\d+)", told["agent"])
    name = f"{version[1]} {version[2]}" if version else browser.name
    return BrowserSpeed(name, told["runs"], told["milliseconds"], told["answers"])


def _wait(results: queue.Queue, process: subprocess.Popen, timeout: float) -> dict:
    for _ in range(int(timeout * 10)):
        try:
            return json.loads(results.get(timeout=0.1))
        except queue.Empty:
            if process.poll() is not None:
                raise DeployError(
                    f"the browser ended by itself ({process.returncode})"
                ) from None
    raise DeployError(f"the browser did not finish within {timeout:.0f} s")


@contextmanager
def _running(browser: Path, url: str) -> Iterator[subprocess.Popen]:
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    sandbox = ["--no-sandbox"] if is_root else []  # which root cannot have
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [str(browser), *FLAGS, *sandbox, f"--user-data-dir={profile}", url]
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            raise DeployError(f"{browser} could not be started: {error}") from error
        try:
            yield process
        finally:
            _stop(process)


def _stop(process: subprocess.Popen) -> None:
    """End the browser and the processes that it has started."""
    if os.name == "posix":
        with suppress(ProcessLookupError):  # it has ended by itself
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def speed_in_report(report: Path) -> float:
    """Answers a second on one thread in Chromium, as `make bench` reported them.

    Raises:
        DeployError: If the report has no such row.
    """
    for line in Path(report).read_text("utf-8").splitlines():
        if found := REPORTED.match(line):
            return 1000 / float(found[1].split("|")[0])
    raise DeployError(f"{report} says nothing of Chromium: run make bench")


def browser_speed(
    folder: Path | None, pictures: Sequence[Path], *, report: Path
) -> tuple[float, str]:
    """Answers a second in a browser: measured here, or else as reported.

    Args:
        folder: Of the browser demo; None if it could not be written.
        pictures: Picture files to ask about.
        report: `benchmarks/results.md`.

    Returns:
        The number, and where it was measured.
    """
    browser = find_browser()
    if browser and folder:
        try:
            speed = measure_in_browser(folder, pictures, browser=browser)
            return speed.per_second, f"{speed.browser}, here"
        except DeployError as reason:
            print(f"Not measured here: {reason}")
    return speed_in_report(report), "another computer's, from benchmarks/results.md"
