"""What a notebook needs; it imports PyTorch late: `check_packages` may find none."""

import importlib.metadata
import inspect
import random
import sys
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from IPython.display import Code, IFrame, display
from packaging.requirements import Requirement

from going_modular.app.surroundings import prepare


def check_packages(requirements: Path = Path("requirements.txt")) -> None:
    """Stop with the command that helps if a package is missing or too old.

    If all is well, this notebook's Gradio gets a folder of its own (`surroundings`).
    """
    if sys.version_info < (3, 11):  # noqa: UP036 - a notebook is opened by older ones
        raise SystemExit(f"Python 3.11 or newer is needed; this is {sys.version}")
    complaints, lines = [], requirements.read_text(encoding="utf-8").splitlines()
    for wanted in filter(None, (line.partition("#")[0].strip() for line in lines)):
        requirement, found = Requirement(wanted), "missing"
        with suppress(importlib.metadata.PackageNotFoundError):
            found = importlib.metadata.version(requirement.name)
            if requirement.specifier.contains(found, prereleases=True):
                continue
        complaints.append(f"{requirement.name} is {found} (wanted: {wanted})")
    if complaints:
        print(*complaints, sep="\n")
        then = "this one again"
        if not all(" is missing (" in complaint for complaint in complaints):
            then = "restart the kernel (in Colab: the session), and begin again"
        how = f"Run  %pip install -r {requirements}  in a cell of its own"
        raise SystemExit(f"{how}, then {then}.")
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
    """Show a page of this computer's below the cell that runs; sizes in pixels."""
    if "google.colab" in sys.modules:  # which brings it to the reader's computer
        from google.colab import output

        port = urlsplit(url).port
        output.serve_kernel_port_as_iframe(port, width=str(width), height=str(height))
    else:
        allowed = ['allow="camera; clipboard-read"']
        display(IFrame(url, width=width, height=height, extras=allowed))
