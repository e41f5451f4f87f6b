"""Serve the app on this computer only: the folder that the lesson wrote last."""

import argparse
import signal
import subprocess
import sys
from pathlib import Path

from going_modular.files import atomic_write
from going_modular.practice.pictures import CLASS_NAMES, draw_picture

ROOT = Path(__file__).resolve().parents[1]
DEMOS = ROOT / "demos"
MODEL = "foodvision_mini.onnx"
SEEDS = {"pizza": 40, "steak": 21, "sushi": 46}  # familiar to the committed model


def newest_demo() -> Path:
    """The demo folder that was written last; a fresh clone gets the committed model."""
    models = [DEMOS / name / MODEL for name in ("foodvision_mini", "practice_mini")]
    if not any(model.is_file() for model in models):
        draw_examples(models[0].with_name("examples"))
        with atomic_write(models[0]) as part:
            part.write_bytes((ROOT / "models" / MODEL).read_bytes())
    written = [model for model in models if model.is_file()]
    return max(written, key=lambda file: file.stat().st_mtime).parent


def draw_examples(folder: Path) -> list[Path]:
    """Draw a picture of each dish for a demo's window; returns the files."""
    files = []
    for name in CLASS_NAMES:
        files.append(folder / f"{name}.jpg")
        with atomic_write(files[-1]) as part:
            picture = draw_picture(name, SEEDS[name], size=(512, 384))
            picture.save(part, format="JPEG", quality=85)
    return files


def main() -> int:
    """Start the app as `python app.py` in its own folder would."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    folder = newest_demo()
    print(f"Serving demos/{folder.name}; stop it with Ctrl+C.", flush=True)
    # Asked to end, it ends the app, too, which else would keep the port.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # -B: the folder goes to a Space as it is.
    command = [sys.executable, "-B", "app.py"]
    try:
        return subprocess.run(command, cwd=folder).returncode
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main())
