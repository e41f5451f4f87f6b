"""Download, check and unpack, each wholly or not at all; find out whether one can."""

import functools
import lzma
import os
import shutil
import stat
import threading
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PureWindowsPath
from urllib.parse import urlsplit

import pooch
import requests

from going_modular.files import (
    FileError,
    LessonError,
    atomic_write,
    file_sha256,
    progress_bar,
)

PHOTOS_URL = (
    "https://github.com/mrdbourke/pytorch-deep-learning/raw/main/data/"
    "pizza_steak_sushi_20_percent.zip"
)
# One large file on each host that the lesson downloads from: photos and weights.
LOOK_AT = (
    PHOTOS_URL,
    "https://download.pytorch.org/models/efficientnet_b2_rwightman-c35c1473.pth",
)
LOOK_SECONDS = 3.0

CHUNK = 1 << 18  # bytes
# Without compression on the way, Content-Length counts the bytes that we save.
PLAIN = {"Accept-Encoding": "identity"}

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

Verify = Callable[[Path], str | None]


def is_offline() -> bool:
    """Decide whether the lesson goes without downloads.

    The environment variable FOODVISION_OFFLINE decides: 1 for yes, 0 for no. If it
    is unset or empty, one quick look (at most about 3 seconds) finds out.

    Raises:
        ValueError: If FOODVISION_OFFLINE holds anything else.
    """
    setting = os.environ.get("FOODVISION_OFFLINE", "").strip()
    if setting not in ("", "0", "1"):
        raise ValueError(
            f"FOODVISION_OFFLINE is {setting!r}. Set it to 1 (no downloads) or 0 "
            "(download), or unset it to let the lesson find out."
        )
    return setting == "1" if setting else bool(unreachable_hosts())


@functools.cache
def unreachable_hosts() -> tuple[str, ...]:
    """Name the hosts in `LOOK_AT` that do not offer their file; looks only once."""
    offered = set()

    def look(url: str) -> None:
        if _offers_file(url):
            offered.add(url)

    # Looking up a name has no timeout of its own, so each look gets a thread that
    # can be left behind.
    looks = [threading.Thread(target=look, args=(u,), daemon=True) for u in LOOK_AT]
    for thread in looks:
        thread.start()
    deadline = time.monotonic() + LOOK_SECONDS
    for thread in looks:
        thread.join(max(0.0, deadline - time.monotonic()))
    return tuple(str(urlsplit(url).hostname) for url in LOOK_AT if url not in offered)


def _offers_file(url: str) -> bool:
    try:
        reply = requests.head(
            url, headers=PLAIN, allow_redirects=True, timeout=LOOK_SECONDS
        )
    except requests.RequestException:
        return False
    # The sign-in page of a hotel's network answers 200 too, but it is small HTML.
    html = "html" in reply.headers.get("Content-Type", "")
    length = reply.headers.get("Content-Length", "")
    return reply.ok and not html and length.isdecimal() and int(length) > 1_000_000


def download(
    url: str,
    target: Path,
    *,
    verify: Verify | None = None,
    timeout: tuple[float, float] = (5.0, 30.0),
) -> Path:
    """Fetch a file, or return it at once if it is there already.

    Args:
        url: An http(s) address.
        target: Where the file goes; its folder is made if need be.
        verify: Looks at a file and returns what is wrong with it, as the end of the
            sentence "the file ...", or None if all is well.
        timeout: Longest waits in seconds: for a connection, and for more bytes.

    Raises:
        FileError: If the complete, verified file could not be had. No part of it is
            left behind. A file that was there before is never touched.
    """
    target = Path(target)
    if target.exists():
        if complaint := verify and verify(target):
            raise FileError(
                f"{target} was there already, but the file {complaint}. "
                "Delete it and run this again."
            )
        return target
    with atomic_write(target, f"The download of {_shown(url)}") as part:
        _fetch(url, part, name=target.name, timeout=timeout)
        if complaint := verify and verify(part):
            raise FileError(
                f"{_shown(url)} was downloaded, but the file {complaint}. It was "
                "thrown away. Run this again; if it happens twice, open the address "
                "in a browser: the network may want a sign-in, or the file has changed."
            )
    return target


