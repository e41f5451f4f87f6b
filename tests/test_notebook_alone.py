"""A notebook alone in a folder, as in Colab: it fetches the course, works there."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from course_copy import LESSON, ROOT, copy_course
from nbformat.v4 import new_code_cell

from tools.course import client_for, offline_environment, shown_by
from tools.publish import with_address

COMPANION = "companions/1_how_sure_is_a_number.ipynb"
WHERE = "import going_modular, os; print(going_modular.__file__, os.getcwd(), sep=',')"
END = "checkpoint-0"


@pytest.fixture
def published(tmp_path) -> str:
    """The address of the working tree, committed to a git repository of its own."""
    return copy_course(tmp_path / "published", as_repository=True).as_uri()


@pytest.fixture
def alone(tmp_path) -> Path:
    """An empty folder."""
    (tmp_path / "colab").mkdir()
    return tmp_path / "colab"


@pytest.mark.slow
def test_the_notebook_alone_works_in_the_course_that_it_fetches(
    published, alone, tmp_path
):
    text = with_address((ROOT / LESSON).read_text("utf-8"), LESSON, published)
    book = nbformat.reads(text, as_version=4)
    end = next(n for n, cell in enumerate(book.cells) if cell.id == END) + 1
    book.cells[end:] = [new_code_cell(WHERE, id="where")]
    client_for(book, alone, tmp_path).execute(env=offline_environment())
    imported, worked_in = map(Path, shown_by(book, "where").split(","))
    assert imported.is_relative_to(worked_in) and worked_in == alone / "foodvision"
    assert os.listdir(alone) == ["foodvision"]


def find_course(folder, book=LESSON, repo="", **variables):
    """Run a notebook's first code cell as a kernel in some folder would."""
    cells = nbformat.read(ROOT / book, as_version=4).cells
    source = next(cell.source for cell in cells if cell.cell_type == "code")
    code = source.replace('COURSE_REPO = ""', f'COURSE_REPO = "{repo}"')
    return subprocess.run(
        [sys.executable, "-c", f"{code}\nprint(os.getcwd())"],
        cwd=folder,
        env=os.environ | {"JPY_SESSION_NAME": ""} | variables,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("start", [".", "companions", "demos/foodvision_mini"])
@pytest.mark.parametrize("book", [LESSON, COMPANION])
def test_a_notebook_finds_the_course_around_it(book, start):
    assert find_course(ROOT / start, book).stdout.strip() == str(ROOT)


def test_the_course_is_found_when_jupyter_was_started_elsewhere(alone):
    done = find_course(alone, JPY_SESSION_NAME=str(ROOT / LESSON))
    assert done.stdout.strip() == str(ROOT)


@pytest.mark.parametrize("book", [LESSON, COMPANION])
def test_a_notebook_alone_says_what_to_do(book, alone):
    done = find_course(alone, book)
    assert done.returncode and "Open this notebook inside the course" in done.stderr
    assert "Traceback" not in done.stderr and not list(alone.iterdir())


@pytest.mark.slow
def test_a_notebook_alone_fetches_the_course_once(published, alone):
    for book in (LESSON, COMPANION):  # the second time it is there already
        done = find_course(alone, book, published)
        assert done.stdout.strip() == str(alone / "foodvision"), done.stderr
