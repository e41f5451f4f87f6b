"""Find the lesson's pictures, fetching or unpacking them if need be.

A folder of pictures looks like this, with the same classes in both halves::

    train/pizza/*.jpg   train/steak/*.jpg   train/sushi/*.jpg
    test/pizza/*.jpg    test/steak/*.jpg    test/sushi/*.jpg
"""

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from going_modular.datasets import (
    SPLITS,
    DataError,
    PictureDataset,
    class_names,
    count_pictures,
)
from going_modular.downloads import (
    PHOTOS_URL,
    download,
    is_offline,
    unpack,
    unpack_checked,
    zip_complaint,
)
from going_modular.drawn import MARKER, drawn_pictures
from going_modular.files import FileError, git_blob_sha1

PHOTOS_NAME = Path(urlsplit(PHOTOS_URL).path).stem
# What Git calls the published zip, so that no other file passes for it.
PHOTOS_BLOB = "dfc8ad2ae9415304d69cc6a0ee443c340cb29049"
PHOTOS_COUNTS = {"train": 450, "test": 150}


@dataclass(frozen=True)
class Pictures:
    """Where the pictures are and what they are.

    Attributes:
        folder: Holds train/ and test/, one folder a class in each.
        source: Where they came from, in words.
        is_practice: Drawn, not photographed.
    """

    folder: Path
    source: str
    is_practice: bool

    @property
    def label(self) -> str:
        """A short text to put beside every result."""
        return "drawn practice pictures" if self.is_practice else "real photos"


def find_pictures(
    data_dir: Path, *, photos: str | None = None, fetch: bool = True
) -> Pictures:
    """Find pictures to learn from, fetching or unpacking them if need be.

    Tried in this order: what the environment variable FOODVISION_DATA names (a
    folder, a zip, or the web address of a zip); the published photos, in `data_dir`
    or from the internet; with no internet, the drawn practice pictures.

    Args:
        data_dir: Where what is downloaded goes.
        photos: The address of the published photos, if it is not `PHOTOS_URL`.
        fetch: Whether they may be downloaded.

    Raises:
        DataError: If the first that applies fails. There is no silent fallback.
        FileError: If the drawn practice pictures cannot be unpacked.
    """
    data_dir = Path(data_dir)
    given = os.environ.get("FOODVISION_DATA", "").strip()
    may_fetch = fetch and not is_offline()
    if not given and not _published_is_here(data_dir) and not may_fetch:
        folder = drawn_pictures(data_dir) / "dishes"
        return Pictures(folder, "drawn practice pictures", is_practice=True)
    try:
        if given:
            return _own(given, data_dir)
        return _published(data_dir, photos or PHOTOS_URL)
    except FileError as error:
        if given:
            other_way = "Or unset FOODVISION_DATA to use the lesson's own pictures."
        elif (data_dir / f"{PHOTOS_NAME}.zip").exists():
            other_way = "Or set FOODVISION_DATA to that zip to use it as it is."
        else:
            other_way = "Or set FOODVISION_OFFLINE=1 to use drawn practice pictures."
        raise DataError(f"{error} {other_way}") from error


def _own(given: str, data_dir: Path) -> Pictures:
    is_address = given.lower().startswith(("http://", "https://"))
    path = Path(given).expanduser().absolute()
    if is_address:
        folder = _from_address(given, data_dir)
    elif path.is_dir():
        folder = _checked(path, "Put that right and run this again.")
    elif path.is_file():
        folder = unpack_checked(path, data_dir, _checked)
    else:
        raise DataError(
            f"FOODVISION_DATA is {given!r}, but there is no folder or zip at {path}. "
            "Correct it, or unset it to use the lesson's own pictures."
        )
    is_practice = (folder / MARKER).exists()
    return Pictures(folder, "your own (FOODVISION_DATA)", is_practice)


def _from_address(url: str, data_dir: Path) -> Path:
    # The name holds a hash of the address: two addresses never share a file.
    stem = re.sub(r"[^\w-]+", "_", Path(unquote(urlsplit(url).path)).stem) or "pictures"
    name = f"{stem}-{hashlib.sha256(url.encode()).hexdigest()[:8]}.zip"
    archive = data_dir / name
    is_new = not archive.exists()
    download(url, archive, verify=zip_complaint)
    try:
        return unpack_checked(archive, data_dir, _checked)
    except DataError:
        if is_new:  # so that the next run fetches it anew
            archive.unlink(missing_ok=True)
        raise


def _published_is_here(data_dir: Path) -> bool:
    folder = Path(data_dir) / PHOTOS_NAME
    return folder.exists() or folder.with_suffix(".zip").exists()


def _published(data_dir: Path, url: str) -> Pictures:
    folder = data_dir / PHOTOS_NAME
    archive = folder.with_suffix(".zip")
    if not folder.exists():
        unpack(download(url, archive, verify=photos_complaint), folder)
    again = f"Delete {folder} and run this again."
    counts = count_pictures(_checked(folder, again))["total"]
    if counts[list(SPLITS)].to_dict() != PHOTOS_COUNTS:
        raise DataError(
            f"{folder} should hold the published {PHOTOS_COUNTS['train']} training and "
            f"{PHOTOS_COUNTS['test']} test photos, but holds {counts['train']} and "
            f"{counts['test']}. {again} To learn from pictures of your own, set "
            "FOODVISION_DATA to their folder."
        )
    return Pictures(folder, "published photos", is_practice=False)


def photos_complaint(archive: Path) -> str | None:
    """Say why a file is not the published zip ("the file ..."), or None if it is."""
    if git_blob_sha1(archive) == PHOTOS_BLOB:
        return None
    return zip_complaint(archive) or "is not the published one (its hash differs)"


def _checked(folder: Path, advice: str) -> Path:
    """Return the folder that holds train/ and test/, or say what is missing."""
    visible = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    if len(visible) == 1 and visible[0].is_dir() and visible[0].name not in SPLITS:
        folder = visible[0]  # zipping a folder puts its name on top
    if complaint := _folder_complaint(folder):
        raise DataError(f"{folder} cannot be used: {complaint}. {advice}")
    return folder


def _folder_complaint(folder: Path) -> str | None:
    missing = [f"{split}/" for split in SPLITS if not (folder / split).is_dir()]
    if missing:
        return (
            f"it has no {' and no '.join(missing)}; it should hold train/ and test/ "
            "with one folder for each class in both"
        )
    train, test = (class_names(folder / split) for split in SPLITS)
    if train != test:
        return (
            "train/ and test/ should hold the same class folders, but train/ has "
            f"{', '.join(train) or 'none'} and test/ has {', '.join(test) or 'none'}"
        )
    if len(train) < 2:
        return f"there should be at least two class folders, but found {train}"
    for split in SPLITS:
        counts = PictureDataset(folder / split).class_counts()
        empty = [f"{split}/{name}" for name, n in counts.items() if n == 0]
        if empty:
            return f"there is no picture in {', '.join(empty)}"
    return None
