"""The lesson under faults: interrupted, killed, on a full disk, twice at once, offline.

Small copies of the lesson, on few drawn pictures, without internet. What goes wrong
ends in a message that helps, the same cell works afterwards, and no half-written file
is ever taken for a whole one.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import nbformat
import onnxruntime
import pytest
import torch
import watching
from course_copy import LESSON, copy_course, keep_few
from drawn_images import copy_few
from nbclient.exceptions import CellExecutionError, DeadKernelError

from going_modular.app.model import Predictor
from going_modular.drawn import CLASS_NAMES, MARKER
from tools.course import OFFLINE, client_for, printed, shown_by

pytestmark = pytest.mark.slow
# In each section a cell, and the seconds after which it is interrupted: none while it
# imports a large package, of which Python would keep one half until a restart.
INTERRUPTED = {"check-packages": 0.1, "find-pictures": 0.05, "client": 0.1}
INTERRUPTED |= {"store-all": 1.0, "predict-all": 1.0, "quantise": 3.0, "rehearse": 0.3}
LONG = {"store-all", "predict-all"}  # on any machine
ONCE = LONG | {"checkpoint-2", "timing-loop"}  # not run again
# A cell, how its disk is broken, what it then says, and how the disk is mended.
FAULTS = {
    "save": ("size=100m", "Make room", "size=2g"),
    "equal-answers": ("ro", "writable", "rw"),
}
CLASSES = ("pizza", "fried_eggs")
RULE, OVERRULED = "winner = choose_winner(reports)", 'winner = "EffNetB2"'
# Cells whose outputs hold a time, an address or a place that is new in every run.
NEW_EACH_TIME = """train-heads reports winner speed-accuracy shortfalls precision-table
choose-file play-launch demo-launch break-naive copy-app run-demo page-show rehearse
goals big-data"""


def assert_files_are_whole(course: Path) -> None:
    """Everything under its own name can be used from end to end."""
    for file in (course / "models").rglob("*.pth"):
        torch.load(file, weights_only=True)
    for file in course.rglob("*.onnx"):
        onnxruntime.InferenceSession(file)
    for file in course.rglob("*.zip"):
        assert zipfile.ZipFile(file).testzip() is None
    assert not [p for p in course.rglob("*.part") if p.is_file()]


@pytest.fixture
def course(tmp_path, monkeypatch) -> Path:
    """The repository as a reader has it, with two dishes that pass for photos."""
    drawn = copy_few(tmp_path / "drawn", train=9, test=3, names=CLASSES)
    (drawn / MARKER).unlink()
    for name, text in OFFLINE.items():
        monkeypatch.setenv(name, text)
    monkeypatch.setenv("FOODVISION_DATA", shutil.make_archive(drawn, "zip", drawn))
    return copy_course(tmp_path / "course")


class Kernel:
    """The lesson's cells, its winner overruled, in a kernel, to be run one by one."""

    def __init__(self, course: Path) -> None:
        self.book = nbformat.read(course / LESSON, as_version=4)
        (cell,) = (cell for cell in self.book.cells if RULE in cell.source)
        cell.source = cell.source.replace(RULE, OVERRULED)
        cells = enumerate(self.book.cells)
        self.numbers = {c.id: number for number, c in cells if c.cell_type == "code"}
        self.client = client_for(self.book, course, course.parent, timeout=600)

    def run(self, name: str) -> str:
        """Run a cell; returns what it showed, without blanks: text comes in pieces.

        That `%%writefile` found its file already there is not told apart.
        """
        number = self.numbers[name]
        cell = self.client.execute_cell(self.book.cells[number], number)
        return "".join(printed(cell).split()).replace("Overwriting", "Writing")

    def kill(self, signal_number: int, seconds: float) -> threading.Timer:
        """Send the kernel a signal in a moment."""
        process = self.client.km.provisioner.process.pid
        timer = threading.Timer(seconds, os.kill, (process, signal_number))
        timer.start()
        return timer

    def is_interrupted(self, name: str) -> bool:
        """Interrupt a cell; whether it was still running."""
        timer = self.kill(signal.SIGINT, INTERRUPTED[name])
        try:
            self.run(name)
        except CellExecutionError as error:
            told = error.ename == "KeyboardInterrupt" or "interrupted" in error.evalue
            assert told, error
            return True
        finally:
            timer.cancel()
            timer.join()
        return False


