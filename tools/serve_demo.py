"""Serve the app on this computer only: the folder that the lesson wrote last."""

import subprocess
import sys
from pathlib import Path

from going_modular.files import whole

ROOT = Path(__file__).resolve().parents[1]
DEMOS = ROOT / "demos"
MODEL = "foodvision_mini.onnx"


def newest_demo() -> Path:
    """The demo folder that was written last; a fresh clone gets the committed model."""
    models = [DEMOS / name / MODEL for name in ("foodvision_mini", "practice_mini")]
    if not any(model.is_file() for model in models):
        with whole(models[0]) as part:
            part.write_bytes((ROOT / "models" / MODEL).read_bytes())
    written = [model for model in models if model.is_file()]
    return max(written, key=lambda file: file.stat().st_mtime).parent


def main() -> int:
    """Start the app as `python app.py` in its own folder would."""
    folder = newest_demo()
    print(f"Serving demos/{folder.name}; stop it with Ctrl+C.", flush=True)
    # -B: the folder goes to a Space as it is.
    command = [sys.executable, "-B", "app.py"]
    try:
        return subprocess.run(command, cwd=folder).returncode
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main())
