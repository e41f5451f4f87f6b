"""Photos in Food-101's format: find a tree of them, and choose by a seed.

A tree of any number of classes looks like Food-101 itself::

    images/pizza/1001116.jpg ...
    meta/train.json             {"pizza": ["pizza/1001116", ...], ...}
    meta/test.json              the same for the photos to test on
"""

import json
import os
import random
import re
import shutil
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from torchvision.datasets import Food101

from going_modular.app.model import spoken
from going_modular.datasets import DataError, Sample
from going_modular.downloads import is_offline, unpack
from going_modular.drawn import DATA, MARKER, drawn_pictures
from going_modular.files import atomic_write

CLASSES = 101
EACH_CLASS = {"train": 750, "test": 250}  # photos
ALL_PHOTOS = CLASSES * sum(EACH_CLASS.values())
ALL_UP_TO = 25_000  # photos, which a laptop sees in minutes
SHARE = 0.2  # of a larger tree
# Of each class: one training photo for the model file to carry, one for the threshold.
LEAST = {"train": 2, "test": 1}
DOWNLOAD_GB = 5.0
ROOM_GB = 2 * DOWNLOAD_GB + 0.5  # for the archive and what is in it
# The convolutional network on the whole test set, the best of Bossard, Guillaumin and
# Van Gool, ECCV 2014; their random forests got 50.76%.
PUBLISHED_RIGHT, PUBLISHED_TOTAL = 0.5640, CLASSES * EACH_CLASS["test"]

Listing = dict[str, list[str]]  # a class's name -> its photos, as "class/id"
PHOTO = re.compile(r"([^/\\:]+)/[^/\\:]+")  # no name leads out of its class's folder


@dataclass(frozen=True)
class Tree:
    """Photos in Food-101's format, on the disk, in a folder with images/ and meta/."""

    folder: Path
    is_practice: bool  # drawn, not photographed

    @property
    def features_folder(self) -> Path:
        """Beside it, or, where nothing may be written there, in the course's data/."""
        may_write = os.access(self.folder.parent, os.W_OK)
        place = self.folder.parent if may_write else DATA
        return place / f"{self.folder.name}-features"


@dataclass(frozen=True)
class Food101Part:
    """The photos chosen from a tree: files and labels, in order of class and name."""

    class_names: list[str]  # as the tree spells them: "apple_pie"
    train: list[Sample]
    test: list[Sample]
    is_practice: bool

    @property
    def is_whole(self) -> bool:
        """Whether it has all of Food-101's classes, as published results have."""
        names = self.class_names
        ends = names[:1] + names[-1:] == ["apple_pie", "waffles"]
        return not self.is_practice and ends and len(names) == CLASSES

    @property
    def where(self) -> str:
        if self.is_whole:
            return "Food-101"
        if self.is_practice:
            return f"drawn practice pictures of {len(self.class_names)} dishes"
        return f"{len(self.class_names)} dishes in Food-101's format"


def count_of(share: float = SHARE) -> dict[str, int]:
    """How many photos a share of Food-101 has, in each half."""
    return {half: CLASSES * round(share * n) for half, n in EACH_CLASS.items()}


def find_tree(named: str, data_dir: Path) -> Tree:
    """Find the photos that FOODVISION_BIG names; fetch or unpack them if need be.

    It can be "photos" (all of Food-101, downloaded to `data_dir`), "practice" (drawn),
    a folder that holds images/ and meta/ or one folder that does, or a .zip of one.
    Nothing: Food-101 if it is there, else drawn. No such tree is a DataError, a torn
    zip a FileError.
    """
    named, data_dir = named.strip(), Path(data_dir)
    if named == "photos" or (not named and is_tree(data_dir / "food-101")):
        folder = _food101(data_dir)
    elif named in ("", "practice"):
        folder = _drawn(data_dir)
    else:
        folder = _own(named, data_dir)
    return Tree(folder, is_practice=(folder / MARKER).exists())


def is_tree(folder: Path) -> bool:
    """Whether a folder is in Food-101's own format."""
    return all((folder / name).is_dir() for name in ("images", "meta"))


def _drawn(data_dir: Path) -> Path:
    folder, source = data_dir / "drawn-food-101", drawn_pictures(data_dir)
    if is_tree(folder):
        return folder
    with atomic_write(folder) as part:
        (part / "meta").mkdir(parents=True)
        for half in LEAST:
            listing: Listing = {}
            for file in sorted(source.glob(f"*/{half}/*/*.jpg")):
                dish = file.parent.name
                (part / "images" / dish).mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, part / "images" / dish / file.name)
                listing.setdefault(dish, []).append(f"{dish}/{file.stem}")
            (part / f"meta/{half}.json").write_text(json.dumps(listing), "utf-8")
        shutil.copyfile(source / "dishes" / MARKER, part / MARKER)
    return folder


def _food101(data_dir: Path) -> Path:
    folder = data_dir / "food-101"
    if is_tree(folder):
        return folder
    if is_offline():
        raise DataError(
            f"There is no Food-101 in {data_dir}. With internet it is downloaded "
            f"({DOWNLOAD_GB:.0f} GB); without, copy a food-101 folder, with images/ "
            "and meta/ in it, there and run this again."
        )
    data_dir.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(data_dir).free < ROOM_GB * 1e9:
        raise DataError(
            f"Food-101 needs {ROOM_GB:.0f} GB of disk while it is unpacked, and "
            f"{data_dir} has less. Make room and run this again."
        )
    try:
        Food101(data_dir, download=True)
    except (RuntimeError, OSError, ValueError, EOFError) as error:
        raise DataError(
            f"Food-101 could not be downloaded to {data_dir}: {error}. Delete "
            f"{folder} if it is there, and run this again."
        ) from error
    return folder


