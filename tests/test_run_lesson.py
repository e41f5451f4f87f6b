"""What a refresh commits: a run on photos, with drawn pictures in place of them."""

import base64
import io

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from tools import run_lesson

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
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (300, 300, 3), np.uint8)
    Image.fromarray(noise).save(file, "PNG")
    png = base64.b64encode(file.getvalue()).decode()
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
        (course / "noise.png").write_bytes(file.getvalue())
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
def test_a_refresh_is_of_photos_and_then_of_drawn_ones(
    found, told, lesson, monkeypatch
):
    for name in ("renew_block", "atomic_write", "write_card", "save"):
        monkeypatch.setattr(run_lesson, name, lambda *_: pytest.fail("written"))
    monkeypatch.setattr(run_lesson, "run", lambda *_: None)
    lesson.cells[1].outputs[0].text = f"This run uses {found} photos."
    with pytest.raises(SystemExit, match=told):
        run_lesson.refresh(lesson)
