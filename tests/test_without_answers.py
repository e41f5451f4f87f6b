"""Handing the lesson out: the answers are gone, all else is there."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tools import without_answers
from tools.without_answers import LESSON, main

TEXT = "Try it."
SOLUTION = "<details><summary>Answer</summary>\n\n```python\nx = 1\n```\n\n</details>"
QUESTION = "<details><summary>Why does this answer?</summary>\n\nSo.\n\n</details>"


@pytest.fixture
def lesson(tmp_path, monkeypatch):
    """A small lesson with two answers and a question."""
    cells = [
        new_code_cell("x = ...", id="your-turn"),
        new_markdown_cell(SOLUTION, id="answer"),
        new_markdown_cell(f"{TEXT}\n\n{SOLUTION}\n\n{QUESTION}", id="more"),
        new_code_cell("", id="empty"),
    ]
    file = tmp_path / "lesson.ipynb"
    nbformat.write(new_notebook(cells=cells), file)
    monkeypatch.setattr(without_answers, "LESSON", file)
    return file


def test_answers_go_and_questions_stay(lesson, capsys):
    out = lesson.with_name("handout.ipynb")
    main([str(out)])
    cells = {cell.id: cell.source for cell in nbformat.read(out, as_version=4).cells}
    more = f"{TEXT}\n\n{QUESTION}"
    assert cells == {"your-turn": "x = ...", "more": more, "empty": ""}
    assert "without 2 answers" in capsys.readouterr().out


def test_the_lesson_itself_is_never_replaced(lesson):
    before = lesson.read_bytes()
    with pytest.raises(SystemExit, match="is the lesson itself"):
        main([str(lesson)])
    assert lesson.read_bytes() == before


def test_a_lesson_without_answers_is_told(lesson):
    nbformat.write(new_notebook(), lesson)
    out = lesson.with_name("handout.ipynb")
    with pytest.raises(SystemExit, match="holds no folded answer"):
        main([str(out)])
    assert not out.exists()


def test_every_cell_to_write_in_the_real_lesson_loses_its_answer():
    notebook = nbformat.read(LESSON, as_version=4)
    tags = [tag for cell in notebook.cells for tag in cell.metadata.get("tags", [])]
    to_write = tags.count("your-turn") + tags.count("exercise")
    assert without_answers.without_answers(notebook) == to_write
    assert not any("<summary>Answer" in cell.source for cell in notebook.cells)
