"""Write the lesson without the answers that are folded under its cells, to hand out.

    python -m tools.without_answers build/handout.ipynb

The checks stay, and say "Not yet" until a cell is solved. The notebook finds the course
from any folder inside it.
"""

import argparse
import re
import sys
from pathlib import Path

import nbformat

from going_modular.files import LessonError, atomic_write

LESSON = Path(__file__).resolve().parents[1] / "09_pytorch_model_deployment.ipynb"
FOLDED = re.compile(
    r"<details\b[^>]*>\s*<summary\b[^>]*>(?P<summary>.*?)</summary>.*?</details>\n*",
    re.DOTALL,
)
ANSWER = "Answer"  # in the summary; the folded replies to questions have the question


def without_answers(notebook: nbformat.NotebookNode) -> int:
    """Take the answers out of a notebook, and cells that held nothing else.

    Returns:
        How many there were.
    """
    removed = 0

    def kept(folded: re.Match) -> str:
        nonlocal removed
        if ANSWER not in folded["summary"]:
            return folded[0]
        removed += 1
        return ""

    for cell in notebook.cells:
        if cell.cell_type == "markdown" and FOLDED.search(cell.source):
            cell.source = FOLDED.sub(kept, cell.source).strip()
    notebook.cells = [c for c in notebook.cells if c.source or c.cell_type == "code"]
    return removed


def write(lesson: Path, out: Path) -> int:
    """Write a copy of a lesson without its answers, whole or not at all.

    Returns:
        How many answers were left out.

    Raises:
        LessonError: If it would replace the lesson, or there is no answer in it.
        FileError: If the copy cannot be written.
    """
    if out.resolve() == lesson.resolve():
        raise LessonError(f"{out} is the lesson itself. Give the copy another name.")
    notebook = nbformat.read(lesson, as_version=4)
    removed = without_answers(notebook)
    if not removed:
        raise LessonError(f"{lesson} holds no folded answer. Nothing was written.")
    with atomic_write(out) as part:
        part.write_text(nbformat.writes(notebook) + "\n", "utf-8")
    return removed


def main(arguments: list[str] | None = None) -> None:
    """Read the command line, write the copy, say what was left out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="the notebook to write: OUT.ipynb")
    out = parser.parse_args(arguments).out
    try:
        removed = write(LESSON, out)
    except LessonError as error:
        sys.exit(str(error))
    print(f"{out}: the lesson without {removed} answers")


if __name__ == "__main__":
    main()
