"""Make build/torchserve/foodvision_mini.mar: the model, the handler and our code."""

import subprocess
import sys
import tempfile
from pathlib import Path

from deploy import DEFAULT_MODEL, ROOT
from deploy.stage import stage

HANDLER = Path(__file__).resolve().with_name("handler.py")
STORE = ROOT / "build" / "torchserve"
NAME = DEFAULT_MODEL.stem
MAR = f"{NAME}.mar"


def archive(store: Path, model: Path = DEFAULT_MODEL) -> Path:
    """Have torch-model-archiver write the archive into a folder; return its path."""
    store.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as code:
        command = [Path(sys.executable).with_name("torch-model-archiver"), "--force"]
        command += ["--model-name", NAME, "--version", "1.0"]
        command += ["--serialized-file", model, "--handler", HANDLER]
        # The archiver copies what is in a folder, folders and all.
        command += ["--extra-files", stage(Path(code)), "--export-path", store]
        subprocess.run(list(map(str, command)), check=True)
    return store / MAR


if __name__ == "__main__":
    print(f"{archive(STORE)} is ready to serve")
