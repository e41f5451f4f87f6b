"""Kernels that run the lesson's cells, and what the cells showed."""

import os
import sys
from pathlib import Path

from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec
from nbclient import NotebookClient
from nbformat import NotebookNode
from traitlets.config import Config

from going_modular.app_process import less_astray

CELL_SECONDS = 900
LONGEST = 100  # bytes of a socket's path: systems allow 103 or 107 with its number


class OwnKernel(AsyncKernelManager):
    """Starts kernels of this very Python, whichever one `python3` is elsewhere.

    Nothing of the reader's own Jupyter and IPython is read or written.
    """

    @property
    def kernel_spec(self) -> KernelSpec:
        """How this Python starts a kernel, in place of what is installed."""
        command = [sys.executable, "-m", "ipykernel_launcher", "-f"]
        return KernelSpec(argv=[*command, "{connection_file}"], language="python")

    async def start_kernel(self, **options) -> None:
        """Start one in an environment that does not lead it astray."""
        env = less_astray(options.pop("env", os.environ))
        env["IPYTHONDIR"] = str(Path(self.connection_file).with_name("ipython"))
        await super().start_kernel(env=env, **options)


def client_for(
    notebook: NotebookNode,
    folder: Path,
    reached: dict[str, str],
    *,
    timeout: int = CELL_SECONDS,
    **hooks,
) -> NotebookClient:
    """What runs a notebook's cells in place, in a fresh kernel of this very Python.

    Args:
        notebook: The lesson.
        folder: Where the kernel starts.
        reached: How to reach the kernel, from `connection`.
        timeout: Seconds for a cell.
        hooks: What `NotebookClient` is to call, such as `on_cell_executed`.
    """
    return NotebookClient(
        notebook,
        config=Config({"KernelManager": reached}),
        timeout=timeout,
        kernel_manager_class=OwnKernel,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        **hooks,
    )


def connection(folder: Path) -> dict[str, str]:
    """How to reach a kernel: by sockets in a folder of its own, so on no port.

    Where the folder is shared, two runs at once would take each other's sockets. Where
    there are none, or their paths would be too long, by ports of this machine.
    """
    file, sockets = {"connection_file": str(folder / "kernel.json")}, folder / "kernel"
    if os.name == "nt" or len(os.fsencode(sockets)) > LONGEST:
        return file | {"transport": "tcp", "ip": "127.0.0.1"}
    return file | {"transport": "ipc", "ip": str(sockets)}


def printed(cell: NotebookNode) -> str:
    """What a cell showed, as plain text."""
    texts = (
        output.get("text") or output.get("data", {}).get("text/plain", "")
        for output in cell.outputs
    )
    return "\n".join(text.strip("\n") for text in texts)
