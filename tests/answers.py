"""A notebook's exercises, tried with the answers that are folded below them."""

import re
from textwrap import indent

import nbformat

DOTS = re.compile(r"(= |return )\.\.\.$", re.MULTILINE)
BLOCK = re.compile(r"(?s)<details><summary>Answer</summary>\n\n```python\n(.*?)```")


def cells_to_write(notebook: nbformat.NotebookNode) -> dict[str, str]:
    """Ids of the cells that the reader fills in, and the code of their answers."""
    found = {}
    for cell, after in zip(notebook.cells, notebook.cells[1:], strict=False):
        if {"your-turn", "exercise"} & set(cell.metadata.get("tags", [])):
            answer = BLOCK.search(after.source)
            assert answer, f"{cell.id} has no folded answer below it"
            found[cell.id] = answer[1].strip()
    return found


HEAR = """
import contextlib, io
with contextlib.redirect_stdout(io.StringIO()) as heard:
{}
assert heard.getvalue().startswith("Right."), heard.getvalue()
"""


def check_answers(notebook: nbformat.NotebookNode) -> None:
    """Run each cell to write as it is, then with its answer: that must be right."""
    answers = cells_to_write(notebook)
    for cell in notebook.cells:
        if cell.id in answers:
            paragraphs = re.split(r"\n{2,}", cell.source.strip())
            asked = [n for n, lines in enumerate(paragraphs) if DOTS.search(lines)]
            assert len(asked) == 1, f"{cell.id}: three dots in {len(asked)} places"
            paragraphs[asked[0]] = answers[cell.id]
            *above, check = paragraphs
            heard = HEAR.format(indent(check, "    "))
            cell.source = "\n\n".join([cell.source, *above, heard])
