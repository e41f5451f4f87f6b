"""Serve the app on this computer only: the folder that the lesson wrote last."""

import os
import runpy
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DEMOS = ROOT / "demos"
MODEL = "foodvision_mini.onnx"


def newest_demo() -> Path:
    """The demo folder that was written last; a fresh clone gets the committed model."""
    models = [DEMOS / name / MODEL for name in ("foodvision_mini", "practice_mini")]
    if not any(model.is_file() for model in models):
        shutil.copyfile(ROOT / "models" / MODEL, models[0])
    written = [model for model in models if model.is_file()]
    return max(written, key=lambda file: file.stat().st_mtime).parent


def main() -> None:
    """Start the app as `python app.py` in its own folder would."""
    folder = newest_demo()
    print(f"Serving demos/{folder.name}; stop it with Ctrl+C.", flush=True)
    sys.dont_write_bytecode = True  # the folder goes to a Space as it is
    os.chdir(folder)
    sys.path[0] = str(folder)
    runpy.run_path("app.py", run_name="__main__")


if __name__ == "__main__":
    main()