def _fetch(url: str, part: Path, *, name: str, timeout: tuple[float, float]) -> None:
    try:
        # pooch sets the total to the bytes that come; a bar without one is false to it.
        with progress_bar(f"Downloading {name}", 1, unit="B", unit_scale=True) as bar:
            fetch = pooch.HTTPDownloader(bar, CHUNK, headers=PLAIN, timeout=timeout)
            fetch(url, part, None)
    except requests.RequestException as error:
        raise FileError(
            f"{_shown(url)} could not be downloaded: {_reason(error, timeout)}. "
            "Nothing was kept. Check the connection and the address, then run this "
            "again."
        ) from error


def _reason(error: requests.RequestException, timeout: tuple[float, float]) -> str:
    if isinstance(error, requests.HTTPError):
        reply = error.response
        return f"the server answered {reply.status_code} ({reply.reason})"
    if isinstance(error, requests.exceptions.SSLError):
        return "the server could not prove who it is (a filter on the network?)"
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return f"no connection within {timeout[0]:g} seconds"
    # A stall within the body arrives as a ConnectionError that only says so.
    if isinstance(error, requests.Timeout) or "timed out" in str(error).lower():
        return f"the server sent nothing for {timeout[1]:g} seconds"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke off before the end"
    if isinstance(error, requests.ConnectionError):
        return "no connection to the server"
    return str(error)


def _shown(url: str) -> str:
    """Return an address without what may be secret in it: user, password, query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


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


def leaves_folder(name: str) -> bool:
    """Whether a path from a stranger, taken from a folder, would lead out of it."""
    # Windows rules see more than POSIX ones: drives, both slashes. One rule for all.
    path = PureWindowsPath(name)
    return bool(path.anchor) or ".." in path.parts


def _member_complaint(member: zipfile.ZipInfo) -> str | None:
    if leaves_folder(member.filename):
        return "would be written outside the folder"
    if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a device, not a file"
    return "needs a password" if member.flag_bits & 1 else None


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack a zip into a folder, wholly or not at all.

    A folder that already holds something is returned as it is: it was either
    unpacked completely before, or is the reader's own.

    Raises:
        FileError: If the zip is torn or unsafe, or the disk is full.
    """
    archive, folder = Path(archive), Path(folder)
    if not archive.is_file():
        raise FileError(f"There is no file {archive} to unpack. Get it first.")
    if folder.is_dir():
        if any(folder.iterdir()):
            return folder
        folder.rmdir()
    with atomic_write(folder, f"Unpacking {archive}") as part:
        if complaint := zip_complaint(archive):
            raise FileError(
                f"{archive} was not unpacked: the file {complaint}. "
                "Delete it, get it again and run this again."
            )
        _extract(archive, part)
    return folder


def unpack_checked(
    archive: Path, data_dir: Path, check: Callable[[Path, str], Path]
) -> Path:
    """Unpack a zip once, into a folder known by its contents; keep it if it is fit.

    Args:
        archive: The zip.
        data_dir: Where the folder goes.
        check: Given the folder, and advice for who reads a complaint, returns what is
            to be used of it, or raises a LessonError.

    Raises:
        FileError: If the zip cannot be unpacked.
        LessonError: What `check` raised; nothing that was unpacked now is kept then.
    """
    folder = data_dir / f"{archive.stem}-{file_sha256(archive)[:8]}"
    if folder.exists():
        return check(folder, "Delete that folder and run this again.")
    unpack(archive, folder)
    try:
        return check(folder, f"Put {archive.name} right and run this again.")
    except LessonError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise type(error)(
            f"{archive} cannot be used, and nothing of it was kept: {error}"
        ) from error


def _extract(archive: Path, folder: Path) -> None:
    folder.mkdir()
    with zipfile.ZipFile(archive) as zipped:
        for member in zipped.infolist():
            # Some Windows tools write train\pizza\1.jpg.
            member.filename = member.filename.replace("\\", "/")
            names = member.filename.split("/")
            if not (CLUTTER & set(names) or names[-1].startswith("._")):
                zipped.extract(member, folder)
