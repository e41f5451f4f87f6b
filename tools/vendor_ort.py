"""Fetch what the browser demo runs on from npm: ONNX Runtime Web, and two fonts."""

import sys
from pathlib import Path

from going_modular.files import FileError
from going_modular.pocket.npm import vendor
from going_modular.pocket.site import PAGE, RUNTIME, VENDOR

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Fetch once; say what is there."""
    try:
        folder = vendor(RUNTIME, PAGE / VENDOR)
    except FileError as error:
        sys.exit(str(error))
    for file in sorted(folder.iterdir()):
        print(f"{file.stat().st_size / 1e6:7.2f} MB  {file.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