def _own(named: str, data_dir: Path) -> Path:
    # A link is not followed: features go beside it, where the reader can write.
    path = Path(os.path.abspath(os.path.expanduser(named)))
    if path.is_dir():
        return _tree_in(path, "Put that right and run this again.")
    if path.is_file() and path.suffix.lower() == ".zip":
        return unpack(path, data_dir / path.stem, _tree_in)
    raise DataError(
        f"There is no folder and no .zip at {path}. FOODVISION_BIG can name one with "
        'photos in Food-101\'s format, or be "photos" (all of Food-101, a '
        f'{DOWNLOAD_GB:.0f} GB download) or "practice" (drawn), or be unset. Correct '
        "it and run this again."
    )


def _tree_in(folder: Path, advice: str) -> Path:
    visible = (path for path in folder.iterdir() if not path.name.startswith("."))
    trees = [folder] if is_tree(folder) else sorted(filter(is_tree, visible))
    if len(trees) != 1:
        found = ", ".join(tree.name for tree in trees) or "none"
        raise DataError(
            f"{folder} should hold images/ and meta/, as Food-101 does, or exactly one "
            f"folder that does; found: {found}. {advice}"
        )
    _read_listings(trees[0])
    return trees[0]


def choose_photos(tree: Tree, *, share: float | None = None, seed=42) -> Food101Part:
    """Choose a share of each class's photos, of both halves.

    A class's choice depends on the seed and its name alone, and a larger share holds
    every photo of a smaller one. If none is given it is all of up to `ALL_UP_TO`
    photos, `SHARE` of more. A share outside (0, 1] is a ValueError; if meta/ cannot be
    used, or not all of the photos chosen are there, it is a DataError.
    """
    if share is not None and not 0 < share <= 1:
        raise ValueError(f"share must be over 0, at most 1 (all photos), not {share}")
    listings, halves = _read_listings(tree.folder), {}
    images = tree.folder / "images"
    if share is None:
        total = sum(len(names) for half in listings.values() for names in half.values())
        share = 1 if total <= ALL_UP_TO else SHARE
    for half, listing in listings.items():
        halves[half] = chosen = []
        for label, class_name in enumerate(sorted(listing)):
            files = sorted(images / f"{name}.jpg" for name in listing[class_name])
            # Python promises that random() gives the same numbers in every version,
            # and of shuffle() and sample() it does not.
            numbers = random.Random(f"{seed}/{half}/{class_name}")
            drawn = {file: numbers.random() for file in files}
            count = max(LEAST[half], round(share * len(files)))
            first = sorted(drawn, key=drawn.get)[:count]
            chosen += [(file, label) for file in sorted(first)]
    samples = halves["train"] + halves["test"]
    if missing := [file for file, _ in samples if not file.is_file()]:
        raise DataError(
            f"{len(missing)} of {len(samples)} photos are not in {tree.folder}, such "
            f"as {missing[0]}: copying or unpacking may have been interrupted. Do that "
            f"again. If the lesson did it, delete {tree.folder} and run this again: "
            "the archive is kept, and only unpacked anew."
        )
    return Food101Part(sorted(listing), **halves, is_practice=tree.is_practice)


def _read_listings(folder: Path) -> dict[str, Listing]:
    listings = {}
    try:
        for half, least in LEAST.items():
            file = folder / "meta" / f"{half}.json"
            listings[half] = json.loads(file.read_bytes())
            _check_listing(listings[half], least)
        file = folder / "meta"
        _check_both(**listings)
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(
            f"{file} cannot be used: {error}. Put it right, as Food-101 has it, and "
            "run this again."
        ) from error
    return listings


def _check_listing(listing: object, least: int) -> None:
    lists = [*listing.values()] if isinstance(listing, dict) else [None]
    if not all(isinstance(names, list) for names in lists):
        raise ValueError(
            "it holds something else than classes and their photos, such as "
            '{"pizza": ["pizza/1001116", "pizza/1008104"]}'
        )
    for class_name, names in listing.items():
        for name in names:
            is_name = PHOTO.fullmatch(str(name))
            if not is_name or is_name[1] != class_name or class_name in (".", ".."):
                raise ValueError(f"it lists {name!r} for {class_name!r}")
    few = [name for name, names in listing.items() if len(names) < least]
    _refuse(few, f"it needs {least} photos or more of")


def _check_both(train: Listing, test: Listing) -> None:
    _refuse(train.keys() ^ test.keys(), "of both files one lacks")
    if len(train) < 2:
        raise ValueError(f"it names {len(train)} classes, and needs at least two")
    alike = [name for name, count in Counter(map(spoken, train)).items() if count > 1]
    _refuse(alike, "a space and an underscore do not tell classes apart:")
    photos = Counter(chain(*train.values(), *test.values()))
    again = [name for name, count in photos.items() if count > 1]
    _refuse(again, "each photo should be listed once, but not so")


def _refuse(names: Iterable[str], why: str) -> None:
    if names := sorted(names):
        many = f"{names[0]} and {len(names) - 1} more"
        raise ValueError(f"{why} {many if len(names) > 5 else ', '.join(names)}")
