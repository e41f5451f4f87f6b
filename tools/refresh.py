"""What is committed of a run: outputs, the README's results, the model, and its card.

Where cells show other people's photos, drawn pictures stand in the committed notebook:
of a second run, in a copy of the course, as far as such cells need it. Their outputs
are marked, so that a test can tell them from photos.
"""

import copy
import io
import sys
import tempfile
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_output
from PIL import Image

from going_modular.files import atomic_write
from tools.course import LESSON, ROOT, copy_course, offline_environment, shown_by
from tools.model_card import MODEL, write_card
from tools.readme_block import renew_block

SHOWS_PHOTOS = "shows-photos"  # a tag: what such cells show of photos is not committed
PNG = "image/png"
MARK = {"drawn": True}  # the metadata of an output
RESULT_CELLS = ("device", "reports", "precision-table", "goals")
DEMO_MODEL = ROOT / "demos" / "foodvision_mini" / MODEL.name
REAL, DRAWN = "real photos", "drawn practice pictures"  # says the cell that finds them
Run = Callable[..., None]  # executes a notebook in place: of it, a folder, environment


def save(notebook: NotebookNode, file: Path) -> None:
    """Write a notebook, all or nothing."""
    with atomic_write(file) as part:
        part.write_text(nbformat.writes(notebook) + "\n", "utf-8")


def refresh(notebook: NotebookNode, run: Run) -> None:
    """Renew what is committed, from the lesson as it ran on real photos."""
    if REAL not in shown_by(notebook, "find-pictures"):
        sys.exit(f"Only a run on {REAL} is committed: set FOODVISION_DATA to them.")
    print("Once more, on drawn pictures, for the cells that show photos.", flush=True)
    drawn = drawn_outputs(notebook, run)
    results = "\n\n".join(shown_by(notebook, name) for name in RESULT_CELLS)
    renew_block("results", f"```text\n{results}\n```")
    with atomic_write(MODEL) as part:
        part.write_bytes(DEMO_MODEL.read_bytes())
    write_card()
    clean(notebook, drawn)
    save(notebook, ROOT / LESSON)


def clean(notebook: NotebookNode, drawn: Mapping[str, list[NotebookNode]]) -> None:
    """Leave only what belongs in the committed file, in place.

    `drawn` has outputs by the id of a cell, in place of those that show photos.
    """
    kernel, language = notebook.metadata["kernelspec"], {"name": "python"}
    notebook.metadata = {"kernelspec": kernel, "language_info": language}
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        cell.metadata = {"tags": tags} if tags else {}
        if SHOWS_PHOTOS in tags:
            cell.outputs = drawn.get(cell.id, [])
        for output in cell.get("outputs", []):
            # Tables and sources are kept as text and as HTML, which is what is shown.
            output.get("data", {}).pop("text/latex", None)


def drawn_outputs(notebook: NotebookNode, run: Run) -> dict[str, list[NotebookNode]]:
    """Outputs by the id of a cell, for cells whose PNGs in `notebook` show photos."""
    wanted = [
        number
        for number, cell in enumerate(notebook.cells)
        if SHOWS_PHOTOS in cell.metadata.get("tags", [])
        and any(PNG in output.get("data", {}) for output in cell.get("outputs", []))
    ]
    if not wanted:
        return {}
    book = copy.deepcopy(notebook)
    book.cells = book.cells[: wanted[-1] + 1]
    with tempfile.TemporaryDirectory(prefix="drawn-") as home:
        run(book, copy_course(Path(home, "course")), offline_environment())
    if DRAWN not in shown_by(book, "find-pictures"):
        sys.exit("The second run was not on drawn pictures. Nothing was renewed.")
    return {book.cells[n].id: list(marked(book.cells[n])) for n in wanted}


def marked(cell: NotebookNode) -> Iterator[NotebookNode]:
    """A cell's pictures, small and marked as drawn, and what it printed beside them."""
    for output in cell.outputs:
        data = output.get("data", {})
        if PNG in data:
            file, picture = io.BytesIO(), Image.open(io.BytesIO(b64decode(data[PNG])))
            picture.convert("RGB").quantize(256).save(file, "PNG", optimize=True)
            png = b64encode(file.getvalue()).decode()
            shown = {PNG: png, "text/plain": data.get("text/plain", "")}
            yield new_output("display_data", shown, metadata=dict(MARK))
        elif output.get("name") == "stdout":
            yield output


def is_drawn(output: Mapping) -> bool:
    """Whether an output is a picture that this module has put there."""
    shown = set(output.get("data", {}))
    return output.get("metadata") == MARK and shown == {PNG, "text/plain"}
