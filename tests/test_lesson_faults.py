"""The lesson under faults: interrupted, killed, on a full disk, twice at the same time.

A small copy of the lesson, with few drawn pictures and without internet. What goes
wrong ends in a message that helps, the same cell works afterwards, and no half-written
file is ever taken for a whole one.
"""

import contextlib
import os
import re
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
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from traitlets.config import Config

from going_modular.practice_pictures import draw_pictures
from tools.run_lesson import connection

ROOT = Path(__file__).resolve().parents[1]
LESSON = "09_pytorch_model_deployment.ipynb"
# In each section a cell, and the seconds after which it is interrupted: none while it
# imports a large package, of which Python would keep one half until a restart.
INTERRUPTED = {
    "check-packages": 0.1,
    "find-pictures": 0.05,
    "store-all": 1.0,
    "predict-all": 1.0,
    "demo-ask": 0.1,
    "quantise": 3.0,
    "rehearse": 0.3,
}
MUST_MEET = ("store-all", "predict-all")  # long enough on any machine
SECONDS = 600  # for a cell


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    """A zip of a few drawn pictures."""
    folder = tmp_path_factory.mktemp("drawn") / "pictures"
    draw_pictures(folder, train_per_class=6, test_per_class=2)
    archive = folder.with_suffix(".zip")
    with zipfile.ZipFile(archive, "w") as zipped:
        for file in sorted(folder.rglob("*.jpg")):
            zipped.write(file, file.relative_to(folder))
    return archive


@pytest.fixture
def course(tmp_path, pictures, monkeypatch) -> Path:
    """The repository as a reader has it, with what it needs to be quick."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        target = tmp_path / "course" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target)
    monkeypatch.setenv("FOODVISION_DATA", str(pictures))
    monkeypatch.setenv("FOODVISION_OFFLINE", "1")
    monkeypatch.setenv("FOODVISION_BIG", "off")
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")  # two runs share the cores
    return tmp_path / "course"


class Kernel:
    """The lesson's cells in a kernel, to be run one by one."""

    def __init__(self, course: Path) -> None:
        self.book = nbformat.read(course / LESSON, as_version=4)
        self.client = NotebookClient(
            self.book,
            config=Config({"KernelManager": connection(course.parent)}),
            timeout=SECONDS,
            kernel_name="python3",
            resources={"metadata": {"path": str(course)}},
        )

    def run(self, name: str) -> str:
        """Run a cell; returns what it printed."""
        number = next(n for n, cell in enumerate(self.book.cells) if cell.id == name)
        cell = self.client.execute_cell(self.book.cells[number], number)
        return "".join(output.get("text", "") for output in cell.outputs)

    def kill(self, signal_number: int, seconds: float) -> threading.Timer:
        """Send the kernel a signal in a moment."""
        process = self.client.km.provisioner.process.pid
        timer = threading.Timer(seconds, os.kill, (process, signal_number))
        timer.start()
        return timer

    @property
    def code_cells(self) -> list[str]:
        return [cell.id for cell in self.book.cells if cell.cell_type == "code"]


def assert_files_are_whole(course: Path) -> None:
    """Everything under its own name can be used from end to end."""
    for file in (course / "models").glob("*.pth"):
        torch.load(file, weights_only=True)
    for file in course.rglob("*.onnx"):
        onnxruntime.InferenceSession(file)
    for file in course.rglob("*.zip"):
        assert zipfile.ZipFile(file).testzip() is None
    assert not [p for p in course.rglob("*.part") if p.is_file()]


def test_killed_while_saving(course, reliability):
    """A kernel that dies leaves no file that only looks whole."""
    kernel = Kernel(course)
    with contextlib.suppress(DeadKernelError), kernel.client.setup_kernel():
        for name in kernel.code_cells:
            if name == "save":
                kernel.kill(signal.SIGKILL, 0.15)
            kernel.run(name)
        pytest.fail("the kernel outlived its killing")
    for file in (course / "models").glob("*.pth"):
        torch.load(file, weights_only=True)
    reliability("faults in the lesson", 1)


@pytest.fixture
def small_disk(course):
    """`models/` on a disk of its own, too small for ViT."""
    folder = course / "models"
    kept = {file.name: file.read_bytes() for file in folder.iterdir()}
    mount = ["mount", "-t", "tmpfs", "-o", "size=100m", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs the right to mount a small disk (root on Linux)")
    for name, content in kept.items():
        (folder / name).write_bytes(content)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def remount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)


def test_interrupted_everywhere_on_a_bad_disk(course, small_disk, reliability):
    """Every section is interrupted; saving meets a full, then a read-only disk."""
    faults = {
        "save": (lambda: None, "Make room", "size=2g"),
        "export": (lambda: remount(small_disk, "ro"), "writable", "rw"),
    }
    kernel, met = Kernel(course), []
    with kernel.client.setup_kernel():
        for name in kernel.code_cells:
            if name in INTERRUPTED:
                timer = kernel.kill(signal.SIGINT, INTERRUPTED[name])
                try:
                    kernel.run(name)
                except CellExecutionError as error:
                    assert error.ename == "KeyboardInterrupt", error
                    met.append(name)
                timer.cancel()
                timer.join()
            if name in faults:
                break_it, advice, mend = faults[name]
                break_it()
                with pytest.raises(CellExecutionError) as caught:
                    kernel.run(name)
                assert caught.value.ename in ("CheckpointError", "ExportError")
                assert re.search(advice, caught.value.evalue), caught.value.evalue
                remount(small_disk, mend)
            kernel.run(name)
    assert set(MUST_MEET) <= set(met), f"only {met} were interrupted in time"
    assert_files_are_whole(course)
    reliability("faults in the lesson", len(INTERRUPTED) + len(faults))


def test_two_runs_at_once_in_one_folder(course, reliability):
    command = [sys.executable, "tools/run_lesson.py"]
    runs = [
        subprocess.Popen(
            command,
            cwd=course,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(2)
    ]
    said = [run.communicate(timeout=1800)[0] for run in runs]
    for run, text in zip(runs, said, strict=True):
        assert run.returncode == 0, text[-3000:]
    assert_files_are_whole(course)
    reliability("faults in the lesson", 1)
