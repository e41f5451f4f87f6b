"""A notebook alone in a folder, as in Colab: it fetches the course, works there."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from course_copy import LESSON, ROOT, copy_course
from nbformat.v4 import new_code_cell

from tools.course import offline_environment
from tools.kernel import client_for, connection, printed
from tools.publish import with_address

WHERE = "import going_modular, os; print(going_modular.__file__, os.getcwd(), sep='|')"
END = "checkpoint-0"


@pytest.fixture
def alone(tmp_path) -> Path:
    """An empty folder."""
    (tmp_path / "colab").mkdir()
    return tmp_path / "colab"


def find_course(folder, repo=""):
    """Run a companion's first code cell as a kernel in some folder would."""
    file = sorted((ROOT / "companions").glob("*.ipynb"))[0]
    cells = {cell.id: cell.source for cell in nbformat.read(file, as_version=4).cells}
    code = cells["open"].replace('COURSE_REPO = ""', f'COURSE_REPO = "{repo}"')
    command = [sys.executable, "-c", f"{code}\nprint(os.getcwd())"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


@pytest.mark.slow
def test_a_notebook_alone_fetches_the_course_once_and_works_in_it(alone, tmp_path):
    published = copy_course(tmp_path / "published", as_repository=True).as_uri()
    text = with_address((ROOT / LESSON).read_text("utf-8"), LESSON, published)
    book, clone = nbformat.reads(text, as_version=4), alone / "foodvision"
    end = next(n for n, cell in enumerate(book.cells) if cell.id == END) + 1
    book.cells[end:] = [new_code_cell(WHERE)]
    client_for(book, alone, connection(tmp_path)).execute(env=offline_environment())
    imported, worked_in = printed(book.cells[-1]).split("|")
    assert Path(imported).is_relative_to(clone) and Path(worked_in) == clone
    assert os.listdir(alone) == ["foodvision"]
    other = tmp_path / "other"
    other.mkdir()
    for _ in range(2):  # the second time it is there already
        done = find_course(other, published)
        assert done.stdout.strip() == str(other / "foodvision"), done.stderr


@pytest.mark.parametrize("start", [".", "companions", "demos/foodvision_mini"])
def test_a_companion_finds_the_course_around_it(start):
    assert find_course(ROOT / start).stdout.strip() == str(ROOT)


def test_a_companion_alone_says_what_to_do(alone):
    done = find_course(alone)
    assert done.returncode and "companions/" in done.stderr
    assert "Traceback" not in done.stderr and not list(alone.iterdir())
