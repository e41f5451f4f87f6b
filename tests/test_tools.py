"""The tools: .venv is set up; a refresh commits what it may; a stick is whole."""

import base64
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest
from course_copy import LESSON, ROOT
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from odd_pictures import as_bytes
from PIL import Image
from test_files import zip_bytes

from going_modular.files import LessonError
from going_modular.model_builder import Contender
from tools import fill_stick, run_lesson

PIP = ["python -m pip install --upgrade pip"]
PIP += ["python -m pip install -r tests/requirements.txt -e ."]
UV = ["uv pip install --python .venv/bin/python -r tests/requirements.txt -e ."]
SETUPS = {  # what is there, what of that is too old, and what is run
    "uv makes it": (["uv"], [], ["uv venv --seed --python python3 .venv", *UV]),
    "uv keeps it": (["uv", ".venv"], [], UV),
    "pip keeps it": ([".venv"], [], PIP),
    "an old one goes": ([".venv"], [".venv"], ["python3 -m venv .venv", *PIP]),
    "too old": ([], ["python3"], []),
}
# Stands in for every program: notes its words and does nothing.
PROGRAM = """#!/bin/sh
[ "$1" != -c ] || exit {fails}
echo "$(basename "$0") $*" >> "{folder}/called"
case "$*" in venv*|*"-m venv"*)
  mkdir -p .venv/bin && cp "{folder}/programs/python3" .venv/bin/python;; esac
"""


@pytest.mark.skipif(
    not shutil.which("make") or shutil.which("uv", path="/usr/bin:/bin") is not None,
    reason="needs make, and a system without uv",
)
@pytest.mark.parametrize("name", SETUPS)
def test_an_environment_is_made_or_kept(name, tmp_path):
    programs, too_old, ran = SETUPS[name]
    for file in ("requirements.txt", "pyproject.toml", "tests/requirements.txt"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    shutil.copyfile(ROOT / "Makefile", tmp_path / "Makefile")
    for program in ("python3", *programs):
        there = [".venv/bin/python", ".venv/bin/pip"]
        for place in there if program == ".venv" else [f"programs/{program}"]:
            file, fails = tmp_path / place, int(program in too_old)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(PROGRAM.format(folder=tmp_path, fails=fails))
            file.chmod(0o755)
    env = os.environ | {"PATH": f"{tmp_path}/programs:/usr/bin:/bin"}
    done = subprocess.run(["make", ".venv/.ready"], cwd=tmp_path, env=env)
    called = tmp_path / "called"
    assert (called.read_text().splitlines() if called.exists() else []) == ran
    assert bool(done.returncode) == (not ran) != (tmp_path / ".venv").exists()


SHOW = """import sys
from pathlib import Path
from IPython.display import HTML, Image, display
assert "secret" not in os.environ.get("HF_TOKEN", "")
print(Path("going_modular").is_dir())
print("a warning", file=sys.stderr)
display(HTML("<p>a page</p>"), Image("noise.png"))"""
FIND = """import os
if not os.environ["FOODVISION_DATA"]:
    print("drawn practice pictures")"""


def cell(name, source, *outputs, tags=("shows-photos",)):
    metadata = {"tags": list(tags)}
    return new_code_cell(source, id=name, outputs=list(outputs), metadata=metadata)


@pytest.fixture
def lesson(monkeypatch):
    """A small lesson as it ran on photos: a picture, a page, a picture, and an end."""
    noise = np.random.default_rng(0).integers(0, 255, (300, 300, 3), np.uint8)
    file = as_bytes(Image.fromarray(noise), "PNG")
    png = base64.b64encode(file).decode()
    photo = new_output("display_data", {"image/png": png, "text/plain": "<Figure>"})
    page = new_output("display_data", {"text/html": "<iframe>"})
    found = new_output("stream", text="This run uses real photos.")
    cells = [
        new_markdown_cell("# A lesson"),
        cell("find-pictures", FIND, found, tags=()),
        cell("look", SHOW, photo),
        cell("page", "display(HTML('<iframe>'))", page),
        cell("again", SHOW, photo, page),
        cell("end", "raise SystemError('not to be run')", page),
    ]

    def copy_course(course):
        (course / "going_modular").mkdir(parents=True)
        (course / "noise.png").write_bytes(file)
        return course

    monkeypatch.setattr(run_lesson, "copy_course", copy_course)
    monkeypatch.setenv("HF_TOKEN", "secret")
    monkeypatch.setenv("FOODVISION_DATA", "photos.zip")
    kernel = {"name": "python3", "display_name": "Python 3"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel})


@pytest.mark.slow
def test_pictures_come_from_a_run_on_drawn_ones_and_photos_are_not_kept(lesson, capsys):
    before = nbformat.writes(lesson)
    outputs = run_lesson.drawn_outputs(lesson)
    assert nbformat.writes(lesson) == before
    assert "s  A lesson" in capsys.readouterr().out
    assert list(outputs) == ["look", "again"]
    photo = lesson.cells[2].outputs[0]
    for text, picture in outputs.values():
        assert text.text == "True\n"
        assert run_lesson.is_drawn(picture) and not run_lesson.is_drawn(photo)
        assert len(picture.data["image/png"]) < len(photo.data["image/png"]) / 2
    for kept in (outputs, {}):
        run_lesson.clean(lesson, kept)
        nbformat.validate(lesson)
        with_outputs = [c.id for c in lesson.cells if c.get("outputs")]
        assert with_outputs == ["find-pictures", *kept]


@pytest.mark.parametrize(
    ("found", "told"), [("real", "Nothing was renewed"), ("drawn", "FOODVISION_DATA")]
)
def test_a_refresh_is_of_photos_then_of_drawn_ones(found, told, lesson, monkeypatch):
    for name in ("renew_block", "atomic_write", "write_card", "save"):
        monkeypatch.setattr(run_lesson, name, lambda *_: pytest.fail("written"))
    monkeypatch.setattr(run_lesson, "run", lambda *_: None)
    lesson.cells[1].outputs[0].text = f"This run uses {found} photos."
    with pytest.raises(SystemExit, match=told):
        run_lesson.refresh(lesson)


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
    (tmp_path / "mine.zip").write_bytes(zip_bytes({"train/pizza/1.jpg": b"a picture"}))
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
