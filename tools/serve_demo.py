"""Serve a demo on this computer only, made with the model that the lesson wrote last.

It is the app, or with `--pocket` the page that runs in the browser itself.
"""

import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

from going_modular.app_process import HOST, app_environment
from going_modular.demo_folder import copy_examples
from going_modular.drawn import CLASS_NAMES, drawn_files
from going_modular.files import LessonError, atomic_write
from pocket.server import serve_folder
from pocket.site import PAGE, write_pocket

ROOT = Path(__file__).resolve().parents[1]
DEMOS = ROOT / "demos"
MODEL = "foodvision_mini.onnx"
PORT = 8000  # if it is free: then browsers find what they kept of an earlier time


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


def write_page() -> Path:
    """Write the page; a practice model gets its own folder, beside the real one."""
    demo, practice = newest_demo(), PAGE.with_name("practice_pocket")
    folder = PAGE if demo.name == "foodvision_mini" else practice
    return write_pocket(demo / MODEL, folder, examples=list(drawn_examples().values()))


def serve_pocket() -> None:
    """Write the page and serve it until Ctrl+C, at any free port if ours is taken."""
    port = PORT
    try:
        folder = write_page()
        try:
            socket.create_server((HOST, port)).close()
        except OSError:
            print(f"Port {port} is taken: this takes another one.")
            port = 0
        with serve_folder(folder, port=port) as served:
            where = f"demos/{folder.name} at {served.url}"
            print(f"Serving {where}; stop it with Ctrl+C.", flush=True)
            threading.Event().wait()
    except LessonError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        print()


if __name__ == "__main__":
    sys.exit(serve_pocket() if sys.argv[1:] == ["--pocket"] else main())
