"""Run the lesson, or its companions, from top to bottom and show how far it is.

Executed copies go to build/. With --refresh, what is committed is renewed as well: the
notebooks' outputs, the README's results, the model, and its card. Where cells show
other people's photos, drawn pictures stand in the committed notebook: of a second run,
in a copy of the course, as far as such cells need it. Their outputs are marked, so that
a test can tell them from photos.
"""

import argparse
import copy
import io
import os
import re
import sys
import tempfile
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from pathlib import Path

import nbformat
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from nbformat.v4 import new_output
from PIL import Image

from going_modular.files import atomic_write
from tools import course
from tools.course import ROOT, client_for, copy_course, shown_by
from tools.model_card import MODEL, write_card
from tools.readme_block import renew_block

LESSON = ROOT / course.LESSON
DEMO_MODEL = ROOT / "demos" / "foodvision_mini" / MODEL.name
CODE_BLOCK = re.compile(r"```.*?```", re.DOTALL)
SHOWS_PHOTOS = "shows-photos"  # a tag: what such cells show of photos is not committed
PNG = "image/png"
MARK = {"drawn": True}  # the metadata of an output
RESULT_CELLS = ("device", "reports", "precision-table", "goals")
REAL, DRAWN = "real photos", "drawn practice pictures"  # says the cell that finds them


def run(notebook: NotebookNode, folder: Path, env: Mapping = os.environ) -> None:
    """Execute all cells in place, in a fresh kernel that starts in a folder.

    Prints each heading as its cells begin, with the seconds until then.
    """
    began = time.monotonic()

    def tell(cell: NotebookNode, cell_index: int) -> None:
        if cell.cell_type == "markdown":
            text = CODE_BLOCK.sub("", cell.source)
            for heading in re.findall(r"^#+ (.*)", text, re.MULTILINE):
                print(f"{time.monotonic() - began:6.0f} s  {heading}", flush=True)

    with tempfile.TemporaryDirectory(prefix="lesson-") as scratch:
        client_for(notebook, folder, Path(scratch), on_cell_start=tell).execute(env=env)


def save(notebook: NotebookNode, file: Path) -> None:
    """Write a notebook, all or nothing."""
    with atomic_write(file) as part:
        part.write_text(nbformat.writes(notebook) + "\n", "utf-8")


def run_file(file: Path) -> NotebookNode | None:
    """Run a notebook and keep the executed copy; None if it stopped."""
    notebook = nbformat.read(file, as_version=4)
    try:
        run(notebook, file.parent)
    except CellExecutionError as error:
        print(f"{error}\nIt stopped. See build/{file.name}.", file=sys.stderr)
        return None
    finally:
        save(notebook, ROOT / "build" / file.name)
    print(f"Done. The executed notebook: build/{file.name}")
    return notebook


def run_companions(*, renew: bool) -> bool:
    """Run all companions. Returns whether all came to their end.

    With `renew` their outputs are committed: then they run in a copy of the course, in
    which no run of the reader's own has left a model.
    """
    ended = True
    with tempfile.TemporaryDirectory(prefix="companions-") as home:
        folder = copy_course(Path(home)) if renew else ROOT
        for file in sorted(ROOT.glob("companions/*.ipynb")):
            print(f"\n{file.name}", flush=True)
            done = run_file(folder / "companions" / file.name)
            ended = ended and done is not None
            if done and renew:
                clean(done, {})
                save(done, file)
    return ended


def refresh(notebook: NotebookNode) -> None:
    """Renew what is committed, from the lesson as it ran on real photos."""
    if REAL not in shown_by(notebook, "find-pictures"):
        sys.exit(f"Only a run on {REAL} is committed: set FOODVISION_DATA to them.")
    print("Once more, on drawn pictures, for the cells that show photos.", flush=True)
    drawn = drawn_outputs(notebook)
    results = "\n\n".join(shown_by(notebook, name) for name in RESULT_CELLS)
    renew_block("results", f"```text\n{results}\n```")
    with atomic_write(MODEL) as part:
        part.write_bytes(DEMO_MODEL.read_bytes())
    write_card()
    clean(notebook, drawn)
    save(notebook, LESSON)


def clean(notebook: NotebookNode, drawn: Mapping[str, list[NotebookNode]]) -> None:
    """Leave only what belongs in the committed file, in place.

    `drawn` has outputs by the id of a cell, in place of those that show photos.
    """
    kernel, language = notebook.metadata["kernelspec"], {"name": "python"}
    notebook.metadata = {"kernelspec": kernel, "language_info": language}
    for cell in notebook.cells:
        ours = {"mystnb", "tags"} & {*cell.metadata}  # the first: a picture's alt text
        cell.metadata = {name: cell.metadata[name] for name in sorted(ours)}
        if SHOWS_PHOTOS in cell.metadata.get("tags", []):
            cell.outputs = drawn.get(cell.id, [])
        for output in cell.get("outputs", []):
            # Tables and sources are kept as text and as HTML, which is what is shown.
            output.get("data", {}).pop("text/latex", None)


def drawn_outputs(notebook: NotebookNode) -> dict[str, list[NotebookNode]]:
    """Outputs by the id of a cell, for cells whose PNGs in `notebook` show photos."""
    wanted = [
        number
        for number, cell in enumerate(notebook.cells)
        if SHOWS_PHOTOS in cell.metadata.get("tags", [])
        and any(PNG in output.get("data", {}) for output in cell.get("outputs", []))
    ]
    book = copy.deepcopy(notebook)
    book.cells = book.cells[: max(wanted) + 1]
    with tempfile.TemporaryDirectory(prefix="drawn-") as home:
        run(book, copy_course(Path(home, "course")), course.offline_environment())
    if DRAWN not in shown_by(book, "find-pictures"):
        sys.exit("The second run was not on drawn pictures. Nothing was renewed.")
    return {book.cells[n].id: list(marked(book.cells[n])) for n in wanted}


def marked(cell: NotebookNode) -> Iterator[NotebookNode]:
    """A cell's pictures, small and marked as drawn, and what it printed beside them."""
    for output in cell.outputs:
        if PNG in (data := output.get("data", {})):
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


def main() -> None:
    """Read the command line and run; exits with 1 if a notebook stopped."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--companions", action="store_true", help="run those instead")
    parser.add_argument("--refresh", action="store_true", help="commit all results")
    args = parser.parse_args()
    if not args.companions:
        if (done := run_file(LESSON)) is None:
            sys.exit(1)
        if args.refresh:
            refresh(done)
        print(shown_by(done, "ship"), shown_by(done, "goals"), sep="\n")
        print("Open the app:  make demo   (or: python -m tools.serve_demo)")
    if args.companions or args.refresh:
        sys.exit(not run_companions(renew=args.refresh))


if __name__ == "__main__":
    main()
