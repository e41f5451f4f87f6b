"""Find the lesson's pictures, fetching or unpacking them if need be.

Their folder has train/pizza/*.jpg, test/pizza/*.jpg and so on, with the same classes in
both halves. A reader's own folder may look otherwise: see `own_pictures`.
"""

import hashlib
import os
import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from going_modular.datasets import SPLITS, DataError, count_pictures, is_picture
from going_modular.downloads import (
    PHOTOS_URL,
    download,
    is_offline,
    unpack,
    zip_complaint,
)
from going_modular.drawn import MARKER, drawn_pictures
from going_modular.files import FileError
from going_modular.own_pictures import lay_out

PHOTOS_NAME = Path(urlsplit(PHOTOS_URL).path).stem
# What Git calls the published zip, so that no other file passes for it.
PHOTOS_BLOB = "dfc8ad2ae9415304d69cc6a0ee443c340cb29049"
PHOTOS_COUNTS = [450, 150]  # to train on, to test on


class Pictures(NamedTuple):
    """Where train/ and test/ are, and whether they were drawn, not photographed."""

    folder: Path
    is_practice: bool

    @property
    def label(self) -> str:
        """A short text to put beside every result."""
        return "drawn practice pictures" if self.is_practice else "real photos"


def find_pictures(
    data_dir: Path, *, photos: str | None = None, fetch: bool = True
) -> Pictures:
    """Find pictures to learn from; what must be fetched or unpacked goes to `data_dir`.

    Tried in this order: what the environment variable FOODVISION_DATA names (a folder,
    a zip, or the web address of a zip); the published photos, there or from `photos`,
    their address, if they may be fetched; with no internet, the drawn practice
    pictures. There is no silent fallback: if the first that applies fails, it is a
    DataError, or, if the drawn ones cannot be unpacked, a FileError.
    """
    data_dir = Path(data_dir)
    if os.environ.get("FOODVISION_OFFLINE"):
        is_offline()  # refuses what is neither 0 nor 1, whatever the pictures are
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
    if not is_here and (not fetch or is_offline()):
        return Pictures(drawn_pictures(data_dir) / "dishes", is_practice=True)
    try:
        if not folder.exists():
            download(photos or PHOTOS_URL, archive, verify=photos_complaint)
            unpack(archive, folder)
    except FileError as error:
        other_way = "FOODVISION_OFFLINE=1 to use drawn practice pictures"
        if archive.exists():
            other_way = "FOODVISION_DATA to that zip to use it as it is"
        raise DataError(f"{error} Or set {other_way}.") from error
    _check_published(folder)
    return Pictures(folder, is_practice=False)


def _own(given: str, data_dir: Path) -> Path:
    def laid_out(folder: Path, advice: str) -> Path:
        try:
            return lay_out(folder, data_dir)
        except DataError as error:
            raise DataError(f"{error} {advice}") from error

    if given.lower().startswith(("http://", "https://")):
        # The name holds a hash of the address: two addresses never share a file.
        stem = re.sub(r"[^\w-]+", "_", Path(unquote(urlsplit(given).path)).stem)
        mark = hashlib.sha256(given.encode()).hexdigest()[:8]
        archive = data_dir / f"{stem or 'pictures'}-{mark}.zip"
        download(given, archive, verify=zip_complaint)
        try:
            return unpack(archive, data_dir / archive.stem, laid_out)
        except DataError:
            archive.unlink()  # so that the next run fetches it anew
            raise
    path = Path(given).expanduser().absolute()
    if path.is_dir():
        return laid_out(path, "Put that right and run this again.")
    if path.is_file():
        return unpack(path, data_dir / path.stem, laid_out)
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
    count_pictures(folder)  # which names those that are no pictures


def photos_complaint(archive: Path) -> str | None:
    """Say why a file is not the published zip ("the file ..."), or None if it is."""
    content = Path(archive).read_bytes()
    # Git uses SHA-1 as a name here, which some hardened Pythons want told.
    blob = b"blob %d\0" % len(content) + content
    if hashlib.sha1(blob, usedforsecurity=False).hexdigest() == PHOTOS_BLOB:
        return None
    return zip_complaint(archive) or "is not the published one (its hash differs)"
