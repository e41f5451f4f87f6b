"""Install and try every place of deploy/, and write what came of it to results.md.

Each place is a package of deploy/ with a module `try_it`, which asks the real runtime
about a list of photos and writes a `TargetResult`. Where its packages would change
those of the lesson it gets an environment of its own, in build/targets/.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from deploy.trial import TargetResult, read_trials
from going_modular.data_setup import find_pictures
from going_modular.datasets import make_datasets
from going_modular.files import atomic_write

ROOT = Path(__file__).resolve().parents[1]
DEPLOY = ROOT / "deploy"
ENVIRONMENTS = ROOT / "build" / "targets"
RESULTS = DEPLOY / "results.md"
SECONDS = 1800  # that a trial may take
ALIKE = 1e-4  # how far a probability of an fp32 file may be from PyTorch's
SAME = 148 / 150  # share of photos on which an int8 file must name PyTorch's class
HEAD = """\
# Every place, tried

Written by `make targets` on {day}: {machine}, Python {python}. {total} {where},
one at a time, against the PyTorch model that `deploy/reference.py` rebuilds from the
committed file. The time runs from a photo's bytes to the answer, over HTTP where there
is a server. CI tries all but TorchServe, ExecuTorch, Core ML and LiteRT in floats:
their environments take 13 GB.

"""
MANY = """
## Many visitors at once

Eight clients ask the FastAPI server and the Gradio app, in turns, and share the cores
with them.

"""
SOME = 30  # photos that they send
COLUMNS = ["place", "same class as PyTorch", "largest difference", "median ms", "MB"]
COLUMNS += ["as promised", "versions"]


# The folders of deploy/, and the environment of each in build/targets/; "" is the
# lesson's own.
PLACES = {
    "fastapi": "",
    "sagemaker": "",
    "vertex_ai": "",
    "azure_ml": "azure_ml",
    "torchserve": "torchserve",
    "executorch": "converters",
    "core_ml": "converters",
    "litert": "converters",
    "ray": "",
    "spaces": "",
}


class NotTried(Exception):
    """A place that could not be tried; says why, for its row of the table."""


def python_of(place: str) -> Path:
    """The Python that has a place's packages."""
    if not PLACES[place]:
        return Path(sys.executable)
    folder = ENVIRONMENTS / PLACES[place]
    windows = folder / "Scripts" / "python.exe"
    return windows if windows.exists() else folder / "bin" / "python"


def install(place: str) -> None:
    """Install what a place needs, where it is to run.

    Raises:
        NotTried: If that fails.
    """
    uv = shutil.which("uv")
    if PLACES[place] and not python_of(place).exists():
        make = [uv, "venv", "-q"] if uv else [sys.executable, "-m", "venv"]
        run([*make, str(ENVIRONMENTS / PLACES[place])])
    python = str(python_of(place))
    pip = [uv, "pip"] if uv else [python, "-m", "pip"]
    where = ["--python", python] if uv else []
    needed = str(DEPLOY / place / "requirements.txt")
    run([*pip, "install", "-q", *where, "-r", needed])


def run(command: Sequence[str]) -> str:
    """What a command prints that is run from the root of the repository.

    Raises:
        NotTried: If it fails; with the last line of what it said.
    """
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise NotTried(f"no end after {SECONDS // 60} minutes") from error
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or "no word").splitlines()
        raise NotTried(said[-1])
    return done.stdout


def ask(python: Path | str, module: str, photos: Path) -> list[TargetResult]:
    """Have a module of deploy/ ask about photos, in its environment.

    Args:
        python: Of the environment, where its packages are installed.
        module: Its name.
        photos: A JSON file, a list of paths.

    Raises:
        NotTried: If it fails.
    """
    out = ENVIRONMENTS / f"{module}.json"
    out.unlink(missing_ok=True)
    run([str(python), "-m", f"deploy.{module}", str(photos), str(out)])
    return read_trials(out)


