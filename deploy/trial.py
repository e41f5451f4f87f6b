"""What a place said of some photos, in one form, so that all can be compared.

Only the standard library: several places have an environment of their own.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Trial:
    """One place, or one file of it, asked about some photos.

    Attributes:
        target: Its name.
        versions: Of the packages that matter, by name.
        file_bytes: Size of the model's file.
        answers: One a photo, in their order, with "probabilities" by class; most have
            "familiarity" and "ours", too. None where the runtime cannot run here.
        median_ms: From a photo's bytes to its answer, one at a time, after warm-ups.
        precision: Of the convolutions' weights, "int8" or "fp32".
        resizes: Whether the photo is made smaller by another program than the lesson's.
        note: What else a reader of the table must know.
    """

    target: str
    versions: dict[str, str]
    file_bytes: int
    answers: list[dict[str, Any]]
    median_ms: float | None
    precision: str = "int8"
    resizes: bool = False
    note: str = ""


def write_trials(file: str | Path, *trials: Trial) -> None:
    """Write trials as JSON."""
    told = [asdict(trial) for trial in trials]
    Path(file).write_text(json.dumps(told, indent=1) + "\n", "utf-8")


def read_trials(file: str | Path) -> list[Trial]:
    """Read what `write_trials` wrote."""
    return [Trial(**told) for told in json.loads(Path(file).read_text("utf-8"))]
