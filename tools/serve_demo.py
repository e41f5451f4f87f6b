"""Serve the app on this computer only: the folder that the lesson wrote last."""

import signal
import subprocess
import sys
from pathlib import Path

from going_modular.app_process import app_environment
from going_modular.demo_folder import copy_examples
from going_modular.drawn import CLASS_NAMES, drawn_files
from going_modular.files import atomic_write

ROOT = Path(__file__).resolve().parents[1]
DEMOS = ROOT / "demos"
MODEL = "foodvision_mini.onnx"


def newest_demo() -> Path:
    """The demo folder that was written last; a fresh clone gets the committed model."""
    models = [DEMOS / name / MODEL for name in ("foodvision_mini", "practice_mini")]
    if not (written := [model for model in models if model.is_file()]):
        copy_examples(drawn_examples(), models[0].with_name("examples"))
        with atomic_write(models[0]) as part:
            part.write_bytes((ROOT / "models" / MODEL).read_bytes())
        return models[0].parent
    return max(written, key=lambda file: file.stat().st_mtime).parent


def drawn_examples() -> dict[str, Path]:
    """A drawn picture of each dish for a demo's window, which the model names."""
    return {name: drawn_files(name)[0] for name in CLASS_NAMES}


def main() -> int:
    """Start the app as `python app.py` in its own folder would."""
    folder = newest_demo()
    print(f"Serving demos/{folder.name}; stop it with Ctrl+C.", flush=True)
    # Asked to end, it ends the app, too, which else would keep the port.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    command = [sys.executable, "-B", "app.py"]  # -B: a Space gets the folder as it is
    try:
        return subprocess.run(command, cwd=folder, env=app_environment()).returncode
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main())
