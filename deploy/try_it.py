"""Ask a place about photos, and write down what it said in one form, to be compared.

python -m deploy.try_it PLACE PHOTOS.json OUT.json
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from deploy import DEFAULT_MODEL
from deploy.asking import PLACES, TARGETS, Client, python_of, running
from going_modular.app_process import run

WARM_UPS = 5  # a runtime's first answers take longer
VERSIONS = """import sys
from importlib.metadata import version
print(*map(version, sys.argv[1:]))"""
KEPT = ("probabilities", "knn_similarity", "in_distribution_score")


@dataclass(frozen=True)
class TargetResult:
    """One place, or one file of it, asked about some photos."""

    target: str  # its name
    versions: dict[str, str]  # of the packages that matter, by name
    file_bytes: int  # of the model's file
    # One a photo: "probabilities" by class, mostly both scores. None if not run here.
    answers: list[dict[str, Any]]
    median_ms: float | None  # from a photo's bytes to its answer, one at a time
    precision: str = "int8"  # of the convolutions' weights, or "fp32"
    note: str = ""  # what else a reader of the table must know


def read_trials(file: Path) -> list[TargetResult]:
    """Read what `main` wrote."""
    return [TargetResult(**plain) for plain in json.loads(file.read_text("utf-8"))]


def versions_of(packages: str, python: str | Path = sys.executable) -> dict[str, str]:
    """The version of each package of a text that a Python has."""
    names = packages.split()
    return dict(zip(names, run(python, "-c", VERSIONS, *names).split(), strict=True))


def ask_all(
    name: str, ask: Callable[[bytes], dict], photos: list[Path], **facts
) -> TargetResult:
    """Ask about every photo, one at a time; about the first beforehand, to warm up."""
    contents, answers, seconds = [photo.read_bytes() for photo in photos], [], []
    for content in contents[:WARM_UPS]:
        ask(content)
    for content in contents:
        start = time.perf_counter()
        answer = ask(content)
        seconds.append(time.perf_counter() - start)
        answers.append({key: answer[key] for key in KEPT if key in answer})
    median_ms = 1000 * statistics.median(seconds)
    return TargetResult(name, answers=answers, median_ms=median_ms, **facts)


def try_server(place: str, model: Path, photos: list[Path]) -> TargetResult:
    """Start a place's server and ask it about photos."""
    target = TARGETS[place]
    with running(target, model=model) as server, Client(server.port) as client:
        file = server.staged / target.archive if target.archive else model
        versions = versions_of(target.packages, python_of(place))
        facts = {"versions": versions, "file_bytes": file.stat().st_size}
        return ask_all(target.name, lambda p: client.ask(target, p), photos, **facts)


def main() -> None:
    """Read the command line, ask, write the answers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("place", choices=[*PLACES, "reference"], help="whom to ask")
    parser.add_argument("photos", type=Path, help="a JSON file: a list of paths")
    parser.add_argument("out", type=Path, help="the JSON file to write")
    args = parser.parse_args()
    photos = [Path(name) for name in json.loads(args.photos.read_text("utf-8"))]
    if args.place in TARGETS:
        trials = [try_server(args.place, DEFAULT_MODEL, photos)]
    else:
        name = PLACES.get(args.place, {}).get("module", args.place)
        trials = import_module(f"deploy.{name}").try_all(DEFAULT_MODEL, photos)
    plain = [asdict(trial) for trial in trials]
    args.out.write_text(json.dumps(plain, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
