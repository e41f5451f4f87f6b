"""Kernels that run the lesson's cells, and what the cells showed."""

import os
from pathlib import Path

from nbclient import NotebookClient
from nbformat import NotebookNode
from traitlets.config import Config

CELL_SECONDS = 900


def client_for(
    notebook: NotebookNode, folder: Path, reached: dict[str, str], **hooks
) -> NotebookClient:
    """What runs a notebook's cells in place, in a fresh kernel of this very Python.

    Args:
        notebook: The lesson.
        folder: Where the kernel starts.
        reached: How to reach the kernel, from `connection`.
        hooks: What `NotebookClient` is to call, such as `on_cell_executed`.
    """
    return NotebookClient(
        notebook,
        config=Config({"KernelManager": reached}),
        timeout=CELL_SECONDS,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        **hooks,
    )


def connection(folder: Path) -> dict[str, str]:
    """How to reach a kernel: by sockets in a folder of its own, so on no port.

    Where the folder is shared, two runs at once would take each other's sockets.
    """
    if os.name == "nt":
        return {"transport": "tcp"}
    return {"transport": "ipc", "ip": str(folder / "kernel")}


def printed(cell: NotebookNode) -> str:
    """What a cell showed, as plain text."""
    parts = []
    for output in cell.outputs:
        text = output.get("text") or output.get("data", {}).get("text/plain", "")
        parts.append(text.strip("\n"))
    return "\n".join(parts)