@pytest.fixture
def small_disk(course):
    """`models/` on a disk of its own, too small for ViT; a function remounts it."""
    folder = course / "models"
    kept = shutil.copytree(folder, course.parent / "kept")
    mount = ["mount", "-t", "tmpfs", "-o", "size=100m", "tmpfs", folder]
    if shutil.which("mount") is None or subprocess.run(mount).returncode:
        pytest.skip("needs the right to mount a small disk (root on Linux)")
    shutil.copytree(kept, folder, dirs_exist_ok=True)
    again = ["mount", folder, "-o"]
    yield lambda how: subprocess.run([*again, f"remount,{how}"], check=True)
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.reliability("faults in the lesson", len(INTERRUPTED) + len(FAULTS) + 1)
def test_interrupted_everywhere_on_a_bad_disk_then_killed(course, small_disk):
    """Every section is interrupted; saving meets a full, then a read-only disk.

    After the whole lesson nearly each cell runs once more, the last one first, and
    gives what it gave before. In the end the kernel is killed while it saves.
    """
    kernel, met, gave = Kernel(course), set(), {}
    with contextlib.suppress(DeadKernelError), kernel.client.setup_kernel():
        for name in kernel.numbers:
            if name in INTERRUPTED and kernel.is_interrupted(name):
                met.add(name)
            if name in FAULTS:
                broken, advice, mended = FAULTS[name]
                small_disk(broken)
                with pytest.raises(CellExecutionError) as caught:
                    kernel.run(name)
                error = caught.value
                assert error.ename == "FileError" and advice in error.evalue
                small_disk(mended)
            gave[name] = kernel.run(name)
        assert met >= LONG, f"only {met} were interrupted in time"
        assert_files_are_whole(course)
        # Everything is of the overruled winner, and of these classes.
        about = Predictor(course / "demos/foodvision_mini/foodvision_mini.onnx").about
        assert about.contender == "EffNetB2" and about.class_names == sorted(CLASSES)
        readme = (course / "demos/foodvision_mini/README.md").read_text("utf-8")
        assert "fried eggs" in readme and "steak" not in readme
        big = Predictor(course / "demos/foodvision_big/foodvision_big.onnx").about
        assert big.contender == "EffNetB2" and big.title == "FoodVision Big"
        for name in reversed([name for name in gave if name not in ONCE]):
            again = kernel.run(name)
            same = again == gave[name] or name in NEW_EACH_TIME.split()
            assert same, f"{name} gave {gave[name]} and gives {again}"
        kernel.kill(signal.SIGKILL, 0.15)
        kernel.run("save")
        pytest.fail("the kernel outlived its killing")
    for part in (course / "models").glob(".*.part"):  # of a killed process: hidden
        part.unlink()
    assert_files_are_whole(course)


@pytest.mark.reliability("faults in the lesson", 1)
def test_two_runs_at_once_end_well_and_offline_no_name_is_looked_up(tmp_path):
    """In one folder, whose name has spaces, on a sixth of the drawn pictures.

    Nothing is noted at home but matplotlib's list of fonts and IPython's settings.
    """
    course = copy_course(tmp_path / "my own course")
    drawn = course / "data/drawn_pictures.zip"
    keep_few(drawn, drawn, every=6)  # six, three, two and one of a dish
    flags = "-DDDfx" if watching.STRACE else ""  # no stacks: too much here
    watched = {"folder": tmp_path, "flags": flags}
    start = type("Watched", (watching.Watched,), watched)
    how = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    how |= {"cwd": course, "env": os.environ | OFFLINE}
    command = [sys.executable, "-m", "tools.run_lesson"]
    runs = [start(command, **how) for _ in range(2)]
    texts = [run.communicate(timeout=1800)[0] for run in runs]
    assert not any(run.returncode for run in runs), texts
    assert_files_are_whole(course)
    about = Predictor(course / "demos/practice_mini/foodvision_mini.onnx").about
    assert about.class_names == [*CLASS_NAMES] and about.is_practice is True
    told = shown_by(nbformat.read(course / "build" / LESSON, 4), "run-demo")
    assert all(f"{name}: " in told for name in CLASS_NAMES), told
    assert not (course / "demos/foodvision_mini/foodvision_mini.onnx").exists()
    own = ("~/.cache/matplotlib/fontlist", "~/.ipython/")
    found = watching.reported(tmp_path)
    assert [line for line in found if not line.startswith(own)] == []
