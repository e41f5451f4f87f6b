"""Change one line of the lesson, and its classes, and run it twice at once."""

import os
import shutil
import subprocess
import sys

import nbformat
import pytest
import watching
from answers import cells_to_write, fill_in
from course_copy import LESSON, assert_files_are_whole, copy_course
from drawn_images import copy_few

from going_modular.app.model import Predictor
from going_modular.drawn import CLASS_NAMES, MARKER, OTHER_NAMES
from tools.run_lesson import printed

pytestmark = pytest.mark.slow
RULE = "winner = choose_winner(reports)"
# The lesson with its answers filled in, from a file of its own into a file of its own.
RUN_ANSWERED = """
import sys
from tools import run_lesson
run_lesson.LESSON = run_lesson.ROOT / "answered.ipynb"
run_lesson.EXECUTED = run_lesson.ROOT / "build" / "answered.ipynb"
sys.exit(run_lesson.main())
"""


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """A course in which two runs of a changed lesson were at work at the same time.

    Two classes instead of three, and another winner than the rule's; its folder's name
    has spaces. In one of the runs the reader has answered all that is to be written.
    """
    home = tmp_path_factory.mktemp("follows")
    course = copy_course(home / "my own course")
    drawn = copy_few(home / "drawn", train=10, test=4)
    for split in ("train", "test"):
        shutil.rmtree(drawn / split / "steak")
    assert (drawn / MARKER).is_file()
    notebook = nbformat.read(course / LESSON, as_version=4)
    cell = next(cell for cell in notebook.cells if RULE in cell.source)
    cell.source = cell.source.replace(RULE, 'winner = "EffNetB2"')
    nbformat.write(notebook, course / LESSON)
    nbformat.write(fill_in(notebook), course / "answered.ipynb")
    variables = {
        "FOODVISION_DATA": str(drawn),
        "FOODVISION_OFFLINE": "1",
        "FOODVISION_BIG": "practice",
    }
    watched = {"folder": home, "flags": "-DDDfx"}  # stacks are too much for a lesson
    start = type("Watched", (watching.Watched,), watched)
    runs = [
        (start if watching.STRACE else subprocess.Popen)(
            [sys.executable, *arguments],
            cwd=course,
            env=os.environ | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for arguments in (["-m", "tools.run_lesson"], ["-c", RUN_ANSWERED])
    ]
    said = [run.communicate(timeout=1800)[0] for run in runs]
    codes = [run.returncode for run in runs]
    return course, list(zip(codes, said, strict=True))


@pytest.mark.reliability("faults in the lesson", 1)
def test_two_runs_at_once_in_one_folder_end_well(executed):
    course, runs = executed
    for code, text in runs:
        assert code == 0, text[-3000:]
    assert_files_are_whole(course)


@pytest.mark.skipif(not watching.STRACE, reason="needs the system package strace")
def test_offline_no_name_is_looked_up_and_nothing_noted_at_home(executed):
    course, _ = executed
    own = ("~/.cache/matplotlib/fontlist", "~/.ipython/")  # fonts; settings
    found = watching.reported(course.parent)
    assert [line for line in found if not line.startswith(own)] == []


def test_everything_follows_an_overruled_winner_and_two_classes(executed):
    course, _ = executed
    about = Predictor(course / "demos/practice_mini/foodvision_mini.onnx").about
    assert about.contender == "EffNetB2"
    assert about.class_names == ["pizza", "sushi"]
    assert about.is_practice is True
    readme = (course / "demos/practice_mini/README.md").read_text("utf-8")
    assert "**pizza or sushi**" in readme and "steak" not in readme
    assert not (course / "demos/foodvision_mini/foodvision_mini.onnx").exists()
    big = Predictor(course / "demos/practice_big/foodvision_big.onnx").about
    assert big.contender == "EffNetB2" and big.title == "FoodVision Big"
    assert big.is_practice is True
    assert len(big.class_names) == len(CLASS_NAMES + OTHER_NAMES)


@pytest.mark.parametrize(
    ("name", "begins"), [(LESSON, "Not yet:"), ("answered.ipynb", "Right.")]
)
def test_checks_tell_answers_from_dots(executed, name, begins):
    course, _ = executed
    notebook = nbformat.read(course / "build" / name, as_version=4)
    answers = cells_to_write(notebook)
    for cell in notebook.cells:
        if cell.id in answers:
            assert printed(cell).startswith(begins), f"{cell.id}: {printed(cell)}"
