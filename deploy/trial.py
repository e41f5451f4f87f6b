"""What a place said of some photos, in one form, so that all can be compared.

Only the standard library: several places have an environment of their own.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from deploy import DEFAULT_MODEL

WARM_UPS = 5  # a runtime's first answers take longer
KEPT = ("probabilities", "knn_similarity", "in_distribution_score")
Answers = Callable[[bytes], dict]


@dataclass(frozen=True)
class TargetResult:
    """One place, or one file of it, asked about some photos.

    Attributes:
        target: Its name.
        versions: Of the packages that matter, by name.
        file_bytes: Size of the model's file.
        answers: One a photo, in their order, with "probabilities" by class; most have
            both scores, too. None where the runtime cannot run here.
        median_ms: From a photo's bytes to its answer, one at a time, after warm-ups.
        precision: Of the convolutions' weights, "int8" or "fp32".
        note: What else a reader of the table must know.
    """

    target: str
    versions: dict[str, str]
    file_bytes: int
    answers: list[dict[str, Any]]
    median_ms: float | None
    precision: str = "int8"
    note: str = ""


def write_trials(file: str | Path, *trials: TargetResult) -> None:
    """Write trials as JSON."""
    told = [asdict(trial) for trial in trials]
    Path(file).write_text(json.dumps(told, indent=1) + "\n", "utf-8")


def read_trials(file: str | Path) -> list[TargetResult]:
    """Read what `write_trials` wrote."""
    return [TargetResult(**told) for told in json.loads(Path(file).read_text("utf-8"))]


def versions_of(*packages: str) -> dict[str, str]:
    """The installed version of each package."""
    return {package: version(package) for package in packages}


def ask_all(ask: Answers, photos: Sequence[str | Path]) -> tuple[list[dict], float]:
    """Ask about every photo, one at a time.

    Args:
        ask: From a file's bytes to an answer.
        photos: Paths; the first ones are asked about beforehand, too, to warm up.

    Returns:
        The answers, and the median milliseconds from bytes to answer.
    """
    contents = [Path(photo).read_bytes() for photo in photos]
    for content in contents[:WARM_UPS]:
        ask(content)
    answers, seconds = [], []
    for content in contents:
        start = time.perf_counter()
        answers.append(ask(content))
        seconds.append(time.perf_counter() - start)
    return answers, statistics.median(seconds) * 1000


def main(
    try_it: Callable[[Path, list[Path]], list[TargetResult]], description: str | None
) -> None:
    """The command of every `try_it`: read a list of photos, write the trials.

    Args:
        try_it: Asks about photos: called with the model file and them.
        description: What `--help` says.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("photos", type=Path, help="a JSON file: a list of paths")
    parser.add_argument("out", type=Path, help="the JSON file to write")
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL)
    args = parser.parse_args()
    photos = [Path(name) for name in json.loads(args.photos.read_text("utf-8"))]
    write_trials(args.out, *try_it(args.model, photos))
