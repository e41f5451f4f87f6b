"""Fetch what the browser demo runs on from npm: ONNX Runtime Web, and two fonts."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from going_modular.downloads import DownloadError  # noqa: E402
from going_modular.npm import vendor  # noqa: E402
from going_modular.pocket import PAGE, RUNTIME, VENDOR  # noqa: E402


def main() -> None:
    """Fetch once; say what is there."""
    try:
        folder = vendor(RUNTIME, PAGE / VENDOR)
    except DownloadError as error:
        sys.exit(str(error))
    for file in sorted(folder.iterdir()):
        print(f"{file.stat().st_size / 1e6:7.2f} MB  {file.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
