"""Virtual environments for the two apps, kept between runs."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.plan import progress

ENVIRONMENTS = Path(__file__).resolve().parents[1] / "build" / "benchmark"
MARK = "installed.txt"  # written last: says what is in a complete environment
CUDA_FOLDERS = ("nvidia", "triton")


def environment_for(folder: Path) -> Path:
    """An environment with what an app's requirements.txt names, and nothing else.

    It is made anew when the requirements have changed.

    Args:
        folder: The app; its name is the environment's.
    """
    requirements = folder / "requirements.txt"
    environment = ENVIRONMENTS / folder.name
    mark, wanted = environment / MARK, requirements.read_text("utf-8")
    if mark.is_file() and mark.read_text("utf-8") == wanted:
        return environment
    progress(f"installing {wanted.split()} into {environment}; kept for later runs")
    shutil.rmtree(environment, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    pip = [python_of(environment), "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, "-r", requirements], check=True)
    mark.write_text(wanted, "utf-8")
    return environment


def python_of(environment: Path) -> str:
    """The environment's own Python."""
    folder = "Scripts" if os.name == "nt" else "bin"
    return str(environment / folder / "python")


def megabytes(folder: Path) -> float:
    """Size of all files under a folder, in 10^6 bytes; links count as links."""
    files = (file for file in folder.rglob("*") if file.is_symlink() or file.is_file())
    return sum(file.lstat().st_size for file in files) / 1e6


def cuda_megabytes(environment: Path) -> float:
    """How much of an environment is for NVIDIA's GPUs alone."""
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    asked = [python_of(environment), "-c", where]
    done = subprocess.run(asked, check=True, capture_output=True, text=True)
    packages = Path(done.stdout.strip())
    return sum(megabytes(packages / name) for name in CUDA_FOLDERS)
