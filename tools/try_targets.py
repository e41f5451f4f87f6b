"""Install and try every place of deploy/, and write what came of it to results.md."""

import argparse
import json
import os
import platform
import sys
from datetime import date
from functools import partial
from pathlib import Path

from deploy import ENVIRONMENTS, ROOT
from deploy.try_it import PLACES, TARGETS, TargetResult, python_of, read_trials
from going_modular import app_process
from going_modular.data_setup import find_pictures
from going_modular.datasets import make_datasets
from going_modular.files import LessonError
from tools.readme_block import renew_block

RESULTS = ROOT / "deploy" / "results.md"
SECONDS = 1800  # that a trial may take
ALIKE = 1e-4  # how far a probability of an fp32 file may be from PyTorch's
SAME = 148 / 150  # share of photos on which an int8 file must name PyTorch's class
SOME = 30  # photos that many visitors send at once
run = partial(app_process.run, cwd=ROOT, timeout=SECONDS)
HEAD = """\
| place | same class as PyTorch | largest difference | median ms | MB \
| as promised | versions |
| --- | ---: | ---: | ---: | ---: | --- | --- |"""


def find_photos() -> tuple[str, list[str]]:
    """What the test photos are called, and their files."""
    pictures = find_pictures(Path("data"))
    _, test_data = make_datasets(pictures.folder, transform=None)
    return pictures.label, [str(Path(file).resolve()) for file, _ in test_data.samples]


def install(place: str) -> None:
    """Install what a place needs, where it is to run."""
    if not (python := python_of(place)).exists():
        run(sys.executable, "-m", "venv", python.parents[1])
    requirements = ROOT / "deploy" / place / "requirements.txt"
    run(python, "-m", "pip", "install", "-qr", requirements)


def ask(place: str, photos: Path) -> list[TargetResult]:
    """Ask a place, or "reference", about the photos that a JSON file lists."""
    out = ENVIRONMENTS / f"{place}.json"
    python = sys.executable if place in TARGETS else python_of(place)
    run(python, "-m", "deploy.try_it", place, photos, out)
    return read_trials(out)


def measure_crowd(files: list[str]) -> str:
    """The table of many visitors at once."""
    some = files[:: max(1, len(files) // SOME)]
    try:
        return run(sys.executable, "-m", "deploy.fastapi.measure", *some).strip()
    except LessonError as reason:
        return f"Not measured: {str(reason).splitlines()[-1]}"


def row(trial: TargetResult, truth: TargetResult) -> tuple[list[str], bool]:
    """A trial as a row of the table, and whether it is as alike as its kind allows."""
    name, size = f"{trial.target}, {trial.precision}", f"{trial.file_bytes / 1e6:.1f}"
    versions = ", ".join(f"{name} {v}" for name, v in trial.versions.items())
    if not trial.answers:
        return [name, "-", "-", "-", size, trial.note, versions], True
    same, most = 0, 0.0  # photos of the same class; how far a probability is off
    for told, meant in zip(trial.answers, truth.answers, strict=True):
        said, wanted = told["probabilities"], meant["probabilities"]
        same += max(said, key=said.get) == max(wanted, key=wanted.get)
        most = max(most, *(abs(said[name] - wanted[name]) for name in wanted))
    enough = same >= SAME * len(trial.answers)
    kept = most <= ALIKE if trial.precision == "fp32" else enough
    numbers = f"{same} of {len(trial.answers)}", f"{most:.1e}", f"{trial.median_ms:.1f}"
    note = "; ".join(filter(None, ("yes" if kept else "no", trial.note)))
    return [name, *numbers, size, note, versions], kept


def main(arguments: list[str] | None = None) -> int:
    """Try the places that the command line names, or all; write the table for all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("places", nargs="*", choices=[[], *PLACES], metavar="PLACE")
    there = "install nothing: it is all there"
    parser.add_argument("--installed", action="store_true", help=there)
    args = parser.parse_args(arguments)
    label, files = find_photos()
    ENVIRONMENTS.mkdir(parents=True, exist_ok=True)
    photos = ENVIRONMENTS / "photos.json"
    photos.write_text(json.dumps(files), "utf-8")
    (truth,) = ask("reference", photos)
    table, all_kept = [HEAD], True
    print(HEAD, flush=True)
    for place in [place for place in PLACES if place in (args.places or PLACES)]:
        try:
            if not args.installed:
                install(place)
            rows = [row(trial, truth) for trial in ask(place, photos)]
        except LessonError as reason:
            why = str(reason).splitlines()[-1]
            rows = [([place, *"----", f"not tried: {why}", "-"], False)]
        for cells, kept in rows:
            table.append(f"| {' | '.join(cells)} |")
            print(table[-1], flush=True)
            all_kept = all_kept and kept
    if set(args.places or PLACES) == set(PLACES):
        measured = (
            f"Written by `make targets` on {date.today().isoformat()}: "
            f"{platform.system()}, {os.cpu_count()} CPU cores, Python "
            f"{platform.python_version()}, {len(files)} {label}."
        )
        blocks = {"measured": measured, "places": "\n".join(table)}
        for name, text in (blocks | {"crowd": measure_crowd(files)}).items():
            renew_block(name, text, RESULTS)
    return 0 if all_kept else 1


if __name__ == "__main__":
    sys.exit(main())
