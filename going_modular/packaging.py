"""Look at a finished demo folder, plan its upload, and pack it into one zip file."""

import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

import pandas as pd

# What running a demo or looking at it leaves behind: never part of the demo.
LEFTOVERS = ("__pycache__", ".git", ".gradio", ".ipynb_checkpoints", ".DS_Store")


class DeployError(RuntimeError):
    """A demo could not be packed, run, pushed or uploaded; says what to do next."""


class PlannedFile(NamedTuple):
    """One file of an upload: its path, its size in bytes, and "LFS" or "git"."""

    path: str
    size: int
    storage: str


def _walk(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in LEFTOVERS]
        for name in [*folders, *names]:
            path = Path(parent, name)
            if path.is_symlink():
                # Elsewhere a link points at nothing, or at something private.
                raise DeployError(f"{path} is a link: put the file itself in its place")
            if name in names and name not in LEFTOVERS:
                yield path


def folder_files(folder: Path) -> list[str]:
    """List the files that make up a demo.

    Args:
        folder: The demo folder.

    Returns:
        Paths relative to the folder, with forward slashes, sorted, without `LEFTOVERS`.

    Raises:
        DeployError: If the folder is missing or empty, or holds a link.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DeployError(f"There is no folder {folder}: run the cells that write it")
    files = sorted(path.relative_to(folder).as_posix() for path in _walk(folder))
    if not files:
        raise DeployError(f"{folder} is empty: run the cells that fill it")
    return files


def copy_examples(pictures: Mapping[str, Path], folder: Path) -> Path:
    """Make a folder hold these pictures and no others.

    Each arrives whole, so whoever looks into the folder meanwhile finds a picture.

    Args:
        pictures: Files by the names that they get there, without ending.
        folder: Made if missing.

    Returns:
        `folder`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {f"{name}{Path(file).suffix}": file for name, file in pictures.items()}
    beside = folder.parents[1]
    with tempfile.TemporaryDirectory(dir=beside, prefix=".examples-") as scratch:
        for name, file in wanted.items():
            os.replace(shutil.copyfile(file, Path(scratch, name)), folder / name)
    for old in folder.iterdir():
        if old.is_file() and old.name not in wanted:
            old.unlink(missing_ok=True)
    return folder


def list_folder(folder: Path) -> pd.DataFrame:
    """Show what a demo folder holds.

    Returns:
        One row a file, sorted by path, with the columns "file" and "bytes".

    Raises:
        DeployError: If the folder is missing or empty, or holds a link.
    """
    rows = [(name, Path(folder, name).stat().st_size) for name in folder_files(folder)]
    return pd.DataFrame(rows, columns=["file", "bytes"])


def zip_folder(folder: Path, archive: Path) -> Path:
    """Pack a demo folder into a zip file whose bytes depend on its files alone.

    Dates, owners and the order of the disk stay out of it, so the same files give the
    same zip (with the same version of zlib), and hashes tell whether two zips differ.
    A failure leaves an earlier archive as it was and nothing half-written beside it.

    Args:
        folder: The demo folder; its files go to the top of the zip.
        archive: The zip file to write, outside the folder.

    Returns:
        The path of the archive.

    Raises:
        DeployError: If the folder cannot be packed or the archive cannot be written.
    """
    folder, archive = Path(folder), Path(archive)
    if archive.resolve().is_relative_to(folder.resolve()):
        raise DeployError(f"{archive} would pack itself: name a file outside {folder}")
    files = folder_files(folder)
    try:
        _write(archive, folder, files)
    except OSError as error:
        raise DeployError(
            f"{archive} was not written ({error}): see that the disk has room and that "
            "no other program has the file open, then run again"
        ) from error
    return archive


def _write(archive: Path, folder: Path, names: list[str]) -> None:
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=archive.parent, prefix=".zip-") as beside:
        part = Path(beside, archive.name)
        with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as packed:
            for name in names:
                _add(packed, name, folder / name)
        os.replace(part, archive)


def _add(packed: zipfile.ZipFile, name: str, path: Path) -> None:
    info = zipfile.ZipInfo(name)  # dated 1980-01-01, the earliest a zip can hold
    info.compress_type = zipfile.ZIP_DEFLATED
    info.create_system = 3  # Unix, also on Windows: part of the bytes
    info.external_attr = 0o644 << 16
    info.file_size = path.stat().st_size
    with path.open("rb") as source, packed.open(info, "w") as target:
        shutil.copyfileobj(source, target)


def upload_plan(folder: Path) -> list[PlannedFile]:
    """Say where each file of a demo would be stored by a push.

    Only the `.gitattributes` at the top of the folder is read, and only patterns as
    plain as `*.onnx` or `examples/*.jpg`; a test holds the answer to git's own.

    Returns:
        One entry a file, sorted by path.

    Raises:
        DeployError: If a pattern is more than this reader understands.
    """
    rules = _lfs_rules(Path(folder))
    plan = []
    for name in folder_files(folder):
        storage = "git"
        for pattern, is_lfs in rules:  # as in git, the last line that matches decides
            if _matches(name, pattern):
                storage = "LFS" if is_lfs else "git"
        plan.append(PlannedFile(name, Path(folder, name).stat().st_size, storage))
    return plan


def _lfs_rules(folder: Path) -> list[tuple[str, bool]]:
    attributes = folder / ".gitattributes"
    lines = attributes.read_text("utf-8").splitlines() if attributes.is_file() else []
    rules = []
    for line in lines:
        pattern, *words = line.split() or [""]
        filters = [word for word in words if word.lstrip("-!").startswith("filter")]
        if pattern.startswith("#") or not filters:
            continue
        if "**" in pattern or pattern[0] in '"[!' or "\\" in pattern:
            raise DeployError(
                f"{attributes}: the pattern {pattern} is not plain enough to read "
                "here: write it like *.onnx or examples/*.jpg"
            )
        rules.append((pattern, filters[-1] == "filter=lfs"))
    return rules


def _matches(name: str, pattern: str) -> bool:
    if "/" not in pattern:
        return fnmatchcase(name.rsplit("/", 1)[-1], pattern)
    parts, wanted = name.split("/"), pattern.lstrip("/").split("/")
    return len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted))
