"""A stick for a classroom without internet: whole parts; what is missing is told."""

import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from course_copy import LESSON, ROOT

from going_modular.files import LessonError
from going_modular.model_builder import Contender
from tools import fill_stick


@pytest.fixture
def wheels():
    """What pip brings."""
    return ["torch-2-cp311-cp311-linux.whl", "b-1-py3-none-any.whl"]


@pytest.fixture
def stick(tmp_path, wheels, monkeypatch):
    """Where a stick is to be; of two contenders only the first has its weights here."""
    run = fill_stick.run

    def stand_in(program, *words, **options):
        if program != sys.executable:
            return run(program, *words, **options)
        assert words[:4] == ("-m", "pip", "wheel", "--wheel-dir")
        for name in wheels:
            Path(words[4], name).write_bytes(b"wheel")

    def contender(name, has):
        return Contender(name, name, lambda _: SimpleNamespace(pretrained=has), name)

    (tmp_path / "one.pth").write_bytes(b"weights")
    both = [contender("one", True), contender("two", False)]
    monkeypatch.setattr(fill_stick, "run", stand_in)
    monkeypatch.setattr(fill_stick, "CONTENDERS", both)
    monkeypatch.setattr(fill_stick, "weights_file", lambda w: tmp_path / f"{w}.pth")
    monkeypatch.setattr(type(fill_stick.LITE_RT), "fetch", lambda _: ROOT / "figures")
    with zipfile.ZipFile(tmp_path / "mine.zip", "w") as zipped:
        zipped.writestr("train/pizza/1.jpg", b"a picture")
    monkeypatch.setenv("FOODVISION_DATA", str(tmp_path / "mine.zip"))
    return tmp_path / "stick"


def files(stick):
    return {p.relative_to(stick).as_posix() for p in stick.rglob("*") if p.is_file()}


def test_a_stick_is_filled_twice(stick, wheels, capsys, monkeypatch):
    """What can be had is there and what cannot is told; then wheels add up."""
    assert fill_stick.main([str(stick)]) == 1
    there = {name for name in files(stick) if not name.startswith("course/")}
    brought = {"README.txt", "photos/mine.zip", "weights/hub/checkpoints/one.pth"}
    assert there == brought | {f"wheels/{name}" for name in wheels}
    assert {f"course/{LESSON}", "course/figures/app.png"} < files(stick)
    said, readme = capsys.readouterr().out, (stick / "README.txt").read_text("utf-8")
    for text in (said, readme):
        assert "uncommitted changes left out: " in text and "packages: 2, for" in text
        assert "NOT BROUGHT, weights of two: They are not here" in text
    assert f"    {wheels[0]}\n" in readme
    assert 'FOODVISION_DATA="$PWD/../photos/mine.zip" FOODVISION_OFFLINE=1' in readme
    assert 'set "FOODVISION_DATA=%CD%\\..\\photos\\mine.zip"' in readme

    monkeypatch.setattr(fill_stick, "CONTENDERS", fill_stick.CONTENDERS[:1])
    (stick / "course" / "older.py").touch()
    new = (stick.parent / "mine.zip").rename(stick.parent / "new.zip")
    monkeypatch.setenv("FOODVISION_DATA", str(new))
    wheels[0] = "torch-2-cp312-cp312-win.whl"
    assert fill_stick.main([str(stick)]) == 0
    there = files(stick)
    assert "photos/new.zip" in there and "photos/mine.zip" not in there
    assert "course/older.py" not in there and f"course/{LESSON}" in there
    assert sum(name.startswith("wheels/torch-") for name in there) == 2
    assert "new.zip" in (stick / "README.txt").read_text("utf-8")


def test_half_a_part_is_none_and_what_stands_in_the_way_is_told(stick, wheels, capsys):
    wheels[1] = "no/such/folder"
    (stick.parent / "mine.zip").write_bytes(b"torn")
    assert fill_stick.main([str(stick)]) == 1
    assert not [name for name in files(stick) if name.startswith(("wheels", "photos"))]
    said = capsys.readouterr().out
    assert "NOT BROUGHT, packages: " in said and "not a complete zip" in said
    assert "(there are none)" in (stick / "README.txt").read_text("utf-8")
    with pytest.raises(SystemExit, match="could not be written"):
        fill_stick.main([str(stick / "README.txt")])


def test_unset_brings_the_published_photos(tmp_path, monkeypatch):
    def downloads(url, archive, *, verify):
        assert url == fill_stick.PHOTOS_URL and verify is fill_stick.photos_complaint
        archive.parent.mkdir(parents=True)
        archive.write_bytes(b"published")

    monkeypatch.setenv("FOODVISION_DATA", str(tmp_path / "gone.zip"))
    with pytest.raises(LessonError, match="wants a zip on this disk"):
        fill_stick.put_photos(tmp_path)
    monkeypatch.setenv("FOODVISION_DATA", "")
    monkeypatch.setattr(fill_stick, "ROOT", tmp_path / "course")
    monkeypatch.setattr(fill_stick, "download", downloads)
    assert fill_stick.put_photos(tmp_path) == "pizza_steak_sushi_20_percent.zip"
    assert (tmp_path / "pizza_steak_sushi_20_percent.zip").read_bytes() == b"published"
