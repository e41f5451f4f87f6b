"""Look through zips before trusting them, and unpack them wholly or not at all."""

import lzma
import stat
import zipfile
import zlib
from pathlib import Path, PureWindowsPath

from going_modular.downloads import DownloadError, all_or_nothing

# Pictures hardly compress. A zip that grows more than this is not one of pictures.
MAX_GROWTH = 20
ALWAYS_ALLOWED = 1_000_000_000  # bytes, whatever the growth
TORN = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,  # a packing method that Python does not know
)
CLUTTER = {"__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini"}


def zip_complaint(archive: Path) -> str | None:
    """Say what is wrong with a zip, as the end of "the file ...", or None.

    Reads every byte and compares checksums. Members that would land outside the
    folder they are unpacked into, links, passwords and zip bombs count as wrong.
    """
    with Path(archive).open("rb") as file:
        if file.read(512).lstrip().lower().startswith((b"<!doctype", b"<html")):
            return "is a web page, not a zip"
    try:
        with zipfile.ZipFile(archive) as zipped:
            members = zipped.infolist()
            for member in members:
                if wrong := _member_complaint(member):
                    return f"is a zip that cannot be trusted: {member.filename} {wrong}"
            total = sum(member.file_size for member in members)
            packed = Path(archive).stat().st_size
            if total > max(ALWAYS_ALLOWED, MAX_GROWTH * packed):
                sizes = f"{packed / 1e6:.1f} MB into {total / 1e9:.1f} GB"
                return f"would unpack from {sizes}, which no zip of pictures does"
            torn = zipped.testzip()
    except TORN as error:
        return f"is not a complete zip ({error})"
    return f"is a damaged zip: {torn} does not match its checksum" if torn else None


def _member_complaint(member: zipfile.ZipInfo) -> str | None:
    # Windows rules see more than POSIX ones: drives, both slashes. One rule for all.
    path = PureWindowsPath(member.filename)
    if path.anchor or ".." in path.parts:
        return "would be written outside the folder"
    if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a device, not a file"
    return "needs a password" if member.flag_bits & 1 else None


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack a zip into a folder, wholly or not at all.

    A folder that already holds something is returned as it is: it was either
    unpacked completely before, or is the reader's own.

    Raises:
        DownloadError: If the zip is torn or unsafe, or the disk is full.
    """
    archive, folder = Path(archive), Path(folder)
    if not archive.is_file():
        raise DownloadError(f"There is no file {archive} to unpack. Get it first.")
    if folder.is_dir():
        if any(folder.iterdir()):
            return folder
        folder.rmdir()
    with all_or_nothing(folder, f"Unpacking {archive}") as part:
        if complaint := zip_complaint(archive):
            raise DownloadError(
                f"{archive} was not unpacked: the file {complaint}. "
                "Delete it, get it again and run this again."
            )
        _extract(archive, part)
    return folder


def _extract(archive: Path, folder: Path) -> None:
    folder.mkdir()
    with zipfile.ZipFile(archive) as zipped:
        for member in zipped.infolist():
            # Some Windows tools write train\pizza\1.jpg.
            member.filename = member.filename.replace("\\", "/")
            names = member.filename.split("/")
            if not (CLUTTER & set(names) or names[-1].startswith("._")):
                zipped.extract(member, folder)
