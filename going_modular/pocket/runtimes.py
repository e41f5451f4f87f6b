"""What the page runs a model on: two engines to choose from, and two fonts.

All of it comes from npm, pinned to a version and its checksum.
"""

import gzip
from pathlib import Path
from typing import NamedTuple

from going_modular.files import staged_folder
from going_modular.pocket.engine_edits import engine_edits
from going_modular.pocket.npm import Package, vendor

CACHE = Path(__file__).resolve().parents[2] / "build" / "npm"
ENGINES = Path(__file__).with_name("engines")
MODEL, TFLITE = "foodvision_mini.onnx", "foodvision_mini.tflite.gz"
FONTS = (
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
ONNX_RUNTIME = Package(
    "onnxruntime-web",
    "1.30.0",
    "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXA"
    "fKYQ==",
    {
        "dist/ort.wasm.bundle.min.mjs": "ort.mjs",
        # Compressed here, because not every host compresses a file this large.
        "dist/ort-wasm-simd-threaded.wasm": "ort.wasm.gz",
    },
)
# Builds of LiteRT, by our names and npm's. `chooseBuild` in worker-client.js picks one.
BUILDS = {
    "relaxed": "litert_wasm_internal",
    "plain": "litert_wasm_compat_internal",
    "threads": "litert_wasm_threaded_internal",
}
LITERT = Package(
    "@litertjs/core",
    "2.5.3",
    "PlGmbMOq9WitX7FO0jhbdJw9GthatsyuCQXjTt/wJZo0FLaw48q4tz8IwqgqCIkviYGr9OFDL1kCnN4nzW"
    "oyJQ==",
    {
        "dist/index.js": "litert.js",
        **{f"wasm/{their}.js": f"litert_{our}.js" for our, their in BUILDS.items()},
        **{
            f"wasm/{their}.wasm": f"litert_{our}.wasm.gz"
            for our, their in BUILDS.items()
        },
    },
    engine_edits(BUILDS),
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
        """Fetch what it needs and the fonts, once; returns their folder.

        Raises:
            FileError: As `vendor` does.
        """
        return vendor(self.packages + FONTS, CACHE / self.code.name)


LITE_RT = Engine(
    "LiteRT",
    ENGINES / "litert",
    (LITERT,),
    ("vendor/litert_BUILD.wasm.gz", TFLITE, "prepare.wasm"),
)
ORT_WEB = Engine(
    "ONNX Runtime Web",
    ENGINES / "onnx",
    (ONNX_RUNTIME,),
    ("vendor/ort.wasm.gz", MODEL),
)


def fetch_onnx_runtime(folder: Path) -> Path:
    """Put ONNX Runtime Web's two files into a folder, by the names that npm gives."""
    vendored = ORT_WEB.fetch()
    with staged_folder(folder) as part:
        for name, kept in ONNX_RUNTIME.files.items():
            content = (vendored / kept).read_bytes()
            unpacked = gzip.decompress(content) if kept.endswith(".gz") else content
            (part / Path(name).name).write_bytes(unpacked)
    return Path(folder)
