"""A stick for a classroom without internet: whole parts; what is missing is told."""

import subprocess
import sys
import zipfile
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from going_modular import app_process
from going_modular.files import LessonError
from going_modular.model_builder import Contender
from tools import fill_stick
from tools.fill_stick import PARTS, main

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
    (root / "tests").mkdir(parents=True)
    for name in ("requirements.txt", "tests/requirements.txt", "lesson.ipynb"):
        (root / name).write_text("committed\n", "utf-8")
    for words in ("init -q", "add .", "-c user.name=a -c user.email=a@b commit -qm a"):
        subprocess.run(["git", "-C", root, *words.split()], check=True)
    runtime = root / "build" / "npm" / "litert"
    runtime.mkdir(parents=True)
    (runtime / "a.wasm").write_bytes(b"runtime")
    (root / ".git" / "info" / "exclude").write_text("build/\n", "utf-8")
    monkeypatch.setattr(fill_stick, "ROOT", root)
    monkeypatch.setattr(type(fill_stick.LITE_RT), "fetch", lambda _: runtime)
    return root


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """A zip that FOODVISION_DATA names."""
    archive = tmp_path / "mine.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("train/pizza/1.jpg", b"a picture")
    monkeypatch.setenv("FOODVISION_DATA", str(archive))
    return archive


@pytest.fixture
def stick(tmp_path, pip, course, photos, monkeypatch):
    """Where a stick is to be; of two contenders only the first has its weights here."""
    (tmp_path / "one.pth").write_bytes(b"weights")
    parts = {name: put for name, put in PARTS.items() if "weights" not in name}
    for name, has in (("one", True), ("two", False)):
        built = SimpleNamespace(pretrained=has)
        contender = Contender(name, name, lambda _, own=built: own, weights=name)
        parts[f"weights of {name}"] = partial(fill_stick.put_weights, contender)
    monkeypatch.setattr(fill_stick, "PARTS", parts)
    monkeypatch.setattr(fill_stick, "weights_file", lambda w: tmp_path / f"{w}.pth")
    return tmp_path / "stick"


def files(stick):
    return {p.relative_to(stick).as_posix() for p in stick.rglob("*") if p.is_file()}


def test_a_stick_is_filled_twice(stick, course, pip, photos, capsys, monkeypatch):
    """What can be had is there and what cannot is told; then wheels add up."""
    (course / "lesson.ipynb").write_text("changed\n", "utf-8")
    assert main([str(stick)]) == 1
    assert files(stick) == {
        "README.txt",
        "course/requirements.txt",
        "course/tests/requirements.txt",
        "course/lesson.ipynb",
        "course/build/npm/litert/a.wasm",
        *(f"wheels/{name}" for name in WHEELS),
        "photos/mine.zip",
        "weights/hub/checkpoints/one.pth",
    }
    assert (stick / "course" / "lesson.ipynb").read_text() == "committed\n"
    said, readme = capsys.readouterr().out, (stick / "README.txt").read_text("utf-8")
    for text in (said, readme):
        assert "uncommitted changes left out: 1" in text and "2 packages" in text
        assert "NOT BROUGHT, weights of two: They are not on this computer" in text
    assert f"    {WHEELS[0]}\n" in readme
    assert 'FOODVISION_DATA="$PWD/../photos/mine.zip" FOODVISION_OFFLINE=1' in readme
    assert 'set "FOODVISION_DATA=%CD%\\..\\photos\\mine.zip"' in readme

    monkeypatch.delitem(fill_stick.PARTS, "weights of two")
    (stick / "course" / "older.py").touch()
    monkeypatch.setenv("FOODVISION_DATA", str(photos.rename(photos.parent / "new.zip")))
    pip.brings = ("torch-2-cp312-cp312-win.whl",)
    assert main([str(stick)]) == 0
    there = files(stick)
    assert "photos/new.zip" in there and "photos/mine.zip" not in there
    assert "course/older.py" not in there and "course/lesson.ipynb" in there
    assert sum(name.startswith("wheels/torch-") for name in there) == 2
    assert "new.zip" in (stick / "README.txt").read_text("utf-8")


def test_half_the_packages_are_none(stick, pip, capsys):
    pip.fails = True
    assert main([str(stick)]) == 1
    assert not any(name.startswith("wheels") for name in files(stick))
    assert "NOT BROUGHT, packages: pip could not bring" in capsys.readouterr().out
    assert "(there are none)" in (stick / "README.txt").read_text("utf-8")


def test_photos_that_are_no_zip_are_told(stick, photos):
    photos.write_bytes(b"torn")
    with pytest.raises(LessonError, match="not a complete zip"):
        fill_stick.put_photos(stick)
    photos.unlink()
    with pytest.raises(LessonError, match="wants a zip on this disk"):
        fill_stick.put_photos(stick)
    assert not stick.exists()


def test_unset_brings_the_published_photos(stick, monkeypatch):
    def downloads(url, archive, *, verify):
        assert url == fill_stick.PHOTOS_URL and verify is fill_stick.photos_complaint
        archive.parent.mkdir()
        archive.write_bytes(b"published")

    monkeypatch.setenv("FOODVISION_DATA", "")
    monkeypatch.setattr(fill_stick, "download", downloads)
    fill_stick.put_photos(stick)
    assert files(stick) == {"photos/pizza_steak_sushi_20_percent.zip"}


def test_what_stands_in_the_way_is_told(stick, tmp_path, monkeypatch):
    stick.write_text("a file, not a folder")
    with pytest.raises(SystemExit, match="could not be written"):
        main([str(stick)])
    stick.unlink()
    monkeypatch.setattr(fill_stick, "ROOT", tmp_path)
    with pytest.raises(LessonError, match="has to be a git repository"):
        fill_stick.put_course(stick)
    assert not files(stick)
