"""A demo folder: what it holds, how it is filled, listed, packed and stored."""

import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from PIL import Image

from going_modular.app.model import DISH, SHOWN, ModelMetadata, open_picture, spoken
from going_modular.app_process import run
from going_modular.datasets import Sample
from going_modular.files import LessonError, atomic_write, staged_folder

APP = Path(__file__).resolve().parents[1] / "demos" / "foodvision_mini"
# The files of the app beside the model and its examples: the same for every model, two
# short ones that the lesson writes, and one that says what the model knows.
PARTS = ("model.py", "page.py", "safety.py", "surroundings.py", "style.css")
COPIED = ("app.py", "contract.json", *PARTS)
WRITTEN = ("requirements.txt", ".gitattributes")
TEXTS = (*COPIED, *WRITTEN, "README.md")
# What running a demo or looking at it leaves behind: never part of the demo.
LEFTOVERS = ("__pycache__", ".git", ".gradio", ".ipynb_checkpoints", ".DS_Store")


class DeployError(LessonError):
    """A demo could not be packed, run, pushed or uploaded; says what to do next."""


class PlannedFile(NamedTuple):
    """One file of an upload."""

    path: str
    size: int  # bytes
    storage: str  # "LFS" or "git"


def folder_files(folder: Path) -> list[str]:
    """Paths of a demo's files, with /, sorted; no file, or a link: a DeployError."""
    if not (folder := Path(folder)).is_dir():
        raise DeployError(f"There is no folder {folder}: run the cells that write it")
    paths = [path.relative_to(folder) for path in folder.rglob("*")]
    paths = [path for path in paths if not {*path.parts} & {*LEFTOVERS}]
    if links := [path for path in paths if (folder / path).is_symlink()]:
        # Elsewhere a link points at nothing, or at something private.
        raise DeployError(f"{links[0]} is a link: put the file itself in its place")
    files = sorted(path.as_posix() for path in paths if (folder / path).is_file())
    if not files:
        raise DeployError(f"{folder} is empty: run the cells that fill it")
    return files


def write_readme(about: ModelMetadata, folder: Path) -> Path:
    """Write FoodVision Mini's README for another model: its title and its dishes."""
    names = [spoken(name) for name in about.class_names]
    dishes = f"{len(names)} dishes: **{', '.join(names)}**"
    text = (APP / "README.md").read_text("utf-8")
    text = re.sub(r"\d+ dishes: \*\*.+\*\*", lambda _: dishes, text)
    title = re.search(r"^title: (.+)$", text, re.MULTILINE)[1]
    readme = Path(folder) / "README.md"
    with atomic_write(readme) as part:
        part.write_text(text.replace(title, about.title), "utf-8", newline="\n")
    return readme


def copy_app(source: Path, folder: Path, names: Sequence[str] = COPIED) -> Path:
    """Copy files of an app to another folder, all or (a DeployError) none; returns it.

    Other files in `folder` stay; in `source` itself all stay as they are.
    """
    source, folder = Path(source), Path(folder)
    if missing := [name for name in names if not (source / name).is_file()]:
        lacking = ", ".join(missing)
        raise DeployError(f"{source} lacks {lacking}: run the cells that write it")
    if folder.resolve() != source.resolve():
        with staged_folder(folder) as part:
            for name in names:
                (part / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source / name, part / name)
    return folder


def pick_examples(
    samples: Sequence[Sample], answers: pd.DataFrame, class_names: Sequence[str]
) -> dict[str, Path]:
    """For each class the first picture, if there is one, that is rightly let through.

    `answers` are from `compare_answers`, in the order of `samples`.
    """
    good = (answers.verdict == DISH) & (answers.guess == answers.label)
    ranked = pd.DataFrame(samples, columns=["file", "label"]).assign(good=good.values)
    ranked = ranked.sort_values("good", ascending=False, kind="stable")
    chosen = ranked.groupby("label").file.first()
    return {name: chosen[label] for label, name in enumerate(class_names)}


def shown_suffix(file: Path) -> str:
    """How the name of a picture's copy ends that every browser shows."""
    suffix = Path(file).suffix
    return suffix if suffix.lower() in SHOWN else ".jpg"


def copy_shown(file: Path, target: Path) -> None:
    """Copy a picture; one that browsers do not show, such as HEIC, becomes a JPEG."""
    if Path(file).suffix.lower() in SHOWN:
        shutil.copyfile(file, target)
    else:
        Image.fromarray(open_picture(file)).save(target, "JPEG", quality=90)


def copy_examples(pictures: Mapping[str, Path], folder: Path) -> Path:
    """Make a folder hold these pictures, by name, whole, and no others; returns it."""
    wanted = {f"{name}{shown_suffix(file)}": file for name, file in pictures.items()}
    with staged_folder(folder) as part:
        for name, file in wanted.items():
            copy_shown(file, part / name)
    for old in folder.iterdir():
        if old.is_file() and old.name not in wanted:
            old.unlink(missing_ok=True)
    return folder


def list_folder(folder: Path) -> pd.DataFrame:
    """Show what a demo folder holds: a row a file, with its name ("file") and bytes."""
    rows = [(name, Path(folder, name).stat().st_size) for name in folder_files(folder)]
    return pd.DataFrame(rows, columns=["file", "bytes"])


def zip_folder(folder: Path, archive: Path) -> Path:
    """Pack a demo folder's files into a zip; returns it, whole or as it was before."""
    how = {"mode": "w", "compression": zipfile.ZIP_DEFLATED}
    with atomic_write(archive) as part, zipfile.ZipFile(part, **how) as packed:
        for name in folder_files(folder):
            packed.write(Path(folder, name), name)
    return Path(archive)


def upload_plan(folder: Path) -> list[PlannedFile]:
    """Say where each file of a demo would be stored by a push: git itself is asked.

    Only the folder's `.gitattributes` count. Without git, the storage is "unknown".
    """
    folder, names = Path(folder).resolve(), folder_files(folder)
    how = {"cwd": folder, "env": clean_git(), "input": "\0".join(names)}
    try:
        with tempfile.TemporaryDirectory() as scratch:
            # An empty repository of its own: the course's has other rules.
            run("git", "init", "--quiet", "--bare", scratch, env=clean_git())
            git = ("git", f"--git-dir={scratch}", f"--work-tree={folder}")
            reply = run(*git, "check-attr", "-z", "--stdin", "filter", **how)
    except LessonError:
        storage = dict.fromkeys(names, "unknown")
    else:
        fields = reply.split("\0")  # path, "filter", value; path, ...
        filters = zip(fields[::3], fields[2::3], strict=False)
        storage = {name: "LFS" if how == "lfs" else "git" for name, how in filters}
    return [PlannedFile(n, (folder / n).stat().st_size, storage[n]) for n in names]


def clean_git() -> dict[str, str]:
    """An environment in which git sees no settings of the reader's, or of a hook."""
    own = {name: text for name, text in os.environ.items() if name[:4] != "GIT_"}
    return own | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
