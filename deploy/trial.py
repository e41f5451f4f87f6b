"""What a place said of some photos, in one form, so that all can be compared.

Only the standard library: several places have an environment of their own.
"""

import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

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


def write_trials(file: Path, trials: Sequence[TargetResult]) -> None:
    """Write trials as JSON."""
    plain = [asdict(trial) for trial in trials]
    file.write_text(json.dumps(plain, indent=1) + "\n", "utf-8")


def read_trials(file: Path) -> list[TargetResult]:
    """Read what `write_trials` wrote."""
    return [TargetResult(**plain) for plain in json.loads(file.read_text("utf-8"))]


def versions_of(*packages: str) -> dict[str, str]:
    """The installed version of each package."""
    return {package: version(package) for package in packages}


def ask_all(ask: Answers, photos: Sequence[Path]) -> tuple[list[dict], float]:
    """Ask about every photo, one at a time; about the first beforehand, to warm up.

    Returns:
        The answers, and the median milliseconds from a file's bytes to its answer.
    """
    contents = [photo.read_bytes() for photo in photos]
    for content in contents[:WARM_UPS]:
        ask(content)
    answers, seconds = [], []
    for content in contents:
        start = time.perf_counter()
        answers.append(ask(content))
        seconds.append(time.perf_counter() - start)
    return answers, statistics.median(seconds) * 1000
