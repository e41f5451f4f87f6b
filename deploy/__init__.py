"""The same model in every place of the lesson's table, one folder a place."""

import argparse
import contextlib
import shutil
import socket
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DEFAULT_MODEL = ROOT / "models" / "foodvision_mini.onnx"
ENVIRONMENTS = ROOT / "build" / "targets"  # of places that have one of their own
CODE = (  # of an adapter; each keeps its place, so that imports read the same there
    "deploy/__init__.py",
    "deploy/reply.py",
    "going_modular/__init__.py",
    "going_modular/app.py",
    "demos/foodvision_mini/model.py",
    "demos/foodvision_mini/contract.json",
)


def server_options(about: str, port: int, *, folder="") -> argparse.ArgumentParser:
    """What a server's command can be told; `folder`: of build/, where it puts files."""
    parser = argparse.ArgumentParser(description=about)
    told = "default: %(default)s"
    parser.add_argument("--port", type=int, default=port, help=told)
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL)
    if folder:
        build = ROOT / "build" / folder
        parser.add_argument("--folder", type=Path, default=build, help=told)
    else:
        parser.add_argument("--host", default="127.0.0.1", help=told)
    return parser


def free_ports(number: int) -> list[int]:
    """Ports of this machine that nobody uses now."""
    with contextlib.ExitStack() as stack:
        free = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
        return [stack.enter_context(each).getsockname()[1] for each in free]


def stage(folder: Path, *own: Path) -> Path:
    """Lay the code above into a folder, and on top the target's own files."""
    for name in CODE:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)
    for file in own:
        shutil.copyfile(file, folder / file.name)
    return folder
