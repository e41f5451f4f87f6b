"""A copy of the course to run and to spoil, and checks of what a run leaves behind."""

import zipfile
from pathlib import Path

import onnxruntime
import torch

from tools.course import LESSON, ROOT, copy_course  # noqa: F401


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
