"""A stick for a classroom without internet: whole parts; what is missing is told."""

import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from going_modular import app_process
from going_modular.files import LessonError
from going_modular.model_builder import Contender
from tools import fill_stick

WHEELS = ("torch-2-cp311-cp311-linux.whl", "b-1-py3-none-any.whl")


@pytest.fixture
def pip(monkeypatch):
    """What pip does when it is called: brings wheels, and perhaps fails."""
    run, pip = subprocess.run, SimpleNamespace(brings=WHEELS, fails=False)

    def stand_in(command, **options):
        if command[0] != sys.executable:
            return run(command, **options)
        assert command[1:5] == ["-m", "pip", "wheel", "--wheel-dir"]
        for name in pip.brings:
            Path(command[5], name).write_bytes(b"wheel")
        return subprocess.CompletedProcess(command, int(pip.fails))

    monkeypatch.setattr(app_process.subprocess, "run", stand_in)
    return pip


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A small course in git, with the runtime that npm has brought."""
    root = tmp_path / "course"
    runtime = root / "build" / "npm" / "litert"
    runtime.mkdir(parents=True)
    for words in ("init -q", "add .", "-c user.name=a -c user.email=a@b commit -qm a"):
        (root / "lesson.ipynb").write_text("committed\n", "utf-8")
        subprocess.run(["git", "-C", root, *words.split()], check=True)
    (runtime / "a.wasm").write_bytes(b"runtime")
    (root / ".git" / "info" / "exclude").write_text("build/\n", "utf-8")
    monkeypatch.setattr(fill_stick, "ROOT", root)
    monkeypatch.setattr(fill_stick, "GIT", ("git", "-C", root))
    monkeypatch.setattr(type(fill_stick.LITE_RT), "fetch", lambda _: runtime)
    return root


@pytest.fixture
def stick(tmp_path, pip, course, monkeypatch):
    """Where a stick is to be; of two contenders only the first has its weights here."""
    (tmp_path / "one.pth").write_bytes(b"weights")
    contenders = [
        Contender(name, name, lambda _, has=has: SimpleNamespace(pretrained=has), name)
        for name, has in (("one", True), ("two", False))
    ]
    monkeypatch.setattr(fill_stick, "CONTENDERS", contenders)
    monkeypatch.setattr(fill_stick, "weights_file", lambda w: tmp_path / f"{w}.pth")
    with zipfile.ZipFile(tmp_path / "mine.zip", "w") as zipped:
        zipped.writestr("train/pizza/1.jpg", b"a picture")
    monkeypatch.setenv("FOODVISION_DATA", str(tmp_path / "mine.zip"))
    return tmp_path / "stick"


def files(stick):
    return {p.relative_to(stick).as_posix() for p in stick.rglob("*") if p.is_file()}


def test_a_stick_is_filled_twice(stick, course, pip, capsys, monkeypatch):
    """What can be had is there and what cannot is told; then wheels add up."""
    (course / "lesson.ipynb").write_text("changed\n", "utf-8")
    assert fill_stick.main([str(stick)]) == 1
    assert files(stick) == {
        "README.txt",
        "course/lesson.ipynb",
        "course/build/npm/litert/a.wasm",
        *(f"wheels/{name}" for name in WHEELS),
        "photos/mine.zip",
        "weights/hub/checkpoints/one.pth",
    }
    assert (stick / "course" / "lesson.ipynb").read_text() == "committed\n"
    said, readme = capsys.readouterr().out, (stick / "README.txt").read_text("utf-8")
    for text in (said, readme):
        assert "uncommitted changes left out: 1" in text and "packages: 2, for" in text
        assert "NOT BROUGHT, weights of two: They are not here" in text
    assert f"    {WHEELS[0]}\n" in readme
    assert 'FOODVISION_DATA="$PWD/../photos/mine.zip" FOODVISION_OFFLINE=1' in readme
    assert 'set "FOODVISION_DATA=%CD%\\..\\photos\\mine.zip"' in readme

    monkeypatch.setattr(fill_stick, "CONTENDERS", fill_stick.CONTENDERS[:1])
    (stick / "course" / "older.py").touch()
    new = (stick.parent / "mine.zip").rename(stick.parent / "new.zip")
    monkeypatch.setenv("FOODVISION_DATA", str(new))
    pip.brings = ("torch-2-cp312-cp312-win.whl",)
    assert fill_stick.main([str(stick)]) == 0
    there = files(stick)
    assert "photos/new.zip" in there and "photos/mine.zip" not in there
    assert "course/older.py" not in there and "course/lesson.ipynb" in there
    assert sum(name.startswith("wheels/torch-") for name in there) == 2
    assert "new.zip" in (stick / "README.txt").read_text("utf-8")


def test_half_the_packages_are_none_and_a_torn_zip_no_photos(stick, pip, capsys):
    pip.fails = True
    (stick.parent / "mine.zip").write_bytes(b"torn")
    assert fill_stick.main([str(stick)]) == 1
    assert not [name for name in files(stick) if name.startswith(("wheels", "photos"))]
    said = capsys.readouterr().out
    assert "NOT BROUGHT, packages: python" in said and "not a complete zip" in said
    assert "(there are none)" in (stick / "README.txt").read_text("utf-8")


def test_unset_brings_the_published_photos(tmp_path, course, monkeypatch):
    def downloads(url, archive, *, verify):
        assert url == fill_stick.PHOTOS_URL and verify is fill_stick.photos_complaint
        archive.parent.mkdir()
        archive.write_bytes(b"published")

    monkeypatch.setenv("FOODVISION_DATA", str(tmp_path / "gone.zip"))
    with pytest.raises(LessonError, match="wants a zip on this disk"):
        fill_stick.put_photos(tmp_path)
    monkeypatch.setenv("FOODVISION_DATA", "")
    monkeypatch.setattr(fill_stick, "download", downloads)
    assert fill_stick.put_photos(tmp_path) == "pizza_steak_sushi_20_percent.zip"
    assert (tmp_path / "pizza_steak_sushi_20_percent.zip").read_bytes() == b"published"


def test_what_stands_in_the_way_is_told(stick):
    stick.write_text("a file, not a folder")
    with pytest.raises(SystemExit, match="could not be written"):
        fill_stick.main([str(stick)])
