"""The notebook alone in a folder, as in Colab: it fetches the course, works there."""

import os
import subprocess
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell

from tools.drawn_outputs import copy_course
from tools.kernel import client_for, connection, printed
from tools.publish import LESSON, with_address

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


@pytest.mark.slow
def test_the_notebook_alone_works_in_the_course_that_it_fetches(published, tmp_path):
    alone, sockets = tmp_path / "colab", tmp_path / "sockets"
    alone.mkdir()
    sockets.mkdir()
    book = nbformat.read(LESSON, as_version=4)
    with_address(book, published.as_uri())
    nbformat.write(book, alone / LESSON.name)
    end = next(n for n, cell in enumerate(book.cells) if cell.id == END) + 1
    book.cells[end:] = [new_code_cell(WHERE)]
    env = {name: value for name, value in os.environ.items() if name not in LEFT_OUT}
    client = client_for(book, alone, connection(sockets))
    client.execute(env=env | {"FOODVISION_OFFLINE": "1", "FOODVISION_DATA": ""})
    clone = alone / "foodvision"
    imported, worked_in = printed(book.cells[-1]).splitlines()
    assert Path(imported).is_relative_to(clone) and Path(worked_in) == clone
    assert {file.name for file in alone.iterdir()} == {LESSON.name, "foodvision"}
