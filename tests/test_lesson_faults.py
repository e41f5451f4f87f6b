"""The lesson under faults: interrupted, killed, on a full disk; its cells run again.

A small copy of the lesson, few drawn pictures of two classes, without internet, its
winner overruled. What goes wrong ends in a message that helps, the same cell works
afterwards, and no half-written file is ever taken for a whole one.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import threading
from pathlib import Path

import nbformat
import pytest
from course_copy import LESSON, assert_files_are_whole, copy_course, zip_pictures
from drawn_images import copy_few
from nbclient.exceptions import CellExecutionError, DeadKernelError

from going_modular.app.model import Predictor
from tools.course import client_for, printed

# In each section a cell, and the seconds after which it is interrupted: none while it
# imports a large package, of which Python would keep one half until a restart.
INTERRUPTED = {
    "check-packages": 0.1,
    "find-pictures": 0.05,
    "store-all": 1.0,
    "predict-all": 1.0,
    "client": 0.1,
    "quantise": 3.0,
    "rehearse": 0.3,
}
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
NEW_EACH_TIME = {
    "train-heads", "reports", "winner", "speed-accuracy", "shortfalls",
    "precision-table", "choose-file", "play-launch", "demo-launch", "break-naive",
    "copy-app", "run-demo", "page-show", "rehearse", "goals", "big-data",
}  # fmt: skip


@pytest.fixture
def course(tmp_path, monkeypatch) -> Path:
    """The repository as a reader has it, with what it needs to be quick."""
    drawn = copy_few(tmp_path / "drawn", train=9, test=3, names=CLASSES)
    monkeypatch.setenv("FOODVISION_DATA", str(zip_pictures(drawn)))
    monkeypatch.setenv("FOODVISION_OFFLINE", "1")
    monkeypatch.setenv("FOODVISION_BIG", "")
    return copy_course(tmp_path / "course")


class Kernel:
    """The lesson's cells in a kernel, to be run one by one."""

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
            assert error.ename == "KeyboardInterrupt", error
            return True
        finally:
            timer.cancel()
            timer.join()
        return False


@pytest.fixture
def small_disk(course):
    """`models/` on a disk of its own, too small for ViT."""
    folder = course / "models"
    kept = shutil.copytree(folder, course.parent / "kept")
    mount = ["mount", "-t", "tmpfs", "-o", "size=100m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount).returncode:
        pytest.skip("needs the right to mount a small disk (root on Linux)")
    shutil.copytree(kept, folder, dirs_exist_ok=True)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def remount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)


def assert_follows(course: Path) -> None:
    """Everything is of the overruled winner, and of these classes."""
    about = Predictor(course / "demos/foodvision_mini/foodvision_mini.onnx").about
    assert about.contender == "EffNetB2" and about.class_names == sorted(CLASSES)
    readme = (course / "demos/foodvision_mini/README.md").read_text("utf-8")
    assert "fried eggs" in readme and "steak" not in readme
    big = Predictor(course / "demos/foodvision_big/foodvision_big.onnx").about
    assert big.contender == "EffNetB2" and big.title == "FoodVision Big"


@pytest.mark.slow
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
                remount(small_disk, broken)
                with pytest.raises(CellExecutionError) as caught:
                    kernel.run(name)
                error = caught.value
                assert error.ename == "FileError" and advice in error.evalue
                remount(small_disk, mended)
            gave[name] = kernel.run(name)
        assert met >= LONG, f"only {met} were interrupted in time"
        assert_files_are_whole(course)
        assert_follows(course)
        for name in reversed([name for name in gave if name not in ONCE]):
            again = kernel.run(name)
            same = again == gave[name] or name in NEW_EACH_TIME
            assert same, f"{name} gave {gave[name]} and gives {again}"
        kernel.kill(signal.SIGKILL, 0.15)
        kernel.run("save")
        pytest.fail("the kernel outlived its killing")
    for part in (course / "models").glob(".*.part"):  # of a killed process: hidden
        part.unlink()
    assert_files_are_whole(course)
