"""What Gradio needs around it, whatever a machine, a shell or a neighbour has set.

Gradio keeps uploads in a folder that all users of a machine share, and belongs to who
came first. And it asks its own page whether it is up, which a proxy cannot answer.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

HERE_ONLY = ("127.0.0.1", "localhost", "0.0.0.0")


def settings(folder: Path) -> dict[str, str]:
    """Environment variables for a Gradio that keeps uploads in `folder`."""
    direct = {}
    for name in ("NO_PROXY", "no_proxy"):
        others = [host for host in os.environ.get(name, "").split(",") if host]
        direct[name] = ",".join(dict.fromkeys([*others, *HERE_ONLY]))
    return direct | {
        "GRADIO_ANALYTICS_ENABLED": "False",
        "GRADIO_TEMP_DIR": str(folder),
        "GRADIO_EXAMPLES_CACHE": str(folder / "examples"),
    }


def prepare() -> None:
    """Give this process's Gradio a folder of its own, which goes when the process ends.

    A folder that GRADIO_TEMP_DIR names, and that can be written to, is kept.
    """
    folder = os.environ.get("GRADIO_TEMP_DIR", "")
    if not (folder and _is_writable(Path(folder))):
        own = tempfile.mkdtemp(prefix="foodvision-")
        atexit.register(shutil.rmtree, own, ignore_errors=True)
        folder = Path(own, "gradio")
    os.environ.update(settings(Path(folder)))


def _is_writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
