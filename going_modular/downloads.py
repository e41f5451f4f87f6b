"""Download, check and unpack, each wholly or not at all; find out whether one can."""

import functools
import lzma
import os
import shutil
import threading
import time
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path, PureWindowsPath
from urllib.parse import urlsplit

import pooch
import requests
from requests.exceptions import ChunkedEncodingError, SSLError

from going_modular import files
from going_modular.files import FileError, LessonError, atomic_write, progress_bar

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
# The last: a password, or a packing method that Python does not know.
TORN = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError)
CLUTTER = {"__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini"}
Verify = Callable[[Path], str | None]  # says what is wrong with a file


def is_offline() -> bool:
    """Whether FOODVISION_OFFLINE, or a look of 3 s, says to go without downloads."""
    setting = os.environ.get("FOODVISION_OFFLINE", "").strip()
    if setting not in ("", "0", "1"):
        raise ValueError(
            f"FOODVISION_OFFLINE is {setting!r}. Set it to 1 (no downloads) or 0 "
            "(download), or unset it to let the lesson find out."
        )
    return setting == "1" if setting else not all_hosts_offer_files()


@functools.cache
def all_hosts_offer_files() -> bool:
    """Whether every address in `LOOK_AT` offers its file; looks only once."""
    offered, deadline = [], time.monotonic() + LOOK_SECONDS

    def look(url: str) -> None:
        how = {"headers": PLAIN, "allow_redirects": True, "timeout": LOOK_SECONDS}
        with suppress(requests.RequestException, ValueError):
            head = requests.head(url, **how)
            # A hotel's sign-in page answers 200 too, but it is small HTML.
            html = "html" in head.headers.get("Content-Type", "")
            length = int(head.headers.get("Content-Length", 0))
            if head.ok and not html and length > 1_000_000:
                offered.append(url)

    # Looking up a name has no timeout of its own, but a thread can be left behind.
    looks = [threading.Thread(target=look, args=(u,), daemon=True) for u in LOOK_AT]
    for thread in looks:
        thread.start()
    for thread in looks:
        thread.join(max(0.0, deadline - time.monotonic()))
    return len(offered) == len(LOOK_AT)


def download(
    url: str, target: Path, *, verify: Verify = lambda _: None, timeout=(5.0, 30.0)
) -> Path:
    """Fetch a file, or return it at once if it is there already; else a FileError.

    `verify` returns what is wrong with a file, as the end of "the file ...", or None.
    `timeout` has the longest waits in seconds: for a connection, and for more bytes.
    """
    target, parts = Path(target), urlsplit(url)
    if target.exists():
        if complaint := verify(target):
            told = f"{target} was there already, but the file {complaint}"
            raise FileError(f"{told}. Delete it and run this again.")
        return target
    # Without what may be secret in it: user, password, query.
    shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    # pooch sets the total to the bytes that come; a bar without one is false to it.
    bar = progress_bar(f"Downloading {target.name}", 1, unit="B", unit_scale=True)
    with atomic_write(target, f"The download of {shown}") as part:
        try:
            with bar:
                how = {"headers": PLAIN, "timeout": timeout}
                pooch.HTTPDownloader(bar, CHUNK, **how)(url, part, None)
        except requests.RequestException as error:
            raise FileError(
                f"{shown} could not be downloaded: {_reason(error)}. Nothing was kept. "
                "Check the connection and the address, then run this again."
            ) from error
        if complaint := verify(part):
            raise FileError(
                f"{shown} was downloaded, but the file {complaint}. It was "
                "thrown away. Run this again; if it happens twice, open the address "
                "in a browser: the network may want a sign-in, or the file has changed."
            )
    return target


def _reason(error: requests.RequestException) -> str:
    match error:
        case requests.HTTPError(response=reply):
            return f"the server answered {reply.status_code} ({reply.reason})"
        case SSLError():
            return "the server could not prove who it is (a filter on the network?)"
        case ChunkedEncodingError():
            return "the connection broke off before the end"
        case requests.ConnectionError() | requests.Timeout():
            # A stall within the body arrives as a ConnectionError that only says so.
            is_stall = "timed out" in str(error)
            if is_stall and not isinstance(error, requests.ConnectTimeout):
                return "the server sent nothing more"
            return "no connection to the server"
    return str(error)


def zip_complaint(archive: Path, into: Path | None = None) -> str | None:
    """Say what is wrong with a zip, as the end of "the file ...", or None.

    Reads every byte. More than there is room for in the folder `into` is wrong, too.
    """
    with Path(archive).open("rb") as file:
        if file.read(512).lstrip().lower().startswith((b"<!doctype", b"<html")):
            return "is a web page, not a zip"
    try:
        with zipfile.ZipFile(archive) as zipped:
            for name in zipped.namelist():
                # Windows rules see more than POSIX ones: drives, both slashes.
                path = PureWindowsPath(name)
                if path.anchor or ".." in path.parts:
                    return f"would write {name} outside the folder"
            size = sum(member.file_size for member in zipped.infolist())
            if into and size > shutil.disk_usage(into).free:
                return f"unpacks to {size / 1e9:.1f} GB, and the disk has less room"
            torn = zipped.testzip()
    except TORN as error:
        return f"is not a complete zip ({error})"
    return f"is a damaged zip: {torn} does not match its checksum" if torn else None


def unpack(archive: Path, folder: Path, check: Callable | None = None) -> Path:
    """Unpack a zip into a folder, wholly or with a FileError; returns what to use.

    A folder that already holds something is taken as it is: it was either unpacked
    completely before, or is the reader's own.

    Given the folder, and `advice` for who reads a complaint, `check` returns what is to
    be used of it, or raises a LessonError; nothing that was unpacked now is kept then.
    The folder's name gets a mark of the zip's contents, so that two never share one.
    """
    archive, folder = Path(archive), Path(folder)
    if check:
        folder = folder.with_name(f"{folder.name}-{files.file_sha256(archive)[:8]}")
    is_new = not (folder.is_dir() and any(folder.iterdir()))
    if is_new:
        _unpack(archive, folder)
    told = f"Put {archive.name} right" if is_new else "Delete that folder"
    try:
        return check(folder, advice=f"{told} and run this again.") if check else folder
    except LessonError as error:
        if not is_new:
            raise
        shutil.rmtree(folder, ignore_errors=True)
        why = "cannot be used, and nothing of it was kept"
        raise type(error)(f"{archive} {why}: {error}") from error


def _unpack(archive: Path, folder: Path) -> None:
    if folder.is_dir():
        folder.rmdir()
    with atomic_write(folder, f"Unpacking {archive}") as part:
        if complaint := zip_complaint(archive, folder.parent):
            told = f"{archive} was not unpacked: the file {complaint}"
            raise FileError(f"{told}. Delete it, get it again and run this again.")
        part.mkdir()
        with zipfile.ZipFile(archive) as zipped:
            for member in zipped.infolist():
                # Some Windows tools write train\pizza\1.jpg.
                member.filename = member.filename.replace("\\", "/")
                names = member.filename.split("/")
                if not (CLUTTER & set(names) or names[-1].startswith("._")):
                    zipped.extract(member, part)
