"""Fetch files so that a failure leaves nothing behind.

Everything is made under a temporary name beside its target, checked there, and
renamed into place last. So whatever stands at the target is complete, a failed
run can simply be repeated, and two runs at once do not harm each other.
"""

import functools
import hashlib
import os
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import requests

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

Verify = Callable[[Path], str | None]


class DownloadError(RuntimeError):
    """Something could not be fetched or unpacked: what happened, what to do next."""


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
    return reply.ok and not html and _content_length(reply) > 1_000_000


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hex."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def git_blob_sha1(path: Path) -> str:
    """Return the id that Git gives a file: SHA-1 of b"blob <size>\\0" and its bytes."""
    path = Path(path)
    start = f"blob {path.stat().st_size}\0".encode()
    with path.open("rb") as file:
        # Git uses SHA-1 as a name here, which some hardened Pythons want told.
        digest = functools.partial(hashlib.sha1, start, usedforsecurity=False)
        return hashlib.file_digest(file, digest).hexdigest()


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
        DownloadError: If the complete, verified file could not be had. No part of it
            is left behind. A file that was there before is never touched.
    """
    target = Path(target)
    if target.exists():
        _check_kept(target, verify)
        return target
    with all_or_nothing(target, f"The download of {_shown(url)}") as part:
        _fetch(url, part, name=target.name, timeout=timeout)
        _check_fetched(part, url, verify)
    return target


def _check_kept(target: Path, verify: Verify | None) -> None:
    if complaint := verify and verify(target):
        raise DownloadError(
            f"{target} was there already, but the file {complaint}. "
            "Delete it and run this again."
        )


def _check_fetched(part: Path, url: str, verify: Verify | None) -> None:
    if complaint := verify and verify(part):
        raise DownloadError(
            f"{_shown(url)} was downloaded, but the file {complaint}. It was thrown "
            "away. Run this again; if it happens twice, open the address in a "
            "browser: the network may want a sign-in, or the file has changed."
        )


def _fetch(url: str, part: Path, *, name: str, timeout: tuple[float, float]) -> None:
    try:
        _stream(url, part, name=name, timeout=timeout)
    except requests.RequestException as error:
        raise DownloadError(
            f"{_shown(url)} could not be downloaded: {_reason(error, timeout)}. "
            "Nothing was kept. Check the connection and the address, then run this "
            "again."
        ) from error


def _stream(url: str, part: Path, *, name: str, timeout: tuple[float, float]) -> None:
    print(f"Downloading {name} from {urlsplit(url).hostname} ...", flush=True)
    with requests.get(url, stream=True, headers=PLAIN, timeout=timeout) as reply:
        reply.raise_for_status()
        size = _content_length(reply)
        done = tenths = 0
        with part.open("xb") as file:
            for chunk in reply.iter_content(CHUNK):
                file.write(chunk)
                done += len(chunk)
                if size and done * 10 // size > tenths:
                    tenths = done * 10 // size
                    print(f"  {10 * tenths:3d}% of {size / 1e6:.1f} MB", flush=True)
            file.flush()
            os.fsync(file.fileno())  # a full disk may show only here
    if size and done != size:
        raise requests.exceptions.ChunkedEncodingError(f"{done} of {size} bytes came")


def _content_length(reply: requests.Response) -> int:
    """Return the number of bytes that a reply promises to save, 0 if it does not."""
    length = reply.headers.get("Content-Length", "")
    encoded = "Content-Encoding" in reply.headers
    return int(length) if length.isdecimal() and not encoded else 0


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


@contextmanager
def all_or_nothing(target: Path, what: str) -> Iterator[Path]:
    """Yield a name to write to; afterwards what is there becomes `target`, or nothing.

    The name is a neighbour of `target`, on the same disk, and no other run uses it.

    Args:
        target: The file or folder to be.
        what: What is going on, to begin the message of an interruption with.

    Raises:
        DownloadError: If writing fails or is interrupted.
    """
    part = target.with_name(f".{target.name}.{uuid.uuid4().hex[:12]}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield part
        _put(part, target)
    except OSError as error:
        raise DownloadError(
            f"{target} could not be written: {error.strerror or error}. Nothing was "
            "kept. Make room on the disk or choose a folder you may write to, then "
            "run this again."
        ) from error
    except KeyboardInterrupt:
        raise DownloadError(
            f"{what} was interrupted. Nothing was kept. Run this again to start over."
        ) from None
    finally:
        _remove(part)


def _remove(part: Path) -> None:
    if part.is_dir():
        shutil.rmtree(part, ignore_errors=True)
    else:
        with suppress(OSError):  # what went wrong is already being told
            part.unlink(missing_ok=True)


def _put(part: Path, target: Path) -> None:
    try:
        os.replace(part, target)
    except OSError:
        if not target.exists():
            raise
        # Another run finished first. What it put there is just as complete.


def _shown(url: str) -> str:
    """Return an address without what may be secret in it: user, password, query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
