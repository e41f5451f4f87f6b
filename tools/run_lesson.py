"""Run the lesson, or its companions, from top to bottom and show how far it is.

Executed copies go to build/. With --refresh, what is committed is renewed as well: the
notebooks' outputs, the README's results, the model, and its card. What cells show of
photos is replaced by drawn pictures, from a second run.
"""

import argparse
import re
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient.exceptions import CellExecutionError

from going_modular.files import atomic_write
from tools import course
from tools.course import ROOT, copy_course
from tools.drawn_outputs import SHOWS_PHOTOS, drawn_outputs
from tools.kernel import client_for, connection, printed
from tools.model_card import write_card
from tools.readme_block import renew_block

LESSON = ROOT / course.LESSON
COMPANIONS = ROOT / "companions"
BUILD = ROOT / "build"
CODE_BLOCK = re.compile(r"```.*?```", re.DOTALL)
RESULT_CELLS = ("device", "reports", "precision-table", "goals")
DEMO_MODEL = ROOT / "demos" / "foodvision_mini" / "foodvision_mini.onnx"
COMMITTED_MODEL = ROOT / "models" / "foodvision_mini.onnx"
REAL = "real photos"
SLOW = 5  # seconds; a cell that takes as long is named


def run(notebook: nbformat.NotebookNode, folder: Path = ROOT) -> None:
    """Execute all cells in place, in a fresh kernel that starts in a folder.

    Prints a line for each section and each slow cell, as they happen.
    """
    began = started = time.monotonic()

    def before(cell: nbformat.NotebookNode, cell_index: int) -> None:
        """Announce the headings passed since the last code cell."""
        nonlocal started
        started, above = time.monotonic(), []
        for other in reversed(notebook.cells[:cell_index]):
            if other.cell_type != "markdown":
                break
            above.insert(0, CODE_BLOCK.sub("", other.source))
        for heading in re.findall(r"^#+ (.*)", "\n".join(above), re.MULTILINE):
            print(f"{started - began:6.0f} s  {heading}", flush=True)

    def after(cell: nbformat.NotebookNode, cell_index: int, **_) -> None:
        """Name a cell that took long, so that a wait has a reason."""
        if (seconds := time.monotonic() - started) >= SLOW:
            first_line = cell.source.strip().splitlines()[0]
            print(f"          {seconds:.0f} s in: {first_line[:60]}", flush=True)

    told = {"on_cell_execute": before, "on_cell_executed": after}
    with tempfile.TemporaryDirectory(prefix="lesson-") as sockets:
        client_for(notebook, folder, connection(Path(sockets)), **told).execute()


def save(notebook: nbformat.NotebookNode, file: Path) -> None:
    """Write a notebook, all or nothing."""
    with atomic_write(file) as part:
        part.write_text(nbformat.writes(notebook) + "\n", "utf-8")


def clean(
    notebook: nbformat.NotebookNode, drawn: dict[str, list[nbformat.NotebookNode]]
) -> None:
    """Leave only what belongs in the committed file, in place.

    Args:
        notebook: The lesson.
        drawn: Outputs by the id of a cell, in place of those that show photos.
    """
    language = {"name": "python"}
    kernel = notebook.metadata["kernelspec"]
    notebook.metadata = {"kernelspec": kernel, "language_info": language}
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        cell.metadata = {"tags": tags} if tags else {}
        if SHOWS_PHOTOS in tags:
            cell.outputs = drawn.get(cell.id, [])
        for output in cell.get("outputs", []):
            # Tables and sources are kept as text and as HTML, which is what is shown.
            output.get("data", {}).pop("text/latex", None)


def refresh(notebook: nbformat.NotebookNode) -> None:
    """Renew what is committed, from a run of the lesson on real photos."""
    cells = {cell.id: cell for cell in notebook.cells}
    if REAL not in printed(cells["find-pictures"]):
        sys.exit(f"Only a run on {REAL} is committed: set FOODVISION_DATA to them.")
    print("Once more, on drawn pictures, for the cells that show photos.", flush=True)
    try:
        drawn = drawn_outputs(notebook)
    except CellExecutionError as error:
        sys.exit(f"{error}\nThat was on drawn pictures. Nothing was renewed.")
    results = "\n\n".join(printed(cells[name]) for name in RESULT_CELLS)
    renew_block("results", f"```text\n{results}\n```")
    with atomic_write(COMMITTED_MODEL) as part:
        part.write_bytes(DEMO_MODEL.read_bytes())
    write_card()
    clean(notebook, drawn)
    save(notebook, LESSON)


def run_file(file: Path) -> nbformat.NotebookNode | None:
    """Run a notebook and keep the executed copy; None if it stopped."""
    notebook, executed = nbformat.read(file, as_version=4), BUILD / file.name
    try:
        run(notebook, file.parent)
    except CellExecutionError as error:
        print(f"{error}\nIt stopped. See build/{file.name}.", file=sys.stderr)
        return None
    finally:
        save(notebook, executed)
    print(f"Done. The executed notebook: build/{file.name}")
    return notebook


def run_lesson(*, renew: bool) -> bool:
    """Run the lesson; with `renew`, commit its results. Returns whether it ended."""
    if (done := run_file(LESSON)) is None:
        return False
    if renew:
        refresh(done)
    for cell_id in ("ship", "goals"):
        print(printed(next(cell for cell in done.cells if cell.id == cell_id)))
    print("Open the app:  make demo   (or: python -m tools.serve_demo)")
    return True


def run_companions(*, renew: bool) -> bool:
    """Run all companions. Returns whether all came to their end.

    With `renew` their outputs are committed: then they run in a copy of the course, in
    which no run of the reader's own has left a model.
    """
    ended = True
    with tempfile.TemporaryDirectory(prefix="companions-") as home:
        folder = copy_course(Path(home)) / COMPANIONS.name if renew else COMPANIONS
        for file in sorted(COMPANIONS.glob("*.ipynb")):
            print(f"\n{file.name}", flush=True)
            done = run_file(folder / file.name)
            ended = ended and done is not None
            if done and renew:
                clean(done, {})
                save(done, file)
    return ended


def main() -> int:
    """Read the command line and run; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--companions", action="store_true", help="run those instead")
    parser.add_argument("--refresh", action="store_true", help="commit all results")
    args = parser.parse_args()
    ended = args.companions or run_lesson(renew=args.refresh)
    if ended and (args.companions or args.refresh):
        ended = run_companions(renew=args.refresh)
    return not ended


if __name__ == "__main__":
    sys.exit(main())
