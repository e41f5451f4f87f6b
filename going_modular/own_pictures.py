"""Take pictures as people keep them, and lay them out as the lesson reads them.

A folder a class is enough: it is split by a seed, copies of a photo on one side. Halves
may have other names (`val`, `Training`), and classes other folders inside. What is no
picture, and what computers put beside pictures, is left out, counted and named.
"""

import os
import random
import re
import shutil
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from going_modular.datasets import SPLITS, DataError, is_picture
from going_modular.files import file_sha256, staged_folder

TEST_SHARE, SEED = 0.2, 42
HALVES = {
    "train": re.compile("train(ing)?", re.I),
    "test": re.compile("test(ing)?", re.I),
    "validation": re.compile("val|valid|validation", re.I),
}
# What operating systems, notebooks and photo programs put into folders.
SYSTEM = re.compile(
    r"\..*|__MACOSX|__pycache__|@eaDir|\$RECYCLE\.BIN|System Volume Information|"
    r"lost\+found|[._]?thumb(nail)?s?(\.db)?|desktop\.ini|picasa.*\.ini",
    re.I,
)


@dataclass
class Layout:
    """Which picture goes where.

    Attributes:
        halves: "train" and "test": the pictures of each class, by its name.
        remarks: What was done and left out, in words.
    """

    halves: dict[str, dict[str, list[Path]]]
    remarks: list[str] = field(default_factory=list)


def lay_out(folder: Path, target: Path) -> list[str]:
    """Make train/ and test/ of a folder's pictures, whole or not at all.

    Args:
        folder: As somebody has it; nothing in it changes.
        target: Gets links to its files, or copies where links cannot be made.

    Returns:
        What was done and what was left out, in words.

    Raises:
        DataError: If there are fewer than two classes, or a half of one is empty.
    """
    layout = read_layout(folder)
    with staged_folder(target) as stage:
        for half, classes in layout.halves.items():
            for name, files in classes.items():
                place = stage / half / name
                place.mkdir(parents=True)
                for number, file in enumerate(files):
                    _link(file, place / f"{number:05}_{file.name}")
    return layout.remarks


def _link(file: Path, place: Path) -> None:
    try:
        os.link(file, place)
    except OSError:  # another disk, or one without links
        shutil.copyfile(file, place)


def read_layout(folder: Path) -> Layout:
    """Find classes and halves in a folder, without changing anything.

    Raises:
        DataError: If there are fewer than two classes, or a half of one is empty.
    """
    folder, skipped = _inner(folder), []
    parts = {half: _matching(folder, pattern) for half, pattern in HALVES.items()}
    if not parts["test"]:
        parts["test"], parts["validation"] = parts["validation"], []
    parts["train"] += parts["validation"] if parts["train"] else []
    if parts["train"] and parts["test"]:
        halves = {half: _classes(parts[half], skipped) for half in SPLITS}
        layout = Layout(_spelt_alike(halves))
        _keep_copies_out(layout)
    else:
        layout = _split(_classes([folder], skipped))
    _complain(folder, layout.halves)
    if skipped:
        some = ", ".join(sorted({file.name for file in skipped})[:5])
        layout.remarks.append(f"left out, no pictures: {len(skipped)} ({some})")
    return layout


def _visible(folder: Path) -> list[Path]:
    """What people put into a folder, in order."""
    return sorted(e for e in folder.iterdir() if not SYSTEM.fullmatch(e.name))


def _inner(folder: Path) -> Path:
    """The folder that holds more than one other folder: zipping puts one on top."""
    inside = _visible(folder)
    while len(inside) == 1 and inside[0].is_dir():
        folder, inside = inside[0], _visible(inside[0])
    return folder


def _matching(folder: Path, pattern: re.Pattern) -> list[Path]:
    return [e for e in _visible(folder) if e.is_dir() and pattern.fullmatch(e.name)]


def _files(folder: Path) -> Iterator[Path]:
    for entry in _visible(folder):
        yield from _files(entry) if entry.is_dir() else [entry]


def _classes(folders: list[Path], skipped: list[Path]) -> dict[str, list[Path]]:
    """The pictures of each class; what is none goes to `skipped`."""
    found = defaultdict(list)
    for folder in folders:
        for entry in _visible(folder):
            if not entry.is_dir():
                skipped.append(entry)
                continue
            for file in _files(entry):
                (found[entry.name] if is_picture(file) else skipped).append(file)
    return {name: files for name, files in found.items() if files}


def _spelt_alike(halves: dict[str, dict]) -> dict[str, dict]:
    """Both halves with the training half's spelling: pizza and Pizza are one class."""
    names = {name.casefold(): name for name in halves["train"]}
    test = {names.get(name.casefold(), name): f for name, f in halves["test"].items()}
    return {"train": halves["train"], "test": test}


def _keep_copies_out(layout: Layout) -> None:
    """Leave out of training what is also a test picture."""
    asked = {file_sha256(f) for files in layout.halves["test"].values() for f in files}
    left = 0
    for name, files in layout.halves["train"].items():
        kept = [file for file in files if file_sha256(file) not in asked]
        left += len(files) - len(kept)
        layout.halves["train"][name] = kept
    if left:
        layout.remarks.append(f"left out of training, as they are in test/: {left}")


def _split(classes: dict[str, list[Path]]) -> Layout:
    """Deal each class by a seed; copies of a photo stay on one side."""
    layout = Layout({half: {} for half in SPLITS})
    for name, files in classes.items():
        copies = defaultdict(list)
        for file in files:
            copies[file_sha256(file)].append(file)
        photos = sorted(copies.values())
        random.Random(SEED).shuffle(photos)
        tests = min(max(1, round(TEST_SHARE * len(photos))), len(photos) - 1)
        for half, some in (("test", photos[:tests]), ("train", photos[tests:])):
            layout.halves[half][name] = sorted(file for same in some for file in same)
    sizes = {half: sum(map(len, layout.halves[half].values())) for half in SPLITS}
    layout.remarks.append(
        f"split by a seed: {sizes['train']} to train on, {sizes['test']} to test on"
    )
    return layout


def _complain(folder: Path, halves: dict[str, dict[str, list[Path]]]) -> None:
    names = {half: sorted(classes) for half, classes in halves.items()}
    if names["train"] != names["test"]:
        raise DataError(
            f"{folder} cannot be used: training and test pictures should be of the same "
            f"classes, but are of {', '.join(names['train']) or 'none'} and of "
            f"{', '.join(names['test']) or 'none'}. Put that right and run this again."
        )
    if len(names["train"]) < 2:
        raise DataError(
            f"{folder} cannot be used: there should be at least two folders with "
            f"pictures, one for each class, but found {names['train']}. "
            "Put that right and run this again."
        )
    for half, classes in halves.items():
        if empty := [name for name, files in classes.items() if not files]:
            raise DataError(
                f"{folder} cannot be used: {', '.join(empty)} has too few pictures for "
                f"{half}/. Add some and run this again."
            )
