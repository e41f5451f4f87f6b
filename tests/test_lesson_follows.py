"""Change one line of the lesson, or the number of classes: does the rest follow?"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from going_modular.practice_pictures import draw_pictures
from going_modular.runtime import OnnxModel

ROOT = Path(__file__).resolve().parents[1]
LESSON = "09_pytorch_model_deployment.ipynb"
DEMOS = ("demos/foodvision_mini", "demos/foodvision_pocket")
PARTS = (LESSON, "going_modular", *DEMOS, "figures", "tools")
RULE = "winner = choose_winner(reports)"


@pytest.fixture
def course(tmp_path):
    """A copy of the course, in a folder whose name has spaces."""
    course = tmp_path / "my own course"
    course.mkdir()
    shutil.copyfile(ROOT / "requirements.txt", course / "requirements.txt")
    for part in PARTS:
        (course / part).parent.mkdir(exist_ok=True)
        if (ROOT / part).is_file():
            shutil.copyfile(ROOT / part, course / part)
        else:
            junk = shutil.ignore_patterns("*.onnx", "examples", "__pycache__")
            shutil.copytree(ROOT / part, course / part, ignore=junk)
    return course


def run_lesson(course, pictures):
    variables = {
        "FOODVISION_DATA": str(pictures),
        "FOODVISION_OFFLINE": "1",
        "FOODVISION_BIG": "practice",
    }
    done = subprocess.run(
        [sys.executable, "tools/run_lesson.py"],
        cwd=course,
        env=os.environ | variables,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_everything_follows_an_overruled_winner_and_two_classes(course, tmp_path):
    pictures = draw_pictures(tmp_path / "drawn", train_per_class=10, test_per_class=4)
    for split in ("train", "test"):
        shutil.rmtree(pictures / split / "steak")
    notebook = nbformat.read(course / LESSON, as_version=4)
    cell = next(cell for cell in notebook.cells if RULE in cell.source)
    cell.source = cell.source.replace(RULE, 'winner = "EffNetB2"')
    nbformat.write(notebook, course / LESSON)

    run_lesson(course, pictures)

    model = OnnxModel(course / "demos/practice_mini/foodvision_mini.onnx")
    assert model.metadata["contender"] == "EffNetB2"
    assert model.metadata["class_names"] == '["pizza", "sushi"]'
    assert model.metadata["is_practice"] == "true"
    assert not (course / "demos/foodvision_mini/foodvision_mini.onnx").exists()
    big = OnnxModel(course / "demos/practice_big/foodvision_big.onnx")
    assert big.metadata["contender"] == "EffNetB2"
    assert big.metadata["is_practice"] == "true"
