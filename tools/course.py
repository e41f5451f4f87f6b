"""The course as a folder of files, and programs that are run on it."""

import shutil
from pathlib import Path

from going_modular.app_process import less_astray, run

ROOT = Path(__file__).resolve().parents[1]
LESSON = "09_pytorch_model_deployment.ipynb"
# For a run of the lesson elsewhere, on drawn pictures: what it is told, and what not.
OFFLINE = {"FOODVISION_DATA": "", "FOODVISION_BIG": "", "FOODVISION_OFFLINE": "1"}
LEFT_OUT = {"JPY_SESSION_NAME", "PYTHONPATH", "HF_TOKEN", "FOODVISION_SPACE"}


def offline_environment() -> dict[str, str]:
    """An environment for the lesson on drawn pictures, in another folder."""
    kept = {name: text for name, text in less_astray().items() if name not in LEFT_OUT}
    return kept | OFFLINE


def git(folder: Path, *words: str) -> str:
    """What a git command prints about the repository of a folder.

    Raises:
        LessonError: If it fails.
    """
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
