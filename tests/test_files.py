"""Whole files or none: many at once, interrupted, on a disk that refuses."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from going_modular import files
from going_modular.big.features import FeatureStoreError
from going_modular.datasets import DataError
from going_modular.demo_folder import DeployError
from going_modular.export import ExportError
from going_modular.files import (
    FileError,
    LessonError,
    atomic_write,
    patch_file,
    patched,
    progress_bar,
    staged_folder,
)
from going_modular.model_builder import CheckpointError

ROOT = Path(__file__).resolve().parents[1]
SAVES = 25
ERRORS = (
    CheckpointError,
    DataError,
    DeployError,
    ExportError,
    FeatureStoreError,
    FileError,
)


def save(target, text):
    with atomic_write(target) as part:
        part.write_text(text)


def test_a_file_is_there_only_when_it_is_whole(tmp_path):
    target = tmp_path / "new" / "a.txt"
    with atomic_write(target) as part:
        part.write_text("hello")
        assert not target.exists() and part.parent == target.parent
    assert target.read_text() == "hello" and os.listdir(target.parent) == ["a.txt"]


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_what_fails_leaves_the_older_file(error, tmp_path):
    save(tmp_path / "a.txt", "older")
    with pytest.raises(type(error)), atomic_write(tmp_path / "a.txt") as part:
        part.write_text("half of")
        raise error
    assert (tmp_path / "a.txt").read_text() == "older"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_an_interruption_is_told_where_there_are_words_for_it(tmp_path):
    with (
        pytest.raises(FileError, match="Drawing was interrupted. Nothing was kept"),
        atomic_write(tmp_path / "folder", "Drawing") as part,
    ):
        part.mkdir()
        raise KeyboardInterrupt
    assert os.listdir(tmp_path) == []


def fail(*_):
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_disk_that_refuses_is_told_with_what_to_do(step, tmp_path, monkeypatch):
    save(tmp_path / "a.txt", "older")
    monkeypatch.setattr(files.os, step, fail)
    with pytest.raises(FileError, match="a.txt could not .*No space.*Make room"):
        save(tmp_path / "a.txt", "newer")
    assert (tmp_path / "a.txt").read_text() == "older"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_many_threads_saving_one_file_all_end_well(tmp_path):
    target, start = tmp_path / "a.txt", threading.Barrier(8)

    def saver(number):
        start.wait(10)
        for _ in range(SAVES):
            save(target, str(number) * 10_000)
            assert set(target.read_text()) <= set("01234567")
            assert len(target.read_text()) == 10_000

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(saver, range(8)))
    assert os.listdir(tmp_path) == ["a.txt"]


def test_processes_saving_one_file_all_end_well(tmp_path):
    script = f"""
import pathlib, sys
from going_modular.files import atomic_write
for _ in range({SAVES}):
    with atomic_write(pathlib.Path(sys.argv[1])) as part:
        part.write_text(sys.argv[2] * 100_000)
"""
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", script, tmp_path / "a.txt", letter],
            cwd=ROOT,
        )
        for letter in "ab"
    ]
    assert [run.wait(120) for run in runs] == [0, 0]
    assert (tmp_path / "a.txt").read_text() in ("a" * 100_000, "b" * 100_000)
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_folder_gives_way_to_one_that_was_finished_first(tmp_path):
    with atomic_write(tmp_path / "folder") as part:
        part.mkdir()
        (part / "late").touch()
        (tmp_path / "folder").mkdir()
        (tmp_path / "folder" / "early").touch()
    assert os.listdir(tmp_path / "folder") == ["early"]
    assert os.listdir(tmp_path) == ["folder"]


def test_a_folder_is_filled_with_all_or_nothing(tmp_path):
    folder = tmp_path / "demo"
    with staged_folder(folder) as part:
        (part / "in").mkdir()
        (part / "in" / "a").write_text("1")
        (part / "b").write_text("1")
        assert not folder.exists()
    (folder / "own").write_text("mine")
    with pytest.raises(FileError), staged_folder(folder) as part:
        (part / "b").write_text("2")
        fail()
    assert (folder / "b").read_text() == "1" and (folder / "own").read_text() == "mine"
    assert sorted(os.listdir(folder)) == ["b", "in", "own"]
    assert os.listdir(tmp_path) == ["demo"]


@pytest.mark.parametrize("error", ERRORS)
def test_all_that_a_reader_can_put_right_has_one_base(error):
    assert issubclass(error, LessonError)


def test_progress_is_a_line_of_plain_text(capsys):
    with progress_bar("Features", 4, initial=1, unit=" photos") as bar:
        bar.update(3)
    shown = capsys.readouterr()
    assert shown.err == "" and shown.out.isascii()
    assert "100%" in shown.out and "4/4" in shown.out


TEXT = "import a\nimport b\n\n\ndef f(x):\n    return x\n"


def test_lines_go_and_come_where_the_diff_says():
    diff = "\n-import a\n import b\n+import c\n\n-    return x\n+    return 2 * x\n"
    expected = "import b\nimport c\n\n\ndef f(x):\n    return 2 * x\n"
    assert patched(TEXT, diff) == expected


@pytest.mark.parametrize(
    ("diff", "told"),
    [
        ("+import c", "Say where"),
        ("import a", "must begin with"),
        (" import d\n+import c", "0 times"),
        (" import a\n     return x", "0 times"),
        (" import\n+c", "0 times"),
    ],
)
def test_a_diff_that_does_not_fit_says_why(diff, told):
    with pytest.raises(FileError, match=told):
        patched(TEXT, diff)


def test_a_line_that_is_there_twice_says_nothing_about_where():
    with pytest.raises(FileError, match="2 times"):
        patched(TEXT + TEXT, " import b\n+import c")


def test_the_source_stays_as_it_is(tmp_path):
    source, target = tmp_path / "app_0.py", tmp_path / "app_1.py"
    source.write_text(TEXT, "utf-8")
    patch_file(source, "-import a", target)
    assert source.read_text("utf-8") == TEXT
    assert target.read_text("utf-8") == TEXT.removeprefix("import a\n")
