"""Programs as processes: run to their end, or for as long as a with-block."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from going_modular.files import LessonError

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
