"""What the page runs a model on: two engines to choose from, and two fonts.

All of it comes from npm. packages.json says which of their files; package-lock.json has
the versions and their checksums. Large files are compressed here (.gz), because not
every host compresses them.
"""

import gzip
import json
from pathlib import Path
from typing import NamedTuple

from going_modular.files import staged_folder
from pocket.engine_edits import engine_edits
from pocket.npm import Package, vendor

CACHE = Path(__file__).resolve().parents[1] / "build" / "npm"
ENGINES = Path(__file__).with_name("engines")
MODEL, TFLITE = "foodvision_mini.onnx", "foodvision_mini.tflite.gz"
# Builds of LiteRT. `chooseBuild` in worker-client.js picks one.
BUILDS = ("relaxed", "plain", "threads")
_WANTED = json.loads(Path(__file__).with_name("packages.json").read_text("utf-8"))
FONTS, ONNX_RUNTIME, LITERT = (
    tuple(Package(**each) for each in _WANTED[part])
    for part in ("fonts", "onnx", "litert")
)


class Engine(NamedTuple):
    """A program that runs a model in the browser.

    Attributes:
        title: What people call it.
        code: Holds engine.js, by which the page asks it, and what that imports.
        packages: Where its files come from.
        starts_with: What its `start` is given, by names in the page's folder: the
            runtime, in which BUILD stands for one of `BUILDS`; the model; more.
    """

    title: str
    code: Path
    packages: tuple[Package, ...]
    starts_with: tuple[str, ...]

    def fetch(self) -> Path:
        """The folder of its files and the fonts, fetched once as `vendor` does."""
        return vendor(self.packages + FONTS, CACHE / self.code.name)


LITE_RT = Engine(
    "LiteRT",
    ENGINES / "litert",
    tuple(package._replace(edits=engine_edits(BUILDS)) for package in LITERT),
    ("vendor/litert_BUILD.wasm.gz", TFLITE, "prepare.wasm"),
)
ORT_WEB = Engine(
    "ONNX Runtime Web", ENGINES / "onnx", ONNX_RUNTIME, ("vendor/ort.wasm.gz", MODEL)
)


def fetch_onnx_runtime(folder: Path) -> None:
    """Put ONNX Runtime Web's two files into a folder, by the names that npm gives."""
    vendored = ORT_WEB.fetch()
    with staged_folder(folder) as part:
        for name, kept in ONNX_RUNTIME[0].files.items():
            content = (vendored / kept).read_bytes()
            unpacked = gzip.decompress(content) if kept.endswith(".gz") else content
            (part / Path(name).name).write_bytes(unpacked)
