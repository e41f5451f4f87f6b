"""Find the lesson's pictures, fetching or unpacking them if need be.

Their folder has train/pizza/*.jpg, test/pizza/*.jpg and so on, with the same classes in
both halves. Of a reader's own a folder a class is enough: it is split by a seed, copies
of a photo on one side. Halves may have other names (`val`, `Training`), and classes
other folders inside. What is no picture is left out, counted and named.
"""

import hashlib
import os
import random
import re
import shutil
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from going_modular import datasets, downloads
from going_modular.datasets import SPLITS, SYSTEM, DataError, is_picture
from going_modular.drawn import MARKER, drawn_pictures
from going_modular.files import FileError, atomic_write, file_sha256

PHOTOS_NAME = Path(urlsplit(downloads.PHOTOS_URL).path).stem
# What Git calls the published zip, so that no other file passes for it.
PHOTOS_BLOB = "dfc8ad2ae9415304d69cc6a0ee443c340cb29049"
PHOTOS_COUNTS = [450, 150]  # to train on, to test on
TEST_SHARE, SEED = 0.2, 42
ADVICE = "Put that right and run this again."
HALVES = ("train(ing)?", "test(ing)?", "val|valid|validation")  # names, in any case
Paths = dict[Path, tuple[str, ...]]  # files, each with the parts of its path from a top
Classes = dict[str, list[Path]]  # the pictures of each class


class Pictures(NamedTuple):
    """Where train/ and test/ are, and whether they were drawn, not photographed."""

    folder: Path
    is_practice: bool

    @property
    def label(self) -> str:
        return "drawn practice pictures" if self.is_practice else "real photos"


def find_pictures(data_dir: Path, *, photos: str | None = None, fetch=True) -> Pictures:
    """Find pictures to learn from; what must be fetched or unpacked goes to `data_dir`.

    Tried in this order: what FOODVISION_DATA names (a folder, a zip, or the web address
    of a zip); the published photos, there or from `photos`, their address, if they may
    be fetched; with no internet, the drawn ones. There is no silent fallback: the first
    that applies works, or is a DataError (of the drawn ones, a FileError).
    """
    data_dir = Path(data_dir)
    if os.environ.get("FOODVISION_OFFLINE"):
        downloads.is_offline()  # refuses what is neither 0 nor 1
    if given := os.environ.get("FOODVISION_DATA", "").strip():
        try:
            folder = _own(given, data_dir)
        except FileError as error:
            other_way = "Or unset FOODVISION_DATA to use the lesson's own pictures."
            raise DataError(f"{error} {other_way}") from error
        return Pictures(folder, is_practice=(folder / MARKER).exists())
    folder = data_dir / PHOTOS_NAME
    archive = folder.with_suffix(".zip")
    is_here = folder.exists() or archive.exists()
    if not is_here and (not fetch or downloads.is_offline()):
        return Pictures(drawn_pictures(data_dir) / "dishes", is_practice=True)
    try:
        if not folder.exists():
            address = photos or downloads.PHOTOS_URL
            downloads.download(address, archive, verify=photos_complaint)
            downloads.unpack(archive, folder)
    except FileError as error:
        other_way = "FOODVISION_OFFLINE=1 to use drawn practice pictures"
        if archive.exists():
            other_way = "FOODVISION_DATA to that zip to use it as it is"
        raise DataError(f"{error} Or set {other_way}.") from error
    _check_published(folder)
    return Pictures(folder, is_practice=False)


def _own(given: str, data_dir: Path) -> Path:
    laid_out = partial(lay_out, data_dir=data_dir)
    if given.lower().startswith(("http://", "https://")):
        # The name holds a hash of the address: two addresses never share a file.
        stem = re.sub(r"[^\w-]+", "_", Path(unquote(urlsplit(given).path)).stem)
        mark = hashlib.sha256(given.encode()).hexdigest()[:8]
        archive = data_dir / f"{stem or 'pictures'}-{mark}.zip"
        downloads.download(given, archive, verify=downloads.zip_complaint)
        try:
            return downloads.unpack(archive, data_dir / archive.stem, laid_out)
        except DataError:
            archive.unlink()  # so that the next run fetches it anew
            raise
    path = Path(given).expanduser().absolute()
    if path.is_dir():
        return lay_out(path, data_dir)
    if path.is_file():
        return downloads.unpack(path, data_dir / path.stem, laid_out)
    raise DataError(
        f"FOODVISION_DATA is {given!r}, but there is no folder or zip at {path}. "
        "Correct it, or unset it to use the lesson's own pictures."
    )


def _check_published(folder: Path) -> None:
    counts = [sum(map(is_picture, folder.glob(f"{half}/*/*"))) for half in SPLITS]
    if counts != PHOTOS_COUNTS:
        raise DataError(
            f"{folder} should hold the published {PHOTOS_COUNTS[0]} training and "
            f"{PHOTOS_COUNTS[1]} test photos, but holds {counts[0]} and {counts[1]}. "
            "Delete it and run this again. To learn from pictures of your own, set "
            "FOODVISION_DATA to their folder."
        )
    datasets.count_pictures(folder)  # which names those that are no pictures


def photos_complaint(archive: Path) -> str | None:
    """Say why a file is not the published zip ("the file ..."), or None if it is."""
    content = Path(archive).read_bytes()
    # Git uses SHA-1 as a name here, which some hardened Pythons want told.
    blob = b"blob %d\0" % len(content) + content
    if hashlib.sha1(blob, usedforsecurity=False).hexdigest() == PHOTOS_BLOB:
        return None
    differs = "is not the published one (its hash differs)"
    return downloads.zip_complaint(archive) or differs


def lay_out(folder: Path, data_dir: Path, advice=ADVICE) -> Path:
    """Find train/ and test/ in a folder of pictures, or make them in `data_dir`.

    Nothing in the folder changes. What is made has links to its files, or copies;
    another run on the same files finds it again. With fewer than two classes, or none
    in a half, it is a DataError; what a disk refuses a FileError.
    """
    folder = _beginning(Path(folder))
    files = {file: file.relative_to(folder).parts for file in _files(folder)}
    train, test, remarks = _halves(files)
    if wrong := _complaint(train, test):
        raise DataError(f"{folder} cannot be used: {wrong}. {advice}")
    halves = {"train": train, "test": test}
    if not all(_is_in_place(folder / half, halves[half]) for half in halves):
        folder = _copy(folder, halves, Path(data_dir))
    sizes = (sum(map(len, classes.values())) for classes in halves.values())
    taken = "Your pictures: {} to train on, {} to test on".format(*sizes)
    print("; ".join([taken, *remarks]) + ".")
    return folder


def _is_in_place(half: Path, classes: Classes) -> bool:
    if not half.is_dir():
        return False
    found = datasets.PictureDataset(half)
    files = {file for file, _ in found.samples}
    return found.classes == sorted(classes) and files == {*chain(*classes.values())}


def _copy(folder: Path, halves: dict[str, Classes], data_dir: Path) -> Path:
    places = {
        file: Path(half, name, f"{number:05}_{file.name}")
        for half, classes in halves.items()
        for name, files in classes.items()
        for number, file in enumerate(files)
    }
    states = [(str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in places]
    mark = hashlib.sha256(repr([states, [*places.values()]]).encode()).hexdigest()[:8]
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
