"""The lesson as a reader offline has it, run twice at once in one folder."""

import os
import subprocess
import sys

import nbformat
import pytest
import watching
from course_copy import LESSON, assert_files_are_whole, copy_course
from few_photos import keep_few

from going_modular.app.model import Predictor
from going_modular.drawn import CLASS_NAMES
from tools.course import OFFLINE, shown_by

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A course, and the words and exit codes of two runs at once in it.

    Its folder's name has spaces, and it brings a sixth of the drawn pictures.
    """
    course = copy_course(tmp_path_factory.mktemp("ran") / "my own course")
    drawn = course / "data/drawn_pictures.zip"
    keep_few(drawn, drawn, every=6)  # six, three, two and one of a dish
    watched = {"folder": course.parent, "flags": "-DDDfx"}  # no stacks: too much here
    start = type("Watched", (watching.Watched,), watched)
    runs = [
        (start if watching.STRACE else subprocess.Popen)(
            [sys.executable, "-m", "tools.run_lesson"],
            cwd=course,
            env=os.environ | OFFLINE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(2)
    ]
    return course, [(run.communicate(timeout=1800)[0], run.returncode) for run in runs]


@pytest.mark.reliability("faults in the lesson", 1)
def test_two_runs_at_once_in_one_folder_end_well_and_the_app_answers(ran):
    course, runs = ran
    for text, code in runs:
        assert code == 0, text[-3000:]
    assert_files_are_whole(course)
    about = Predictor(course / "demos/practice_mini/foodvision_mini.onnx").about
    assert about.class_names == [*CLASS_NAMES] and about.is_practice is True
    told = shown_by(nbformat.read(course / "build" / LESSON, 4), "run-demo")
    assert all(f"{name}: " in told for name in CLASS_NAMES), told
    assert not (course / "demos/foodvision_mini/foodvision_mini.onnx").exists()


@pytest.mark.skipif(not watching.STRACE, reason="needs the system package strace")
def test_offline_no_name_is_looked_up_and_nothing_noted_at_home(ran):
    own = ("~/.cache/matplotlib/fontlist", "~/.ipython/")  # fonts; settings
    found = watching.reported(ran[0].parent)
    assert [line for line in found if not line.startswith(own)] == []
