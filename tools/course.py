"""The course as a folder of files, and kernels that run its notebooks."""

import os
import shutil
import sys
from pathlib import Path

from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec
from nbclient import NotebookClient
from nbformat import NotebookNode
from traitlets.config import Config

from going_modular.app_process import less_astray, run

ROOT = Path(__file__).resolve().parents[1]
LESSON = "09_pytorch_model_deployment.ipynb"
# For a run of the lesson elsewhere, on drawn pictures: what it is told, and what not.
OFFLINE = {"FOODVISION_DATA": "", "FOODVISION_BIG": "", "FOODVISION_OFFLINE": "1"}
LEFT_OUT = {"JPY_SESSION_NAME", "PYTHONPATH", "HF_TOKEN", "FOODVISION_SPACE"}
CELL_SECONDS = 900
LONGEST = 100  # bytes of a socket's path: systems allow 103 or 107 with its number


def offline_environment() -> dict[str, str]:
    """An environment for the lesson on drawn pictures, in another folder."""
    kept = {name: text for name, text in less_astray().items() if name not in LEFT_OUT}
    return kept | OFFLINE


def copy_course(folder: Path) -> Path:
    """Copy the working tree without what git ignores."""
    known = ("ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in filter(None, run("git", "-C", ROOT, *known).split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    return folder


class OwnKernel(AsyncKernelManager):
    """Starts kernels of this very Python, whichever one `python3` is elsewhere.

    Nothing of the reader's own Jupyter and IPython is read or written.
    """

    @property
    def kernel_spec(self) -> KernelSpec:
        command = [sys.executable, "-m", "ipykernel_launcher", "-f"]
        return KernelSpec(argv=[*command, "{connection_file}"], language="python")

    async def start_kernel(self, **options) -> None:
        env = less_astray(options.pop("env", os.environ))
        env["IPYTHONDIR"] = str(Path(self.connection_file).with_name("ipython"))
        await super().start_kernel(env=env, **options)


def client_for(
    notebook: NotebookNode, folder: Path, scratch: Path, **options
) -> NotebookClient:
    """What runs a notebook's cells in place, in a fresh kernel of this very Python.

    The kernel starts in `folder`; `scratch` is a folder of its own: two runs in one
    would take each other's sockets. `options` are as for `NotebookClient`.
    """
    reached = {"connection_file": str(scratch / "kernel.json")}
    sockets = scratch / "kernel"  # elsewhere, or if the path is too long: local ports
    if os.name != "nt" and len(os.fsencode(sockets)) <= LONGEST:
        reached |= {"transport": "ipc", "ip": str(sockets)}
    return NotebookClient(
        notebook,
        config=Config({"KernelManager": reached}),
        kernel_manager_class=OwnKernel,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        **{"timeout": CELL_SECONDS, "coalesce_streams": True} | options,
    )


def printed(cell: NotebookNode) -> str:
    """What a cell showed, as plain text."""
    texts = (
        output.get("text") or output.get("data", {}).get("text/plain", "")
        for output in cell.outputs
    )
    return "\n".join(text.strip("\n") for text in texts)


def shown_by(notebook: NotebookNode, name: str) -> str:
    """What a cell showed, as plain text, by the cell's id."""
    return printed(next(cell for cell in notebook.cells if cell.id == name))
