"""The lesson as a reader offline has it, run twice at once in one folder."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import nbformat
import pytest
import watching
from course_copy import LESSON, assert_files_are_whole, copy_course

from going_modular.app.model import Predictor
from going_modular.drawn import CLASS_NAMES
from tools.course import OFFLINE
from tools.kernel import printed

pytestmark = pytest.mark.slow
# A notebook into an executed copy of the same name, as `make lesson` runs the lesson.
RUN = """
import sys
from tools import run_lesson
run_lesson.LESSON = run_lesson.ROOT / sys.argv[1]
sys.exit(not run_lesson.run_lesson(renew=False))
"""


def keep_few(archive: Path, every: int) -> None:
    """Leave each so-manyth of the drawn pictures: they run through four networks."""
    with zipfile.ZipFile(archive) as zipped:
        files = {name: zipped.read(name) for name in zipped.namelist()}
    numbers = {name: re.search(r"_(\d+)\.jpg$", name) for name in files}
    with zipfile.ZipFile(archive, "w") as zipped:
        for name, content in files.items():
            if numbers[name] is None or int(numbers[name][1]) % every == 0:
                zipped.writestr(name, content)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A course, and the exit codes and words of two notebooks that ran at once in it.

    Its folder's name has spaces, and it brings a quarter of the drawn pictures.
    """
    course = copy_course(tmp_path_factory.mktemp("ran") / "my own course")
    keep_few(course / "data/drawn_pictures.zip", every=4)
    shutil.copy(course / LESSON, course / "again.ipynb")
    watched = {"folder": course.parent, "flags": "-DDDfx"}  # no stacks: too much here
    start = type("Watched", (watching.Watched,), watched)
    runs = [
        (start if watching.STRACE else subprocess.Popen)(
            [sys.executable, "-c", RUN, name],
            cwd=course,
            env=os.environ | OFFLINE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for name in (LESSON, "again.ipynb")
    ]
    texts = [run.communicate(timeout=1800)[0] for run in runs]
    return course, [
        (run.returncode, text) for run, text in zip(runs, texts, strict=True)
    ]


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
