"""Drawn pictures for the committed notebook, where cells show other people's photos.

The lesson runs a second time, on drawn practice pictures, in a copy of the course, as
far as such cells need it. Their outputs are marked: a test can tell them from photos.
"""

import base64
import copy
import io
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from nbformat import NotebookNode
from nbformat.v4 import new_output
from PIL import Image

from tools.course import copy_course, offline_environment
from tools.kernel import client_for, connection, printed

SHOWS_PHOTOS = "shows-photos"  # a tag: what such cells show of photos is not committed
PNG = "image/png"
MARK = {"drawn": True}  # the metadata of an output
MOST_BYTES = 200_000


def is_drawn(output: Mapping) -> bool:
    """Whether an output is a picture that this module has put there."""
    shown = set(output.get("data", {}))
    return output.get("metadata") == MARK and shown == {PNG, "text/plain"}


def drawn_outputs(notebook: NotebookNode) -> dict[str, list[NotebookNode]]:
    """Outputs with drawn pictures for cells whose outputs in `notebook` show photos.

    Args:
        notebook: The lesson as it ran on photos; only cells tagged `shows-photos` whose
            output is a PNG matter, and the last of them ends the second run.

    Returns:
        Outputs by the id of the cell; pages and other HTML have none.

    Raises:
        CellExecutionError: If a cell fails on them.
        RuntimeError: If a cell shows no picture then, or the run was not on drawn ones.
    """
    wanted = [cell.id for cell in notebook.cells if shows_png(cell)]
    if not wanted:
        return {}
    book = copy.deepcopy(notebook)
    run_drawn(book, until=wanted[-1])
    cells = {cell.id: cell for cell in book.cells}
    if "drawn practice pictures" not in printed(cells["find-pictures"]):
        raise RuntimeError("the second run was not on drawn pictures")
    if blank := [name for name in wanted if not shows_png(cells[name])]:
        raise RuntimeError(f"on drawn pictures these cells show none: {blank}")
    return {name: list(marked(cells[name].outputs)) for name in wanted}


def shows_png(cell: NotebookNode) -> bool:
    """Whether a cell is tagged as showing photos, and shows a picture."""
    tagged = SHOWS_PHOTOS in cell.metadata.get("tags", [])
    return tagged and any(PNG in out.get("data", {}) for out in cell.get("outputs", []))


def run_drawn(notebook: NotebookNode, *, until: str) -> None:
    """Run cells in place up to one, on drawn pictures, in a copy of the course."""
    with tempfile.TemporaryDirectory(prefix="drawn-") as home:
        course = copy_course(Path(home, "course"))
        client = client_for(notebook, course, connection(Path(home)))
        with client.setup_kernel(env=offline_environment()):
            for number, cell in enumerate(notebook.cells):
                client.execute_cell(cell, number)
                if cell.id == until:
                    break


def marked(outputs: Iterable[NotebookNode]) -> Iterable[NotebookNode]:
    """Pictures, small and marked as drawn, and what was printed beside them."""
    for output in outputs:
        data = output.get("data", {})
        if PNG in data:
            shown = {PNG: smaller(data[PNG]), "text/plain": data.get("text/plain", "")}
            yield new_output("display_data", shown, metadata=dict(MARK))
        elif output.get("name") == "stdout":
            yield output


def smaller(png: str) -> str:
    """A PNG with at most 256 colours if it is large, in base64 as it came."""
    content, file = base64.b64decode(png), io.BytesIO()
    if len(content) <= MOST_BYTES:
        return png
    picture = Image.open(io.BytesIO(content)).convert("RGBA")
    ground = Image.new("RGBA", picture.size, "white")
    flat = Image.alpha_composite(ground, picture).convert("RGB")
    flat.quantize(256).save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()
