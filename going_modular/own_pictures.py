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
from functools import partial
from hashlib import sha256
from itertools import chain
from pathlib import Path

from going_modular.datasets import (
    SYSTEM,
    DataError,
    PictureDataset,
    class_names,
    is_picture,
)
from going_modular.files import atomic_write, file_sha256

TEST_SHARE, SEED = 0.2, 42
HALVES = ("train(ing)?", "test(ing)?", "val|valid|validation")  # names, in any case
Paths = dict[Path, tuple[str, ...]]  # files, each with the parts of its path from a top
Classes = dict[str, list[Path]]  # the pictures of each class


def lay_out(folder: Path, data_dir: Path) -> Path:
    """Find train/ and test/ in a folder of pictures, or make them in `data_dir`.

    Nothing in the folder changes. What is made has links to its files, or copies where
    links cannot be made; another run on the same files finds it again. With fewer than
    two classes, or none in a half, it is a DataError; what a disk refuses a FileError.
    """
    folder = _beginning(Path(folder))
    files = {file: file.relative_to(folder).parts for file in _files(folder)}
    train, test, remarks = _halves(files)
    if wrong := _complaint(train, test):
        raise DataError(f"{folder} cannot be used: {wrong}.")
    halves = {"train": train, "test": test}
    if not all(_is_in_place(folder / half, halves[half]) for half in halves):
        folder = _copy(folder, halves, Path(data_dir))
    sizes = (sum(map(len, classes.values())) for classes in halves.values())
    taken = "Your pictures: {} to train on, {} to test on".format(*sizes)
    print("; ".join([taken, *remarks]) + ".")
    return folder


def _is_in_place(half: Path, classes: Classes) -> bool:
    if not half.is_dir() or class_names(half) != sorted(classes):
        return False
    return {f for f, _ in PictureDataset(half).samples} == {*chain(*classes.values())}


def _copy(folder: Path, halves: dict[str, Classes], data_dir: Path) -> Path:
    places = {
        file: Path(half, name, f"{number:05}_{file.name}")
        for half, classes in halves.items()
        for name, files in classes.items()
        for number, file in enumerate(files)
    }
    states = [(str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in places]
    mark = sha256(repr([states, [*places.values()]]).encode()).hexdigest()[:8]
    target = data_dir / f"{folder.name}-{mark}"
    if not target.exists():
        with atomic_write(target, "Laying out your pictures") as part:
            for file, place in places.items():
                (part / place).parent.mkdir(parents=True, exist_ok=True)
                try:
                    os.link(file.resolve(), part / place)
                except OSError:  # another disk, or one without links
                    shutil.copyfile(file, part / place)
    return target


def _beginning(folder: Path) -> Path:
    """Where the classes or halves begin: zipping puts a folder on top of the others."""
    tops = _with_pictures(folder)
    is_on_top = len(tops) == 1 and _with_pictures(tops[0])
    return _beginning(tops[0]) if is_on_top else folder


def _with_pictures(folder: Path) -> list[Path]:
    folders = (entry for entry in _entries(folder) if entry.is_dir())
    return [each for each in folders if any(map(is_picture, _files(each)))]


def _files(folder: Path) -> Iterator[Path]:
    for entry in _entries(folder):
        yield from _files(entry) if entry.is_dir() else [entry]


def _entries(folder: Path) -> list[Path]:
    """What people, and not computers, put into a folder."""
    return sorted(e for e in folder.iterdir() if not SYSTEM.fullmatch(e.name))


def _halves(files: Paths) -> tuple[Classes, Classes, list[str]]:
    """Training and test pictures, and remarks on them."""
    found, skipped, spelling, remarks = [], [], {}, []
    for half in HALVES:
        is_half = partial(re.fullmatch, half, flags=re.IGNORECASE)
        inside = {f: path[1:] for f, path in files.items() if is_half(path[0])}
        found.append(_classes(inside, skipped, spelling))
    train, test, validation = found
    if all(found):
        train = {name: train[name] + validation.get(name, []) for name in train}
        remarks.append("validation pictures are trained on")
    test = test or validation
    if train and test:
        # Whoever made the halves decides what is in them, but should know of copies.
        photo = _photos([*chain(*train.values(), *test.values())])
        learned = {photo[file] for file in chain(*train.values())}
        if copies := sum(photo[file] in learned for file in chain(*test.values())):
            also = "test pictures are training pictures, too, and show nothing"
            remarks.append(f"{copies} {also}")
    else:
        if not (train or test):
            skipped.clear()
            train = _classes(files, skipped, spelling)
        train, test = _split(train or test)
        remarks.append(f"split by a seed, {TEST_SHARE:.0%} of each class to test on")
    if skipped:
        names = sorted({file.name for file in skipped})
        some = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        remarks.append(f"{len(skipped)} left out as no pictures: {some}")
    return train, test, remarks


def _classes(files: Paths, skipped: list[Path], spelling: dict[str, str]) -> Classes:
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


def _split(classes: Classes) -> tuple[Classes, Classes]:
    """Deal each class by a seed; copies of a photo stay on one side."""
    photo, dealt = _photos([*chain(*classes.values())]), {}  # whether to the test
    train, test = ({name: [] for name in classes} for _ in range(2))
    for name, files in classes.items():
        new = [key for key in dict.fromkeys(map(photo.get, files)) if key not in dealt]
        random.Random(SEED).shuffle(new)
        tests = min(max(1, round(TEST_SHARE * len(new))), len(new) - 1)
        dealt |= {key: number < tests for number, key in enumerate(new)}
        for file in files:
            (test if dealt[photo[file]] else train)[name].append(file)
    return train, test


def _complaint(train: Classes, test: Classes) -> str | None:
    if train.keys() != test.keys():
        return (
            "train/ and test/ should hold the same class folders, but train/ has "
            f"{', '.join(train)} and test/ has {', '.join(test)}"
        )
    if len(train) < 2:
        return (
            "there should be at least two class folders (a folder for each class, or "
            f"train/ and test/ with one for each class in both), but found {[*train]}"
        )
    few = ", ".join(name for name in train if not (train[name] and test[name]))
    return f"of {few} there are too few pictures to train and test on" if few else None
