"""Copy what a target needs of this repository, for targets that take a folder."""

import shutil
from pathlib import Path

from deploy import ROOT

CODE = (  # each keeps its place, so that imports read the same there
    "deploy/__init__.py",
    "deploy/reply.py",
    "going_modular/__init__.py",
    "going_modular/app.py",
    "demos/foodvision_mini/model.py",
    "demos/foodvision_mini/contract.json",
)


def stage(folder: Path, *own: Path) -> Path:
    """Lay the code above into a folder, and on top the target's own files."""
    for name in CODE:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)
    for file in own:
        shutil.copyfile(file, folder / file.name)
    return folder
