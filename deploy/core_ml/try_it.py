"""Convert to Core ML; its answers need Apple's hardware, so none are written here.

python -m deploy.core_ml.try_it PHOTOS.json OUT.json
"""

import logging
import tempfile
from pathlib import Path

from deploy.converting import size_of, try_command
from deploy.core_ml.convert import NAME, write_mlpackage
from deploy.trial import TargetResult, versions_of


def try_all(model: Path, photos: list[Path]) -> list[TargetResult]:
    """Convert, and say how large the package is."""
    with tempfile.TemporaryDirectory() as folder:
        size = size_of(write_mlpackage(model, Path(folder, NAME)))
    versions = versions_of("coremltools", "torch")
    note = "converted; it answers on Apple's systems only"
    return [
        TargetResult("Core ML", versions, size, [], None, precision="fp32", note=note)
    ]


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    try_command(try_all, "Try the conversion to Core ML.")
