"""Run programs: to their end, or for as long as a with-block, as a demo is."""

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import TimeoutError as ResultTimeoutError
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

from going_modular.app.surroundings import settings
from going_modular.files import LessonError

COURSE = os.path.realpath(Path(__file__).resolve().parents[1])
HOST = "127.0.0.1"  # this machine only: nobody else on the network can reach the demo
# A notebook's plots; where imports are looked for; what turns a warning into an end;
# a git hook's repository.
ASTRAY = {
    *("MPLBACKEND", "PYTHONSAFEPATH", "PYTHONWARNINGS", "PYTHONINSPECT"),
    *("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR"),
    *("GIT_OBJECT_DIRECTORY", "GIT_NAMESPACE"),
}
LOG_LINES = 20
STOP_SECONDS = 10.0  # from asking a program to stop to ending it


def less_astray(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """An environment, this process's own if none is given, less what leads astray."""
    return {name: text for name, text in environment.items() if name not in ASTRAY}


def run(*command: str | Path, **how) -> str:
    """Run a program to its end, `how` being as for `subprocess.run`.

    Returns:
        What it prints.

    Raises:
        LessonError: If it cannot be started, or fails; with its own words.
    """
    how = {"env": less_astray(), "stdout": subprocess.PIPE} | how
    how = {"stderr": subprocess.PIPE, "encoding": "utf-8", "errors": "replace"} | how
    try:
        done = subprocess.run(list(map(str, command)), **how)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LessonError(f"{command[0]} could not be run: {error}.") from error
    if done.returncode:
        said = (done.stderr or done.stdout or "its own words are above").strip()
        raise LessonError(f"{Path(command[0]).name} failed: {said}")
    return done.stdout or ""


@contextmanager
def started(
    *command: str | Path, log: Path, is_ready: Callable[[], bool], seconds: float, **how
) -> Iterator[subprocess.Popen]:
    """Start a program, wait until it is ready, and stop it after the with-block.

    `log` is the file that takes what it prints, `is_ready` says whether it can be used
    now, `seconds` how long that may take; `how` is as for `subprocess.Popen`.

    Raises:
        LessonError: If it cannot be started, stops by itself or is not ready in time;
            the message ends with the last lines it printed.
    """
    told = {"stdin": subprocess.DEVNULL, "stderr": subprocess.STDOUT}
    deadline = time.monotonic() + seconds
    try:
        with log.open("wb") as out:
            words = list(map(str, command))
            process = subprocess.Popen(words, stdout=out, **told, **how)
    except OSError as error:
        raise LessonError(f"{command[0]} could not be started: {error}") from error
    try:
        while not is_ready():
            what = "It did not answer in time: mend it or give it a longer timeout"
            if process.poll() is not None:
                what = f"It stopped by itself with exit code {process.returncode}"
            elif time.monotonic() < deadline:
                time.sleep(0.05)
                continue
            lines = log.read_text("utf-8", errors="replace").splitlines()[-LOG_LINES:]
            printed = "\n".join(lines) or "(nothing)"
            raise LessonError(f"{what}. The end of what it printed:\n{printed}")
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@dataclass(frozen=True)
class RunningDemo:
    """A demo that answers.

    Attributes:
        url: Where it answers.
        process: Its process.
        log_path: What it prints; the file is gone once the demo has been stopped.
        start_seconds: Time from starting the process to its first answer.
    """

    url: str
    process: subprocess.Popen
    log_path: Path
    start_seconds: float


@contextmanager
def run_demo(
    folder: Path,
    *,
    app: str = "app.py",
    python: str = sys.executable,
    timeout: float = 120.0,
) -> Iterator[RunningDemo]:
    """Run a demo folder's app the way a Space does, for as long as a with-block.

    The app sees its own folder and its Python's packages, not this repository, and
    leaves no files behind in the folder.

    `timeout` is the seconds that it may take to answer; a path of `python` is relative
    to here, not to the folder that it will start in.

    Yields:
        The running demo. Leaving the block stops it, whatever happened inside.

    Raises:
        LessonError: If it cannot be started, stops by itself or does not answer in
            time; the message ends with the last lines it printed.
    """
    folder = Path(folder).resolve()
    if not (folder / app).is_file():
        raise LessonError(f"{folder} holds no {app}: run the cells that write it")
    python = os.path.abspath(python) if os.path.exists(python) else python
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            port = probe.getsockname()[1]
        url, log = f"http://{HOST}:{port}/", Path(scratch, "app.log")
        begun = time.monotonic()
        how = {"log": log, "is_ready": lambda: _answers(url), "seconds": timeout}
        how |= {"cwd": folder, "env": _environment(Path(scratch, "gradio"), port)}
        with started(python, app, **how) as process:
            yield RunningDemo(url, process, log, time.monotonic() - begun)


def app_environment() -> dict[str, str]:
    """This process's environment, less what would lead an app in its folder astray."""
    env = less_astray()
    places = env.pop("PYTHONPATH", "").split(os.pathsep)
    # The course is not where the app will run; packages may lie anywhere else.
    kept = [p for p in map(os.path.realpath, filter(None, places)) if p != COURSE]
    return env | ({"PYTHONPATH": os.pathsep.join(kept)} if kept else {})


def _environment(uploads: Path, port: int) -> dict[str, str]:
    return {
        **{k: v for k, v in app_environment().items() if not k.startswith("GRADIO_")},
        **settings(uploads),
        "GRADIO_SERVER_NAME": HOST,
        "GRADIO_SERVER_PORT": str(port),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONIOENCODING": "utf-8",
    }


def _answers(url: str) -> bool:
    # Straight there: a proxy from the environment cannot reach this machine's ports.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(url, timeout=5) as reply:
            return reply.status == 200
    except (OSError, HTTPException):
        return False


def ask_demo(url: str, picture: Path, *, timeout: float = 60.0) -> Any:
    """Send one picture to a running demo's `/predict` endpoint.

    `timeout` is the seconds that the answer may take.

    Returns:
        What the endpoint returns: for one `gr.Label` the dict with "label" and
        "confidences", for several outputs a tuple in their order.

    Raises:
        LessonError: If nothing answers, or the answer is an error.
    """
    if not Path(picture).is_file():
        raise LessonError(f"There is no picture {picture}")
    if not _answers(url):
        raise LessonError(f"Nothing answers at {url}: start the demo first")
    try:
        with connected(url) as ask:
            return ask(picture, timeout)
    except (ValueError, OSError, ResultTimeoutError) as error:
        reason = str(error) or type(error).__name__
        raise LessonError(f"The demo at {url} did not answer: {reason}") from error


@contextmanager
def connected(url: str) -> Iterator[Callable[[Path, float], Any]]:
    """A connection for many questions: a function from a picture file and seconds."""
    # Here, not above: importing it takes a second that running a demo does not need.
    from gradio_client import Client, handle_file

    client = Client(
        url,
        token=False,  # None would send the reader's saved Hugging Face token along
        verbose=False,
        analytics_enabled=False,
        download_files=False,
        httpx_kwargs={"trust_env": False},  # no proxy, as above
    )

    def ask(picture: Path, timeout: float) -> Any:
        job = client.submit(handle_file(str(picture)), api_name="/predict")
        return job.result(timeout=timeout)

    try:
        yield ask
    finally:
        client.close()
