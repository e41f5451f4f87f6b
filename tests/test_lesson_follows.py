"""The lesson as a reader offline has it, run twice at once in one folder."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import watching
from course_copy import LESSON, assert_files_are_whole, copy_course

from going_modular.app.model import Predictor
from going_modular.drawn import CLASS_NAMES
from tools.run_lesson import printed

pytestmark = pytest.mark.slow
# A notebook into an executed copy of the same name, as `make lesson` runs the lesson.
RUN = """
import sys
from tools import run_lesson
run_lesson.LESSON = run_lesson.ROOT / sys.argv[1]
sys.exit(not run_lesson.run_lesson(renew=False))
"""


def run_all(course: Path, notebooks: list[str]) -> list:
    """Exit code and words of notebooks that run at the same time in one course."""
    watched = {"folder": course.parent, "flags": "-DDDfx"}  # no stacks: too much here
    start = type("Watched", (watching.Watched,), watched)
    variables = {"FOODVISION_OFFLINE": "1", "FOODVISION_DATA": "", "FOODVISION_BIG": ""}
    runs = [
        (start if watching.STRACE else subprocess.Popen)(
            [sys.executable, "-c", RUN, name],
            cwd=course,
            env=os.environ | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for name in notebooks
    ]
    said = [run.communicate(timeout=1800)[0] for run in runs]
    return [(run.returncode, text) for run, text in zip(runs, said, strict=True)]


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A course, its folder's name with spaces."""
    course = copy_course(tmp_path_factory.mktemp("ran") / "my own course")
    shutil.copy(course / LESSON, course / "again.ipynb")
    return course, run_all(course, [LESSON, "again.ipynb"])


@pytest.mark.reliability("faults in the lesson", 1)
def test_two_runs_at_once_in_one_folder_end_well(ran):
    course, runs = ran
    for code, text in runs:
        assert code == 0, text[-3000:]
    assert_files_are_whole(course)


def test_the_app_answers(ran):
    course, _ = ran
    about = Predictor(course / "demos/practice_mini/foodvision_mini.onnx").about
    assert about.class_names == [*CLASS_NAMES] and about.is_practice is True
    notebook = nbformat.read(course / "build/again.ipynb", as_version=4)
    told = printed(next(cell for cell in notebook.cells if cell.id == "run-demo"))
    assert all(f"{name}: " in told for name in CLASS_NAMES), told
    assert not (course / "demos/foodvision_mini/foodvision_mini.onnx").exists()


@pytest.mark.skipif(not watching.STRACE, reason="needs the system package strace")
def test_offline_no_name_is_looked_up_and_nothing_noted_at_home(ran):
    course, _ = ran
    own = ("~/.cache/matplotlib/fontlist", "~/.ipython/")  # fonts; settings
    found = watching.reported(course.parent)
    assert [line for line in found if not line.startswith(own)] == []
