"""Write the browser demo around the newest model, and serve it on this computer."""

import sys
import tempfile
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from going_modular.downloads import DownloadError  # noqa: E402
from going_modular.packaging import DeployError  # noqa: E402
from going_modular.pocket import PAGE, write_pocket  # noqa: E402
from going_modular.pocket_server import serve_folder  # noqa: E402
from going_modular.practice_pictures import CLASS_NAMES, draw_picture  # noqa: E402
from tools.serve_demo import MODEL, newest_demo  # noqa: E402

PORT = 8000
SEEDS = {"pizza": 35, "steak": 39, "sushi": 26}  # familiar to the committed model


def write() -> Path:
    """Write the folder; a practice model gets its own, beside the real one."""
    demo = newest_demo()
    is_real = demo.name == "foodvision_mini"
    folder = PAGE if is_real else PAGE.with_name("practice_pocket")
    with tempfile.TemporaryDirectory() as scratch:
        examples = []
        for name in CLASS_NAMES:
            examples.append(Path(scratch, f"{name}.jpg"))
            picture = draw_picture(name, SEEDS[name], size=(512, 384))
            picture.save(examples[-1], quality=85)
        return write_pocket(demo / MODEL, folder, examples=examples)


def main() -> None:
    """Serve until Ctrl+C."""
    try:
        folder = write()
        with serve_folder(folder, port=PORT) as served:
            print(f"Serving demos/{folder.name} at {served.url}; stop it with Ctrl+C.")
            threading.Event().wait()
    except (DeployError, DownloadError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        print()


if __name__ == "__main__":
    main()
