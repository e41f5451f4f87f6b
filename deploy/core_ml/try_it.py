"""Convert to Core ML; its answers need Apple's hardware, so none are written here."""

import logging
import tempfile
from pathlib import Path

from deploy.converting import size_of
from deploy.core_ml.convert import NAME, write_mlpackage
from deploy.trial import TargetResult, versions_of

NOTE = "converted; it answers on Apple's systems only"


def try_all(model: Path, photos: list[Path]) -> list[TargetResult]:
    """Convert, and say how large the package is."""
    logging.disable(logging.WARNING)  # coremltools notes that this is no Mac
    with tempfile.TemporaryDirectory() as folder:
        size = size_of(write_mlpackage(model, Path(folder, NAME)))
    versions = versions_of("coremltools", "torch")
    return [TargetResult("Core ML", versions, size, [], None, "fp32", NOTE)]
