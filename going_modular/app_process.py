"""Start a demo as its own process, ask it over HTTP, and stop it again."""

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import TimeoutError as ResultTimeoutError
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

from going_modular.app.surroundings import settings
from going_modular.demo_folder import DeployError

COURSE = os.path.realpath(Path(__file__).resolve().parents[1])
# A notebook's plots; where imports are looked for; what turns a warning into an end.
HARMFUL = ("MPLBACKEND", "PYTHONSAFEPATH", "PYTHONWARNINGS", "PYTHONINSPECT")
HOST = "127.0.0.1"  # this machine only: nobody else on the network can reach the demo
LOG_LINES = 20
STOP_SECONDS = 10.0  # from asking a demo to stop to ending it


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

    Args:
        folder: The demo folder.
        app: The file in it that is run.
        python: The Python that runs it, by name or path.
        timeout: Seconds it may take to answer.

    Yields:
        The running demo. Leaving the block stops it, whatever happened inside.

    Raises:
        DeployError: If it cannot be started, stops by itself or does not answer in
            time; the message ends with the last lines it printed.
    """
    folder = Path(folder).resolve()
    if not (folder / app).is_file():
        raise DeployError(f"{folder} holds no {app}: run the cells that write it")
    # Relative to here, not to the folder it will start in.
    python = os.path.abspath(python) if os.path.exists(python) else python
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        log_path, port = Path(scratch, "app.log"), _free_port()
        started = time.monotonic()
        process = _start(folder, [python, app], port, log_path)
        try:
            url = f"http://{HOST}:{port}/"
            _wait(process, url, started + timeout, log_path)
            yield RunningDemo(url, process, log_path, time.monotonic() - started)
        finally:
            _stop(process)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def app_environment() -> dict[str, str]:
    """This process's environment, less what would lead an app in its folder astray."""
    env = {name: value for name, value in os.environ.items() if name not in HARMFUL}
    places = env.pop("PYTHONPATH", "").split(os.pathsep)
    # The course is not where the app will run; packages may lie anywhere else.
    kept = [p for p in map(os.path.realpath, filter(None, places)) if p != COURSE]
    return env | ({"PYTHONPATH": os.pathsep.join(kept)} if kept else {})


def _start(
    folder: Path, command: list[str], port: int, log_path: Path
) -> subprocess.Popen:
    env = {
        **{k: v for k, v in app_environment().items() if not k.startswith("GRADIO_")},
        **settings(log_path.parent / "gradio"),
        "GRADIO_SERVER_NAME": HOST,
        "GRADIO_SERVER_PORT": str(port),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONIOENCODING": "utf-8",
    }
    try:
        with log_path.open("wb") as log:
            return subprocess.Popen(
                command,
                cwd=folder,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
    except OSError as error:
        raise DeployError(f"{command[0]} could not be started: {error}") from error


def _wait(process: subprocess.Popen, url: str, deadline: float, log_path: Path) -> None:
    while not _answers(url):
        if process.poll() is not None:
            what = f"The app stopped by itself with exit code {process.returncode}"
        elif time.monotonic() > deadline:
            what = "The app did not answer in time: mend it or give it a longer timeout"
        else:
            time.sleep(0.05)
            continue
        raise DeployError(f"{what}. The end of what it printed:\n{_tail(log_path)}")


def _answers(url: str) -> bool:
    # Straight there: a proxy from the environment cannot reach this machine's ports.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(url, timeout=5) as reply:
            return reply.status == 200
    except (OSError, HTTPException):
        return False


def _tail(log_path: Path) -> str:
    lines = log_path.read_text("utf-8", errors="replace").splitlines()
    return "\n".join(lines[-LOG_LINES:]) or "(nothing)"


def _stop(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        process.wait(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def ask_demo(url: str, picture: Path, *, timeout: float = 60.0) -> Any:
    """Send one picture to a running demo's `/predict` endpoint.

    Args:
        url: Where the demo answers.
        picture: A picture file.
        timeout: Seconds the answer may take.

    Returns:
        What the endpoint returns: for one `gr.Label` the dict with "label" and
        "confidences", for several outputs a tuple in their order.

    Raises:
        DeployError: If nothing answers, or the answer is an error.
    """
    if not Path(picture).is_file():
        raise DeployError(f"There is no picture {picture}")
    if not _answers(url):
        raise DeployError(f"Nothing answers at {url}: start the demo first")
    try:
        return _predict(url, picture, timeout)
    except (ValueError, OSError, ResultTimeoutError) as error:
        reason = str(error) or type(error).__name__
        raise DeployError(f"The demo at {url} did not answer: {reason}") from error


def _predict(url: str, picture: Path, timeout: float) -> Any:
    with connected(url) as ask:
        return ask(picture, timeout)


@contextmanager
def connected(url: str) -> Iterator[Callable[[Path, float], Any]]:
    """A connection to a running demo, for many questions; `ask_demo` makes one each.

    Args:
        url: Where the demo answers.

    Yields:
        A function from a picture file, and the seconds that the answer may take, to
        what the `/predict` endpoint returns.
    """
    # Here, not above: importing it takes a second that running a demo does not need.
    from gradio_client import Client, handle_file

    # The client reports to Gradio unless this is set: its own argument is not enough.
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
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
