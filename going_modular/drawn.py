"""The drawn practice pictures, 252 small JPEG files for readers without internet::

    dishes/train/pizza/pizza_train_00.jpg ...   36 of each dish, and 18 in test/
    other_dishes/train/soup/soup_train_00.jpg ...   12 of each dish, and 6 in test/

What a model scores on them says nothing about photos.
"""

import zipfile
from pathlib import Path

from going_modular.downloads import unpack
from going_modular.files import FileError

DATA = Path(__file__).resolve().parents[1] / "data"
ARCHIVE = DATA / "drawn_pictures.zip"
MARKER = "DRAWN_PICTURES.txt"  # in a folder with train/ and test/: they are drawn
CLASS_NAMES = ("pizza", "steak", "sushi")
OTHER_NAMES = ("fried_eggs", "noodles", "pancakes", "salad", "soup")


def drawn_pictures(data_dir: Path = DATA) -> Path:
    """The folder, in `data_dir`, that holds dishes/ and other_dishes/, unpacked once.

    If it cannot be unpacked, or is no longer as it came, a FileError says so.
    """
    folder = unpack(ARCHIVE, Path(data_dir) / ARCHIVE.stem)
    with zipfile.ZipFile(ARCHIVE) as zipped:
        for member in zipped.infolist():
            file = folder / member.filename
            if not file.is_file() or file.stat().st_size != member.file_size:
                why = "is not there, or not as it came with the course"
                raise FileError(f"{file} {why}. Delete {folder} and run this again.")
    return folder


def drawn_files(name: str, split: str = "test", data_dir: Path = DATA) -> list[Path]:
    """The drawn pictures of a dish, by its folder's name, in one half, in order."""
    top = "dishes" if name in CLASS_NAMES else "other_dishes"
    return sorted((drawn_pictures(data_dir) / top / split / name).glob("*.jpg"))
