"""What a notebook needs: versions, seeds, a device, sources and pages to look at.

PyTorch is imported where it is used: the first function here is for finding out that it
is missing.
"""

import importlib.metadata
import inspect
import random
import sys
from pathlib import Path
from urllib.parse import urlsplit

from IPython.display import Code, IFrame, display
from packaging.requirements import Requirement

from going_modular.app.surroundings import prepare


def outdated(requirements: Path) -> list[str]:
    """A line for each package of a requirements file that is missing or does not fit.

    Versions are compared as versions: 2.10 is newer than 2.9.
    """
    complaints = []
    for line in requirements.read_text(encoding="utf-8").splitlines():
        if not (wanted := line.partition("#")[0].strip()):
            continue
        requirement = Requirement(wanted)
        try:
            found = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            complaints.append(f"{requirement.name} is missing (wanted: {wanted})")
        else:
            if not requirement.specifier.contains(found, prereleases=True):
                complaints.append(f"{requirement.name} is {found} (wanted: {wanted})")
    return complaints


def check_packages(requirements: Path = Path("requirements.txt")) -> None:
    """Stop with the command that helps if a package is missing or too old.

    If all is well, this notebook's Gradio gets a folder of its own (`surroundings`).

    Raises:
        SystemExit: With what to do.
    """
    if sys.version_info < (3, 11):  # noqa: UP036 - a notebook is opened by older ones
        raise SystemExit(f"Python 3.11 or newer is needed; this is {sys.version}")
    if complaints := outdated(requirements):
        print(*complaints, sep="\n")
        then = "this one again"
        if any(" is missing (" not in complaint for complaint in complaints):
            then = "restart the kernel (in Colab: the session), and begin again"
        raise SystemExit(
            f"Run  %pip install -r {requirements}  in a cell of its own, then {then}."
        )
    prepare()
    print("Every package is here, and new enough.")


def set_seeds(seed: int = 42) -> None:
    """Seed Python, NumPy and PyTorch (every device)."""
    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def pick_device() -> str:
    """The fastest device PyTorch finds: "cuda", "mps" or "cpu"."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def show_source(thing) -> Code:
    """A function's or class's own source, for reading in the notebook."""
    return Code(inspect.getsource(thing), language="python")


def show_page(url: str, *, width: int = 400, height: int = 760) -> None:
    """Show a page that this computer serves under the cell that runs, sizes in pixels.

    Colab's notebook runs in another computer's browser, so Colab brings it there.
    """
    if "google.colab" in sys.modules:
        from google.colab import output

        port = urlsplit(url).port
        output.serve_kernel_port_as_iframe(port, width=str(width), height=str(height))
    else:
        allowed = 'allow="camera; clipboard-read"'
        display(IFrame(url, width=width, height=height, extras=[allowed]))
