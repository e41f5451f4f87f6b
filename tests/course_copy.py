"""A copy of the course to run and to spoil, and checks of what a run leaves behind."""

import shutil
import subprocess
import zipfile
from pathlib import Path

import onnxruntime
import torch

ROOT = Path(__file__).resolve().parents[1]
LESSON = "09_pytorch_model_deployment.ipynb"


def copy_course(folder: Path) -> Path:
    """Copy the course as a reader has it: what git knows of, as it now stands."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    for name in listed.stdout.split("\0"):
        if not (ROOT / name).is_file():
            continue
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target)
    return folder


def zip_pictures(folder: Path) -> Path:
    """Pack a folder of drawn pictures, without what says that they are drawn."""
    archive = folder.with_suffix(".zip")
    with zipfile.ZipFile(archive, "w") as zipped:
        for file in sorted(folder.rglob("*.jpg")):
            zipped.write(file, file.relative_to(folder))
    return archive


def assert_files_are_whole(course: Path) -> None:
    """Everything under its own name can be used from end to end."""
    for file in (course / "models").rglob("*.pth"):
        torch.load(file, weights_only=True)
    for file in course.rglob("*.onnx"):
        onnxruntime.InferenceSession(file)
    for file in course.rglob("*.zip"):
        assert zipfile.ZipFile(file).testzip() is None
    assert not [p for p in course.rglob("*.part") if p.is_file()]
