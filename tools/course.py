"""The course as a folder of files, and programs that are run on it."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from going_modular.app_process import HARMFUL
from going_modular.files import LessonError

ROOT = Path(__file__).resolve().parents[1]
LESSON = "09_pytorch_model_deployment.ipynb"
# What of the environment would lead astray what is started here; last, a git hook's.
ASTRAY = {
    *HARMFUL,
    *("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR"),
    *("GIT_OBJECT_DIRECTORY", "GIT_NAMESPACE"),
}
# For a run of the lesson elsewhere, on drawn pictures: what it is told, and what not.
OFFLINE = {"FOODVISION_DATA": "", "FOODVISION_BIG": "", "FOODVISION_OFFLINE": "1"}
LEFT_OUT = {"JPY_SESSION_NAME", "PYTHONPATH", "HF_TOKEN", "FOODVISION_SPACE"}


def less_astray(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """An environment, this process's own if none is given, less what leads astray."""
    return {name: text for name, text in environment.items() if name not in ASTRAY}


def offline_environment() -> dict[str, str]:
    """An environment for the lesson on drawn pictures, in another folder."""
    kept = {name: text for name, text in less_astray().items() if name not in LEFT_OUT}
    return kept | OFFLINE


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
    except OSError as error:
        raise LessonError(f"{command[0]} could not be started: {error}.") from error
    if done.returncode:
        said = (done.stderr or done.stdout or "its own words are above").strip()
        raise LessonError(f"{Path(command[0]).name} failed: {said}")
    return done.stdout or ""


def git(folder: Path, *words: str) -> str:
    """What a git command prints about the repository of a folder."""
    return run("git", "-C", folder, *words)


def copy_course(folder: Path, *, as_repository: bool = False) -> Path:
    """Copy the working tree without what git ignores: data, models, demos written.

    Args:
        folder: Where to.
        as_repository: Whether it is committed there, to a git repository of its own.
    """
    known = ("ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in filter(None, git(ROOT, *known).split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    if as_repository:
        who = ("-c", "user.name=a", "-c", "user.email=a@b")
        for words in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "a"]):
            git(folder, *words)
    return folder
