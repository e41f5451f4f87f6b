"""Whole files or none: many at once, interrupted, on a disk that refuses."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from going_modular import files
from going_modular.files import FileError, atomic_write, patch_file, staged_folder

SAVES = 25


def save(target, text):
    with atomic_write(target) as part:
        part.write_text(text)


@pytest.mark.parametrize(
    ("error", "words", "told"),
    [
        (ValueError("no"), None, ValueError),
        (KeyboardInterrupt(), None, KeyboardInterrupt),
        (KeyboardInterrupt(), "Drawing", FileError),
    ],
)
def test_what_fails_leaves_the_older_file(error, words, told, tmp_path):
    target = tmp_path / "new" / "a.txt"
    save(target, "older")
    with pytest.raises(told) as caught, atomic_write(target, words) as part:
        part.write_text("half of")
        raise error
    assert words is None or "Drawing was interrupted. Nothing" in str(caught.value)
    assert target.read_text() == "older"
    assert os.listdir(target.parent) == ["a.txt"]


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


SAVER = f"""
import pathlib, sys
from going_modular.files import atomic_write
for _ in range({SAVES}):
    with atomic_write(pathlib.Path(sys.argv[1])) as part:
        part.write_text(sys.argv[2] * 10_000)
"""


def test_threads_and_another_process_saving_one_file_all_end_well(tmp_path):
    target, start = tmp_path / "a.txt", threading.Barrier(4)
    save(target, "0" * 10_000)

    def saver(number):
        start.wait(10)
        for _ in range(SAVES):
            save(target, str(number) * 10_000)
            text = target.read_text()
            assert text == text[0] * 10_000, "one saver's, and whole"

    process = subprocess.Popen([sys.executable, "-c", SAVER, target, "p"])
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(saver, range(4)))
    assert process.wait(120) == 0
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
        for name in ("in/a", "b"):
            (part / name).write_text("1")
        assert not folder.exists()
    (folder / "own").write_text("mine")
    with pytest.raises(FileError), staged_folder(folder) as part:
        (part / "b").write_text("2")
        fail()
    assert (folder / "b").read_text() == "1" and (folder / "own").read_text() == "mine"
    assert sorted(os.listdir(folder)) == ["b", "in", "own"]
    assert os.listdir(tmp_path) == ["demo"]


TEXT = "import a\nimport b\n\n\ndef f(x):\n    return x\n"


def test_lines_go_and_come_where_the_diff_says(tmp_path):
    diff = "\n-import a\n import b\n+import c\n\n-    return x\n+    return 2 * x\n"
    source, target = tmp_path / "app_0.py", tmp_path / "app_1.py"
    source.write_text(TEXT, "utf-8")
    patch_file(source, diff, target)
    expected = "import b\nimport c\n\n\ndef f(x):\n    return 2 * x\n"
    assert (source.read_text(), target.read_text()) == (TEXT, expected)
    for diff, told in (
        ("+import c", "Say where"),
        ("import a", "must begin with"),
        (" import d\n+import c", "0 times"),
        (" import a\n     return x", "0 times"),
        (" import\n+c", "0 times"),
    ):
        with pytest.raises(FileError, match=told):
            patch_file(source, diff, target)
    source.write_text(TEXT * 2, "utf-8")
    with pytest.raises(FileError, match="2 times"):
        patch_file(source, " import b\n+c", target)
