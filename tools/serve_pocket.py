"""Write the browser demo around the newest model, and serve it on this computer."""

import socket
import sys
import threading
from pathlib import Path

from going_modular.app_process import HOST
from going_modular.files import LessonError
from pocket.server import serve_folder
from pocket.site import PAGE, write_pocket
from tools.serve_demo import MODEL, drawn_examples, newest_demo

PORT = 8000  # if it is free: then browsers find what they kept of an earlier time


def write() -> Path:
    """Write the folder; a practice model gets its own, beside the real one."""
    demo = newest_demo()
    practice = PAGE.with_name("practice_pocket")
    folder = PAGE if demo.name == "foodvision_mini" else practice
    return write_pocket(demo / MODEL, folder, examples=list(drawn_examples().values()))


def free_port(wanted: int) -> int:
    """The wanted port, or 0, which stands for any free one, if it is taken."""
    try:
        socket.create_server((HOST, wanted)).close()
    except OSError:
        print(f"Port {wanted} is taken: this takes another one.")
        return 0
    return wanted


def main() -> None:
    """Serve until Ctrl+C."""
    try:
        folder = write()
        with serve_folder(folder, port=free_port(PORT)) as served:
            where = f"demos/{folder.name} at {served.url}"
            print(f"Serving {where}; stop it with Ctrl+C.", flush=True)
            threading.Event().wait()
    except LessonError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        print()


if __name__ == "__main__":
    main()
