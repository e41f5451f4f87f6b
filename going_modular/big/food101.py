"""Food-101: find it, and choose the same share of every class's photos, by a seed.

torchvision's `Food101` downloads and reads it. Its photos have at most 512 pixels a
side; the lesson's pizza, steak and sushi are some of them.
"""

import random
import shutil
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torchvision.datasets import Food101

from going_modular.datasets import DataError, Sample
from going_modular.downloads import is_offline

CLASSES = 101
EACH_CLASS = {"train": 750, "test": 250}  # photos
ALL_PHOTOS = CLASSES * sum(EACH_CLASS.values())
SHARE = 0.2
DOWNLOAD_GB = 5.0
ROOM_GB = 2 * DOWNLOAD_GB + 0.5  # for the archive and what is in it
# The convolutional network on the whole test set, the best of Bossard, Guillaumin and
# Van Gool, ECCV 2014; their random forests got 50.76%.
PUBLISHED_RIGHT, PUBLISHED_TOTAL = 0.5640, CLASSES * EACH_CLASS["test"]


@dataclass(frozen=True)
class Food101Part:
    """The photos chosen from Food-101.

    Attributes:
        class_names: As Food-101 spells them, such as "apple_pie", in column order.
        train: Files and labels, in order of class and name.
        test: The same for the photos to test on.
    """

    class_names: list[str]
    train: list[Sample]
    test: list[Sample]


def count_of(share: float = SHARE) -> dict[str, int]:
    """How many photos a share of Food-101 has, in each half."""
    return {half: CLASSES * round(share * n) for half, n in EACH_CLASS.items()}


def spoken(class_names: Sequence[str]) -> list[str]:
    """Class names for people: "grilled_cheese_sandwich" without its underscores."""
    return [name.replace("_", " ") for name in class_names]


def find_food101(data_dir: Path, *, download: bool = True) -> Path:
    """Make sure that Food-101 is there, downloading it (5 GB) if need be.

    Args:
        data_dir: Holds `food-101/`, or is going to.
        download: False insists that it is there already.

    Returns:
        `data_dir`.

    Raises:
        DataError: If it is not there and cannot be had.
    """
    data_dir = Path(data_dir)
    try:
        Food101(data_dir)
        return data_dir
    except (RuntimeError, OSError, ValueError):
        pass  # not there, or not all of it
    if not download or is_offline():
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
            f"{data_dir / 'food-101'} if it is there, and run this again."
        ) from error
    return data_dir


def choose_photos(
    data_dir: Path, *, share: float = SHARE, seed: int = 42
) -> Food101Part:
    """Choose a share of each class's photos, of both halves.

    A class's choice depends on the seed and its name alone, and a larger share holds
    every photo of a smaller one.

    Args:
        data_dir: Holds `food-101/`.
        share: In (0, 1]; 1 takes all.
        seed: Another one chooses other photos.

    Raises:
        ValueError: If the share is not in (0, 1].
        DataError: If Food-101 is not there, or not all of the photos chosen.
    """
    if not 0 < share <= 1:
        raise ValueError(f"share must be over 0 and at most 1, not {share}")
    find_food101(data_dir, download=False)
    halves = {}
    for half in EACH_CLASS:
        # `Path` as the loader: the names are wanted, and no photo is opened.
        photos = Food101(data_dir, split=half, loader=Path)
        halves[half] = _seeded_share(photos, half, share, seed)
    _check_there(halves["train"] + halves["test"], Path(data_dir))
    return Food101Part(photos.classes, **halves)


def _seeded_share(photos: Food101, half: str, share: float, seed: int) -> list[Sample]:
    by_class = defaultdict(list)
    for number in range(len(photos)):
        file, label = photos[number]
        by_class[label].append(file)
    chosen = []
    for label, files in sorted(by_class.items()):
        # Python promises that random() gives the same numbers in every version, and
        # of shuffle() and sample() it does not.
        numbers = random.Random(f"{seed}/{half}/{photos.classes[label]}")
        drawn = {file: numbers.random() for file in sorted(files)}
        count = max(1, round(share * len(files)))
        first = sorted(drawn, key=drawn.get)[:count]
        chosen += [(file, label) for file in sorted(first)]
    return chosen


def _check_there(samples: Sequence[Sample], data_dir: Path) -> None:
    missing = [file for file, _ in samples if not file.is_file()]
    if missing:
        raise DataError(
            f"{len(missing)} of {len(samples)} photos are not in {data_dir}, such as "
            f"{missing[0]}: unpacking may have been interrupted. Delete "
            f"{data_dir / 'food-101'} and run this again; the archive beside it is "
            "kept, and only unpacked anew."
        )
