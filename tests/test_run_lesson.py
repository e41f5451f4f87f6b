"""What a refresh commits: times of its run, drawn pictures in place of photos."""

import base64
import io

import nbformat
import numpy as np
import pytest
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from tools import drawn_outputs as drawn
from tools import run_lesson
from tools.run_lesson import clean

SHOW = """
import os, sys
from pathlib import Path
from IPython.display import HTML, Image, display
assert "secret" not in os.environ.get("HF_TOKEN", "")
print(Path("going_modular").is_dir(), Path.cwd())
print("a warning", file=sys.stderr)
display(HTML("<p>a page</p>"))
"""


def png_of(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


@pytest.fixture
def noise():
    """A PNG, in base64, that no compression makes small."""
    return png_of(np.random.default_rng(0).integers(0, 255, (400, 400, 3), np.uint8))


def shown(png):
    data = {"image/png": png, "text/plain": "<Figure>"}
    return new_output("display_data", data)


def cell(name, source, *outputs, tags=("shows-photos",)):
    made = new_code_cell(source, outputs=list(outputs), metadata={"tags": list(tags)})
    made.id = name
    return made


@pytest.fixture
def lesson(noise):
    """A small lesson as it ran on photos: a picture, a page, a picture, and an end."""
    black = base64.b64decode(png_of(np.zeros((2, 2), np.uint8)))
    show = f"{SHOW}display(Image({black!r}))"
    page = new_output("display_data", {"text/html": "<iframe>"})
    say = "print('drawn practice pictures' * (os.environ['FOODVISION_DATA'] == ''))"
    found = new_output("stream", text="This run uses real photos.")
    return new_notebook(
        cells=[
            new_markdown_cell("# A lesson"),
            cell("find-pictures", f"import os\n{say}", found, tags=()),
            cell("look", show, shown(noise)),
            cell("page", "display(HTML('<iframe>'))", page),
            cell("again", show, shown(noise), page),
            cell("end", "raise SystemError('not to be run')", page),
        ]
    )


@pytest.mark.slow
def test_pictures_come_from_a_run_on_drawn_ones_and_photos_are_not_kept(
    lesson, monkeypatch
):
    def make_folder(course):
        (course / "going_modular").mkdir(parents=True)
        return course

    monkeypatch.setattr(drawn, "copy_course", make_folder)
    monkeypatch.setenv("HF_TOKEN", "secret")
    monkeypatch.setenv("FOODVISION_DATA", "photos.zip")
    before = nbformat.writes(lesson)
    outputs = drawn.drawn_outputs(lesson)
    assert nbformat.writes(lesson) == before
    assert list(outputs) == ["look", "again"]
    for text, picture in outputs.values():
        assert text.text.startswith("True") and "warning" not in text.text
        assert drawn.is_drawn(picture)
    kernel = {"name": "python3", "display_name": "Python 3"}
    lesson.metadata = {"kernelspec": kernel, "language_info": {}}
    for kept in (outputs, {}):
        clean(lesson, kept)
        nbformat.validate(lesson)
        with_outputs = [c.id for c in lesson.cells if c.get("outputs")]
        assert with_outputs == ["find-pictures", *kept]


def test_a_run_on_photos_or_without_pictures_is_refused(lesson, monkeypatch):
    def shows_none(book, until):
        book.cells[1].outputs[0].text = "drawn practice pictures"
        book.cells[2].outputs = []

    for run, told in ((lambda *_, **__: None, "not on drawn"), (shows_none, "look")):
        monkeypatch.setattr(drawn, "run_drawn", run)
        with pytest.raises(RuntimeError, match=told):
            drawn.drawn_outputs(lesson)


def test_drawn_pictures_are_marked_and_small(noise):
    """A photo is not taken for one of them."""
    assert not drawn.is_drawn(shown(noise))
    assert not drawn.is_drawn(new_output("stream", text="text"))
    [marked] = drawn.marked([shown(noise)])
    assert drawn.is_drawn(marked)
    small = marked.data["image/png"]
    assert len(base64.b64decode(small)) < drawn.MOST_BYTES < len(noise) * 3 / 4
    assert drawn.smaller(small) == small
    marked.data["text/html"] = "<img>"
    assert not drawn.is_drawn(marked)


def test_a_copy_holds_what_git_keeps_and_nothing_it_ignores(tmp_path):
    course = drawn.copy_course(tmp_path / "course")
    assert (course / "going_modular/files.py").is_file()
    assert not [name for name in (".venv", ".git", "build") if (course / name).exists()]


@pytest.mark.parametrize(
    ("found", "told"), [("real", "Nothing was renewed"), ("drawn", "FOODVISION_DATA")]
)
def test_a_refresh_writes_all_or_nothing_and_only_of_photos(
    found, told, lesson, monkeypatch
):
    written = []
    for name in ("renew_block", "atomic_write", "write_card", "save"):
        monkeypatch.setattr(run_lesson, name, lambda *_, **__: written.append("x"))

    def stops(book):
        raise CellExecutionError("", "NameError", "on drawn pictures")

    monkeypatch.setattr(run_lesson, "drawn_outputs", stops)
    lesson.cells[1].outputs[0].text = f"This run uses {found} photos."
    with pytest.raises(SystemExit, match=told):
        run_lesson.refresh(lesson)
    assert not written
