"""Run the lesson, or its companions, from top to bottom and show how far it is.

Executed copies go to build/. With --refresh, what is committed is renewed as well: the
notebooks' outputs, the README's results, the model, and its card. What cells show of
photos is replaced by drawn pictures, from a second run.
"""

import argparse
import os
import re
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import nbformat
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

from tools import course
from tools.course import ROOT, client_for, copy_course, shown_by
from tools.refresh import clean, refresh, save

LESSON = ROOT / course.LESSON
CODE_BLOCK = re.compile(r"```.*?```", re.DOTALL)
SLOW = 5  # seconds; a cell that takes as long is named


def run(
    notebook: NotebookNode, folder: Path, env: Mapping[str, str] = os.environ
) -> None:
    """Execute all cells in place, in a fresh kernel that starts in a folder.

    Prints a line for each section and each slow cell, as they happen.
    """
    began = started = time.monotonic()

    def before(cell: NotebookNode, cell_index: int) -> None:
        nonlocal started
        started = time.monotonic()
        if cell.cell_type == "markdown":
            text = CODE_BLOCK.sub("", cell.source)
            for heading in re.findall(r"^#+ (.*)", text, re.MULTILINE):
                print(f"{started - began:6.0f} s  {heading}", flush=True)

    def after(cell: NotebookNode, cell_index: int, **_) -> None:
        if (seconds := time.monotonic() - started) >= SLOW:
            first_line = cell.source.strip().splitlines()[0]
            print(f"          {seconds:.0f} s in: {first_line[:60]}", flush=True)

    told = {"on_cell_start": before, "on_cell_executed": after}
    with tempfile.TemporaryDirectory(prefix="lesson-") as scratch:
        client_for(notebook, folder, Path(scratch), **told).execute(env=env)


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
            refresh(done, run)
        print(shown_by(done, "ship"), shown_by(done, "goals"), sep="\n")
        print("Open the app:  make demo   (or: python -m tools.serve_demo)")
    if args.companions or args.refresh:
        sys.exit(not run_companions(renew=args.refresh))


if __name__ == "__main__":
    main()
