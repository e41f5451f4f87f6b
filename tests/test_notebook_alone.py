"""A notebook alone in a folder, as in Colab: it fetches the course, works there."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from course_copy import LESSON, ROOT
from nbformat.v4 import new_code_cell

from tools.drawn_outputs import copy_course
from tools.kernel import client_for, connection, printed
from tools.publish import with_address

WHERE = (
    "import going_modular, os; print(going_modular.__file__, os.getcwd(), sep='\\n')"
)
END = "checkpoint-0"
LEFT_OUT = {"PYTHONPATH", "JPY_SESSION_NAME"}  # they lead to the course itself


@pytest.fixture
def published(tmp_path) -> Path:
    """The working tree, committed to a git repository of its own."""
    course = copy_course(tmp_path / "published")
    commands = ["init -q", "add .", "-c user.name=a -c user.email=a@b commit -qm a"]
    for command in commands:
        subprocess.run(["git", "-C", course, *command.split()], check=True)
    return course


def set_address(address: str, folder: Path) -> Path:
    """The lesson, copied and given an address."""
    text = (ROOT / LESSON).read_text("utf-8")
    folder.mkdir(exist_ok=True)
    (folder / LESSON).write_text(with_address(text, LESSON, address), "utf-8")
    return folder / LESSON


@pytest.mark.slow
def test_the_notebook_alone_works_in_the_course_that_it_fetches(published, tmp_path):
    alone, sockets = tmp_path / "colab", tmp_path / "sockets"
    sockets.mkdir()
    file = set_address(published.as_uri(), alone)
    book = nbformat.read(file, as_version=4)
    end = next(n for n, cell in enumerate(book.cells) if cell.id == END) + 1
    book.cells[end:] = [new_code_cell(WHERE)]
    env = {name: value for name, value in os.environ.items() if name not in LEFT_OUT}
    client = client_for(book, alone, connection(sockets))
    client.execute(env=env | {"FOODVISION_OFFLINE": "1", "FOODVISION_DATA": ""})
    clone = alone / "foodvision"
    imported, worked_in = printed(book.cells[-1]).splitlines()
    assert Path(imported).is_relative_to(clone) and Path(worked_in) == clone
    assert {file.name for file in alone.iterdir()} == {LESSON, "foodvision"}


@pytest.fixture
def find_course():
    """Runs a companion's first code cell as a kernel in some folder would."""
    file = sorted((ROOT / "companions").glob("*.ipynb"))[0]
    cells = {cell.id: cell.source for cell in nbformat.read(file, as_version=4).cells}

    def run(folder, repo=""):
        code = cells["open"].replace('COURSE_REPO = ""', f'COURSE_REPO = "{repo}"')
        command = [sys.executable, "-c", f"{code}\nprint(os.getcwd())"]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True)

    return run


@pytest.mark.parametrize("start", [".", "companions", "demos/foodvision_mini"])
def test_a_companion_finds_the_course_around_it(find_course, start):
    assert find_course(ROOT / start).stdout.strip() == str(ROOT)


def test_a_companion_alone_says_what_to_do(find_course, tmp_path):
    done = find_course(tmp_path)
    assert done.returncode and "companions/" in done.stderr
    assert "Traceback" not in done.stderr and not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_companion_alone_fetches_the_course_once(find_course, published, tmp_path):
    alone = tmp_path / "colab"
    alone.mkdir()
    for _ in range(2):  # the second time it is there already
        done = find_course(alone, published.as_uri())
        assert done.stdout.strip() == str(alone / "foodvision"), done.stderr
