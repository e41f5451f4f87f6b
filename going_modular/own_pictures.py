"""Take pictures as people keep them, and lay them out as the lesson reads them.

A folder a class is enough: it is split by a seed, copies of a photo on one side. Halves
may have other names (`val`, `Training`), and classes other folders inside. What is no
picture, and what computers put beside pictures, is left out, counted and named.
"""

import os
import random
import re
import shutil
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import chain
from pathlib import Path

from going_modular.datasets import (
    SPLITS,
    SYSTEM,
    DataError,
    PictureDataset,
    class_names,
    is_picture,
)
from going_modular.files import atomic_write, file_sha256

TEST_SHARE, SEED = 0.2, 42
Paths = dict[Path, tuple[str, ...]]  # files, each with the parts of its path from a top
HALVES = ["train(ing)?", "test(ing)?", "val|valid|validation"]
HALVES = [re.compile(name, re.IGNORECASE) for name in HALVES]


@dataclass
class Layout:
    """Which picture of a folder goes where, by half and class, and remarks on it."""

    folder: Path
    halves: dict[str, dict[str, list[Path]]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def is_in_place(self) -> bool:
        """Whether the folder can be used as it is."""
        for half, classes in self.halves.items():
            place, wanted = self.folder / half, {*chain(*classes.values())}
            if not place.is_dir() or class_names(place) != sorted(classes):
                return False
            if wanted != {file for file, _ in PictureDataset(place).samples}:
                return False
        return True


def lay_out(folder: Path, data_dir: Path) -> Path:
    """Find train/ and test/ in a folder of pictures, or make them in `data_dir`.

    Nothing in the folder changes. What is made has links to its files, or copies where
    links cannot be made; another run on the same files finds it again.

    Raises:
        DataError: If there are fewer than two classes, or a half of one is empty.
        FileError: If it cannot be written.
    """
    layout = read_layout(folder)
    target = layout.folder if layout.is_in_place() else _copy(layout, Path(data_dir))
    sizes = (sum(map(len, layout.halves[half].values())) for half in SPLITS)
    taken = "Your pictures: {} to train on, {} to test on".format(*sizes)
    print("; ".join([taken, *layout.remarks]) + ".")
    return target


def _copy(layout: Layout, data_dir: Path) -> Path:
    places = {
        file: Path(half, name, f"{number:05}_{file.name}")
        for half, classes in layout.halves.items()
        for name, files in classes.items()
        for number, file in enumerate(files)
    }
    states = [(str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in places]
    mark = sha256(repr([states, [*places.values()]]).encode()).hexdigest()[:8]
    target = data_dir / f"{layout.folder.name}-{mark}"
    if not target.exists():
        with atomic_write(target, "Laying out your pictures") as part:
            for file, place in places.items():
                (part / place).parent.mkdir(parents=True, exist_ok=True)
                try:
                    os.link(file.resolve(), part / place)
                except OSError:  # another disk, or one without links
                    shutil.copyfile(file, part / place)
    return target


def read_layout(folder: Path) -> Layout:
    """Find classes and halves in a folder, without changing anything.

    Raises:
        DataError: If there are fewer than two classes, or a half of one is empty.
    """
    folder, files = _open(Path(folder))
    layout, skipped, spelling, halves = Layout(folder), [], {}, []
    for pattern in HALVES:
        names = {path[0] for path in files.values() if pattern.fullmatch(path[0])}
        halves.append(_classes(_below(files, names), skipped, spelling))
    train, test, validation = halves
    if train and test and validation:
        train = {name: train[name] + validation.get(name, []) for name in train}
        layout.remarks.append("validation pictures are trained on")
    test = test or validation
    if train and test:
        layout.halves = {"train": train, "test": test}
        _name_copies(layout)
    elif train or test:
        _split(layout, train or test)
    else:
        skipped.clear()
        _split(layout, _classes(files, skipped, spelling))
    _complain(layout)
    if skipped:
        names = sorted({file.name for file in skipped})
        some = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        layout.remarks.append(f"{len(skipped)} left out as no pictures: {some}")
    return layout


def _open(folder: Path) -> tuple[Path, Paths]:
    """What people, and not computers, put into a folder, and where it begins."""
    files = {file: file.relative_to(folder).parts for file in _files(folder)}
    # Zipping puts a folder on top of the others.
    while len(top := _with_pictures(files)) == 1:
        if not _with_pictures(inner := _below(files, top)):
            break
        folder, files = folder / top.pop(), inner
    return folder, files


def _files(folder: Path) -> Iterator[Path]:
    for entry in sorted(e for e in folder.iterdir() if not SYSTEM.fullmatch(e.name)):
        yield from _files(entry) if entry.is_dir() else [entry]


def _with_pictures(files: Paths) -> set[str]:
    """Names of the outer folders that have pictures inside."""
    return {path[0] for file, path in files.items() if path[1:] and is_picture(file)}


def _below(files: Paths, names: set[str]) -> Paths:
    """The files in outer folders of these names, with their paths from there."""
    return {f: path[1:] for f, path in files.items() if path[0] in names and path[1:]}


def _classes(
    files: Paths, skipped: list[Path], spelling: dict[str, str]
) -> dict[str, list[Path]]:
    """The pictures of each class; Pizza is pizza, as it was spelt first."""
    found = defaultdict(list)
    for file, parts in files.items():
        if parts[1:] and is_picture(file):
            name = unicodedata.normalize("NFC", parts[0]).strip()
            found[spelling.setdefault(name.casefold(), name)].append(file)
        else:
            skipped.append(file)
    return dict(sorted(found.items()))


def _photos(files: list[Path]) -> dict[Path, str]:
    """What is alike for copies of a photo: the same bytes, or IMG_1.HEIC and .JPG."""
    sizes = {file: file.stat().st_size for file in files}
    often = Counter(sizes.values())  # most differ in size already
    first, photos = {}, {}
    for file, size in sizes.items():
        stem = str(file.with_suffix("")).casefold()
        marks = stem, file_sha256(file) if often[size] > 1 else file
        photos[file] = next((first[mark] for mark in marks if mark in first), stem)
        first |= dict.fromkeys(marks, photos[file])
    return photos


def _name_copies(layout: Layout) -> None:
    """Whoever made the halves decides what is in them, but should know of copies."""
    train, test = ([*chain(*layout.halves[half].values())] for half in SPLITS)
    photo = _photos([*train, *test])
    learned = {photo[file] for file in train}
    if copies := sum(photo[file] in learned for file in test):
        also = f"{copies} test pictures are training pictures, too, and show nothing"
        layout.remarks.append(also)


def _split(layout: Layout, classes: dict[str, list[Path]]) -> None:
    """Deal each class by a seed; copies of a photo stay on one side."""
    photo, sides = _photos([*chain(*classes.values())]), {}
    layout.halves = {half: {name: [] for name in classes} for half in SPLITS}
    for name, files in classes.items():
        new = [one for one in dict.fromkeys(map(photo.get, files)) if one not in sides]
        random.Random(SEED).shuffle(new)
        tests = min(max(1, round(TEST_SHARE * len(new))), len(new) - 1)
        sides |= {one: "test" if n < tests else "train" for n, one in enumerate(new)}
        for file in files:
            layout.halves[sides[photo[file]]][name].append(file)
    layout.remarks.append(f"split by a seed, {TEST_SHARE:.0%} of each class to test on")


def _complain(layout: Layout) -> None:
    train, test = (layout.halves[half] for half in SPLITS)
    wrong = ""
    if train.keys() != test.keys():
        wrong = (
            "train/ and test/ should hold the same class folders, but train/ has "
            f"{', '.join(train)} and test/ has {', '.join(test)}"
        )
    elif len(train) < 2:
        wrong = (
            "there should be at least two class folders (a folder for each class, or "
            f"train/ and test/ with one for each class in both), but found {[*train]}"
        )
    elif few := [name for name in train if not (train[name] and test[name])]:
        wrong = f"of {', '.join(few)} there are too few pictures to train and test on"
    if wrong:
        raise DataError(f"{layout.folder} cannot be used: {wrong}.")
