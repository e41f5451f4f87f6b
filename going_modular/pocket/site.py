"""Put together the demo that runs in the visitor's own browser.

The folder that comes out is a whole web site of plain files: page, model, the program
that runs it, icons. Any web server can serve it, and none of them ever sees a picture.
"""

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import onnx

from going_modular.app import model as app
from going_modular.demo_folder import DeployError
from going_modular.export import metadata_of
from going_modular.files import file_sha256, filled
from going_modular.pocket.npm import Package, vendor

PAGE = Path(__file__).resolve().parents[2] / "demos" / "foodvision_pocket"
PAGE_FILES = (
    ".gitattributes",
    "README.md",
    "camera.js",
    "index.html",
    "manifest.webmanifest",
    "model.js",
    "page.js",
    "picture.js",
    "storage.js",
    "style.css",
    "sw.js",
    "view.js",
    "words.js",
    "worker.js",
)
MODEL = "foodvision_mini.onnx"
VENDOR = "vendor"
ICONS = Path(__file__).with_name("icons")
NOT_SHOWN = (".gitattributes", "README.md", "sw.js")  # no part of the page itself
RUNTIME = (
    Package(
        "onnxruntime-web",
        "1.30.0",
        "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR"
        "4CXAfKYQ==",
        {
            "dist/ort.wasm.bundle.min.mjs": "ort.mjs",
            # Compressed here, because not every host compresses a file this large.
            "dist/ort-wasm-simd-threaded.wasm": "ort.wasm.gz",
        },
    ),
    Package(
        "@fontsource/quicksand",
        "5.3.0",
        "epmMUyXI39f88bZSCyKlHTZqUWg4O7DqrTXOKqsqbVKMLshX9RtIYCUIw+G2nOfEwdIHIjYbeWdwHR"
        "cEzRXBRQ==",
        {
            "files/quicksand-latin-700-normal.woff2": "quicksand-700.woff2",
            "LICENSE": "quicksand-LICENSE.txt",
        },
    ),
    Package(
        "@fontsource/source-sans-3",
        "5.3.1",
        "O3YxvbotUOgYI2Zx0bBcEMNjnwitRf9P2+9pd54sMoux1NHrdXnMwZusw2P78lFhEzOPN4glOEQmX0"
        "ASaS68uA==",
        {
            "files/source-sans-3-latin-400-normal.woff2": "source-sans-400.woff2",
            "files/source-sans-3-latin-600-normal.woff2": "source-sans-600.woff2",
            "LICENSE": "source-sans-LICENSE.txt",
        },
    ),
)


def write_pocket(
    model_file: Path, folder: Path, *, examples: Sequence[Path] = ()
) -> Path:
    """Write the complete browser demo around a model.

    Everything is made in a temporary folder first; nothing in `folder` changes before
    all of it is there. Files of the same names are replaced, other examples removed.

    Args:
        model_file: An ONNX file with the lesson's metadata.
        folder: Where the demo goes; the page's own source folder will do, too.
        examples: Pictures that the page offers to try, in this order.

    Returns:
        `folder`.

    Raises:
        DeployError: If the model is missing or says too little about itself.
        FileError: If the folder cannot be written, or the program that runs the model
            cannot be had.
    """
    model_file, folder = Path(model_file), Path(folder)
    about = describe_model(model_file)
    fetched = vendor(RUNTIME, PAGE / VENDOR)
    with filled(folder) as part:
        _copy_all(part, model_file, fetched, examples)
        about["examples"] = _names(part, "examples")
        _write_json(part / "model.json", about)
        _write_json(part / "files.json", list_files(part))
    for old in (folder / "examples").glob("*"):
        if old.is_file() and f"examples/{old.name}" not in about["examples"]:
            old.unlink()
    return folder


def describe_model(model_file: Path) -> dict:
    """Say what a browser must know about a model and cannot read from its file.

    Returns:
        Its metadata, with the file's name, size in bytes and SHA-256, and the rules by
        which pictures are opened, so that the page keeps the same ones.

    Raises:
        DeployError: If the file is no model of the lesson's.
    """
    model_file = Path(model_file)
    if not model_file.is_file():
        raise DeployError(f"There is no model {model_file}: run the cells that make it")
    try:
        model = onnx.load(model_file, load_external_data=False)
        about = app.About.from_metadata(metadata_of(model))
    except Exception as error:  # protobuf's errors have no base of their own
        raise DeployError(
            f"{model_file} is not a model that the lesson made ({error!r}). If it is a "
            "Git LFS pointer, run: git lfs pull"
        ) from error
    return {
        "file": MODEL,
        "bytes": model_file.stat().st_size,
        "sha256": file_sha256(model_file),
        **asdict(about),
        "pictures": {
            "enough": app.ENOUGH,
            "max_pixels": app.MAX_PIXELS,
            "heic_start": app.HEIC_START,
            "picture_start": app.PICTURE_START,
            "sentences": app.SENTENCES,
        },
    }


def list_files(folder: Path) -> dict:
    """List what a visitor's browser keeps, so that the page works without network.

    Returns:
        "files", each with its size in bytes, sorted by path, and "version", which
        changes whenever any of them does.
    """
    digest, sizes = hashlib.sha256(), {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        digest.update(f"{name} {file_sha256(path)}\n".encode())
        if name not in NOT_SHOWN and path.suffix != ".txt":
            sizes[name] = path.stat().st_size
    return {"version": digest.hexdigest()[:16], "files": sizes}


def _copy_all(
    part: Path, model_file: Path, fetched: Path, examples: Sequence[Path]
) -> None:
    for name in PAGE_FILES:
        shutil.copyfile(PAGE / name, part / name)
    shutil.copyfile(model_file, part / MODEL)
    shutil.copytree(fetched, part / VENDOR)
    shutil.copytree(ICONS, part / "icons")
    (part / "examples").mkdir()
    for number, picture in enumerate(examples, start=1):
        target = part / "examples" / f"{number}{Path(picture).suffix.lower()}"
        shutil.copyfile(picture, target)


def _names(part: Path, folder: str) -> list[str]:
    return sorted(p.relative_to(part).as_posix() for p in (part / folder).iterdir())


def _write_json(file: Path, content: dict) -> None:
    file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
