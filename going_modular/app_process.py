"""Run programs: to their end, or for as long as a with-block, as a demo is."""

import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import TimeoutError as ResultTimeoutError
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import requests

from going_modular.app.surroundings import settings
from going_modular.files import LessonError

COURSE = os.path.realpath(Path(__file__).resolve().parents[1])
HOST = "127.0.0.1"  # this machine only: nobody else on the network can reach the demo
# A notebook's plots; where imports are looked for; what turns a warning into an end;
# a git hook's repository.
ASTRAY = re.compile(
    "MPLBACKEND|PYTHON(SAFEPATH|WARNINGS|INSPECT)|"
    "GIT_(DIR|WORK_TREE|INDEX_FILE|PREFIX|COMMON_DIR|OBJECT_DIRECTORY|NAMESPACE)"
)
LOG_LINES = 20
STOP_SECONDS = 10.0  # from asking a program to stop to ending it


def less_astray(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """An environment, this process's own if none is given, less what leads astray."""
    return {k: text for k, text in environment.items() if not ASTRAY.fullmatch(k)}


def run(*command: str | Path, **how) -> str:
    """Run a program, as `subprocess.run`; what it prints, or a LessonError with it."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    how = pipes | {"env": less_astray(), "encoding": "utf-8", "errors": "replace"} | how
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

    `log` takes what it prints, `seconds` is how long it may take to be ready; `how` is
    as for `subprocess.Popen`. A failure is a LessonError with the last lines printed.
    """
    told = {"stdin": subprocess.DEVNULL, "stderr": subprocess.STDOUT}
    deadline = time.monotonic() + seconds
    try:
        with log.open("wb") as out:
            process = subprocess.Popen([*map(str, command)], stdout=out, **told, **how)
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
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        process.kill()  # nothing happens if it has ended
        process.wait()


class RunningDemo(NamedTuple):
    """A demo that answers."""

    url: str
    process: subprocess.Popen
    log_path: Path  # gone once the demo has been stopped
    start_seconds: float  # from starting the process to its first answer


@contextmanager
def run_demo(
    folder: Path, *, app="app.py", python: str = sys.executable, timeout=120.0
) -> Iterator[RunningDemo]:
    """Run a demo folder's app the way a Space does, for as long as a with-block.

    The app sees its own folder and its Python's packages, not this repository, and
    leaves no files behind in the folder. It may take `timeout` seconds to answer; what
    goes wrong is a LessonError, as of `started`.
    """
    folder, begun = Path(folder).resolve(), time.monotonic()
    if not (folder / app).is_file():
        raise LessonError(f"{folder} holds no {app}: run the cells that write it")
    python = os.path.abspath(python) if os.path.exists(python) else python
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        with socket.create_server((HOST, 0)) as probe:
            port = probe.getsockname()[1]
        url, log = f"http://{HOST}:{port}/", Path(scratch, "app.log")
        env = {k: v for k, v in app_environment().items() if k[:7] != "GRADIO_"}
        env |= {"GRADIO_SERVER_NAME": HOST, "GRADIO_SERVER_PORT": str(port)}
        env |= {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}
        env |= {"PYTHONIOENCODING": "utf-8"} | settings(Path(scratch, "gradio"))
        how = {"log": log, "is_ready": lambda: _answers(url), "seconds": timeout}
        with started(python, app, **how, cwd=folder, env=env) as process:
            yield RunningDemo(url, process, log, time.monotonic() - begun)


def app_environment() -> dict[str, str]:
    """This process's environment, less what would lead an app in its folder astray."""
    env = less_astray()
    places = env.pop("PYTHONPATH", "").split(os.pathsep)
    # The course is not where the app will run; packages may lie anywhere else.
    kept = [p for p in map(os.path.realpath, filter(None, places)) if p != COURSE]
    return env | ({"PYTHONPATH": os.pathsep.join(kept)} if kept else {})


def _answers(url: str) -> bool:
    with requests.Session() as session, suppress(requests.RequestException):
        session.trust_env = False  # a proxy cannot reach this machine's ports
        return session.get(url, timeout=5).status_code == 200
    return False


def ask_demo(url: str, picture: Path, *, timeout: float = 60.0) -> Any:
    """Send one picture to a running demo's `/predict`; wait `timeout` s at most.

    Returns a `gr.Label` as a dict with "label" and "confidences", several outputs as a
    tuple. No answer, or an error, is a LessonError.
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

    # None for a token would send the reader's own along; and no proxy, as above.
    how = {"token": False, "httpx_kwargs": {"trust_env": False}, "verbose": False}
    client = Client(url, **how, analytics_enabled=False, download_files=False)

    def ask(picture: Path, timeout: float) -> Any:
        job = client.submit(handle_file(str(picture)), api_name="/predict")
        return job.result(timeout=timeout)

    try:
        yield ask
    finally:
        client.close()