def row(trial: TargetResult, truth: TargetResult) -> tuple[list[str], bool]:
    """A trial as a row of the table, and whether it is as alike as its kind allows."""
    versions = ", ".join(f"{name} {v}" for name, v in trial.versions.items())
    megabytes = f"{trial.file_bytes / 1e6:.1f}"
    name = f"{trial.target}, {trial.precision}"
    if not trial.answers:
        return [name, "-", "-", "-", megabytes, trial.note, versions], True
    same, most = 0, 0.0  # photos of the same class; how far a probability is off
    for told, meant in zip(trial.answers, truth.answers, strict=True):
        said, wanted = told["probabilities"], meant["probabilities"]
        same += max(said, key=said.get) == max(wanted, key=wanted.get)
        most = max(most, *(abs(said[name] - wanted[name]) for name in wanted))
    alike, enough = most <= ALIKE, same >= SAME * len(trial.answers)
    kept = alike if trial.precision == "fp32" else enough
    return [
        name,
        f"{same} of {len(trial.answers)}",
        f"{most:.1e}",
        f"{trial.median_ms:.1f}",
        megabytes,
        "; ".join(filter(None, ("yes" if kept else "no", trial.note))),
        versions,
    ], kept


def main(arguments: list[str] | None = None) -> int:
    """Try the places that the command line names, or all; write the table for all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    all_of_them = ", ".join(PLACES)
    parser.add_argument("places", nargs="*", metavar="PLACE", help=f"of {all_of_them}")
    there = "install nothing: it is all there"
    parser.add_argument("--installed", action="store_true", help=there)
    args = parser.parse_args(arguments)
    if unknown := set(args.places) - set(PLACES):
        parser.error(f"{', '.join(sorted(unknown))}: choose from {all_of_them}")

    pictures = find_pictures(Path("data"))
    _, test_data = make_datasets(pictures.folder, transform=None)
    ENVIRONMENTS.mkdir(parents=True, exist_ok=True)
    photos = ENVIRONMENTS / "photos.json"
    files = [str(Path(file).resolve()) for file, _ in test_data.samples]
    photos.write_text(json.dumps(files), "utf-8")
    (truth,) = ask(sys.executable, "reference", photos)

    chosen = [place for place in PLACES if not args.places or place in args.places]
    rows, all_kept = [], True
    for place in chosen:
        print(f"{place} ...", flush=True)
        for cells, kept in judged(place, photos, truth, install_it=not args.installed):
            print("   ", " | ".join(cells), flush=True)
            rows.append(cells)
            all_kept = all_kept and kept
    lines = [COLUMNS, ["---", *["---:"] * 4, "---", "---"], *rows]
    told = "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
    if len(chosen) == len(PLACES):
        told += MANY + many_at_once(files)
        write(told, total=len(files), where=pictures.label)
    print(told)
    return 0 if all_kept else 1


def judged(
    place: str, photos: Path, truth: TargetResult, *, install_it: bool
) -> list[tuple[list[str], bool]]:
    """Rows of the table for a place, each with whether it is as promised."""
    try:
        if install_it:
            install(place)
        trials = ask(python_of(place), f"{place}.try_it", photos)
        return [row(trial, truth) for trial in trials]
    except NotTried as reason:
        return [([place, *"----", f"not tried: {reason}", "-"], False)]


def many_at_once(files: list[str]) -> str:
    """How many answers a second the web API gives, beside the Gradio app."""
    every = files[:: max(1, len(files) // SOME)]
    try:
        return run([sys.executable, "-m", "deploy.fastapi.measure", *every])
    except NotTried as reason:
        return f"Not measured: {reason}\n"


def write(told: str, *, total: int, where: str) -> None:
    """Write what all places said, and on what it was measured."""
    head = HEAD.format(
        day=date.today().isoformat(),
        machine=f"{platform.system()}, {os.cpu_count()} CPU cores",
        python=platform.python_version(),
        total=total,
        where=where,
    )
    with atomic_write(RESULTS) as part:
        part.write_text(head + told, "utf-8")


if __name__ == "__main__":
    sys.exit(main())
