"""Load pictures: of train/ and test/, with a folder a class, and some of no food."""

import re
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder

from going_modular.app import model
from going_modular.app.model import PictureError, open_picture
from going_modular.files import LessonError

SPLITS = ("train", "test")
# What operating systems, notebooks and photo programs put into folders.
SYSTEM = re.compile(
    r"\..*|__MACOSX|__pycache__|@eaDir|\$RECYCLE\.BIN|System Volume Information|"
    r"lost\+found|[._]?thumb(nail)?s?(\.db)?|desktop\.ini|picasa.*\.ini|ehthumbs.*\.db",
    re.IGNORECASE,
)
# A package, and where in it the pictures are that its own examples use.
PLACES = {
    "gradio": "media_assets/images",
    "matplotlib": "mpl-data/sample_data",
    "skimage": "data",
    "sklearn": "datasets/images",
}
SMALLEST = 100  # pixels a side; smaller ones are icons and test patterns
Sample = tuple[Path, int]  # a picture's file, and the number of its class


class DataError(LessonError):
    """The pictures cannot be used: what is wrong and what to do next."""


def load_picture(path: Path) -> Image.Image:
    """Load a complete picture as the app does, or raise a DataError."""
    try:
        return Image.fromarray(open_picture(path))
    except (PictureError, OSError) as error:
        why = f"{error}".partition(". ")[0]
        raise DataError(
            f"{path} cannot be used: {why} ({error.__cause__ or error}). Move it out "
            "of the folder or put a readable copy in its place, then run this again."
        ) from error


def is_picture(path: str | Path) -> bool:
    """Whether a file has the name of a picture: one of `KINDS`, in any case."""
    path = Path(path)
    is_system = any(map(SYSTEM.fullmatch, (path.name, path.parent.name)))
    return path.suffix.lower() in model.KINDS and not is_system


class PictureDataset(ImageFolder):
    """torchvision's ImageFolder of `Sample`s, by class and name; none is hidden."""

    def __init__(self, folder: Path, transform: Callable | None = None) -> None:
        how = {"loader": load_picture, "is_valid_file": is_picture}
        # Empty classes are counted and reported by `find_pictures`.
        super().__init__(str(folder), transform, **how, allow_empty=True)
        self.samples = self.imgs = [(Path(file), n) for file, n in self.samples]

    def find_classes(self, directory: str) -> tuple[list[str], dict[str, int]]:
        """Name the classes in alphabetical order and number them from 0."""
        folders = (entry.name for entry in Path(directory).iterdir() if entry.is_dir())
        names = sorted(name for name in folders if not SYSTEM.fullmatch(name))
        return names, {name: number for number, name in enumerate(names)}


def make_datasets(
    folder: Path, transform: Callable | None
) -> tuple[PictureDataset, PictureDataset]:
    """The training and the test dataset; pictures in order of class and name."""
    return tuple(PictureDataset(Path(folder) / split, transform) for split in SPLITS)


def make_loader(pictures: PictureDataset, *, batch_size=32, seed=None) -> DataLoader:
    """Make a dataloader: in order, or shuffled, always alike, by a seed."""
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    return DataLoader(pictures, batch_size, generator is not None, generator=generator)


def count_pictures(folder: Path) -> pd.DataFrame:
    """Count pictures: a row for each split, a column for each class, and totals.

    Files that begin as no picture does raise a DataError, which names up to five.
    """
    train, test = make_datasets(folder, None)
    if bad := [file for file, _ in train.samples + test.samples if not _opens(file)]:
        some = ", ".join(map(str, bad[:5]))
        more = f" and {len(bad) - 5} more" if len(bad) > 5 else ""
        raise DataError(
            f"Not readable as pictures, whatever their names say: {some}{more}. "
            "Move them out of the folder or put readable copies in their place, then "
            "run this again."
        )
    rows = [Counter(half.classes[n] for n in half.targets) for half in (train, test)]
    table = pd.DataFrame(rows, index=SPLITS, columns=train.classes)
    table = table.fillna(0).astype(int).rename_axis("split")
    table["total"] = table.sum(axis=1)
    table.loc["total"] = table.sum()
    return table


def _opens(path: Path) -> bool:
    """Whether its beginning is a picture's, as it is or as the app opens it."""
    for read in (lambda: path, lambda: model.as_pillow_wants(path.read_bytes())):
        # Decoders fail in many ways on a broken file.
        with suppress(Exception), Image.open(read(), formats=model.FORMATS):
            return True
    return False


def find_strangers() -> dict[Path, str]:
    """Pictures of no food, each once, that installed packages bring, and which does.

    How many there are depends on the packages' versions.
    """
    found = {}  # by content
    for package in filter(find_spec, PLACES):
        (top, *_) = find_spec(package).submodule_search_locations
        for file in sorted(Path(top, PLACES[package]).glob("*.[jp][pn]*g")):
            with suppress(PictureError):
                if min(open_picture(file).shape[:2]) >= SMALLEST:
                    found.setdefault(file.read_bytes(), (file, package))
    return dict(found.values())
