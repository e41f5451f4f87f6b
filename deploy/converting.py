"""What the places share that take a converted file: commands, and how photos are asked.

All of them convert a model file by the one command, and try a list of photos by the
other, each in an environment of its own:

    python -m deploy.executorch.convert [--model FILE] [OUT]
    python -m deploy.executorch.try_it PHOTOS.json OUT.json
"""

import argparse
import json
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np

from deploy import DEFAULT_MODEL, ROOT
from deploy.trial import TargetResult, write_trials
from going_modular.files import LessonError

CONVERTED = ROOT / "build" / "targets"


def named(
    class_names: Sequence[str],
    probabilities: np.ndarray,
    knn_similarity: np.ndarray,
    in_distribution_score: np.ndarray,
) -> dict:
    """One answer as a trial has it.

    Args:
        class_names: C names, in the order of the probabilities.
        probabilities: C numbers, of any shape.
        knn_similarity: One number, of any shape; so is `in_distribution_score`.
    """
    pairs = zip(class_names, np.ravel(probabilities).tolist(), strict=True)
    return {
        "probabilities": dict(pairs),
        "knn_similarity": np.asarray(knn_similarity).item(),
        "in_distribution_score": np.asarray(in_distribution_score).item(),
    }


def convert_command(
    write: Callable[..., Path],
    default: str,
    *,
    what: str,
    options: dict[str, str] | None = None,
) -> None:
    """Convert a model file as the command line says.

    Args:
        write: Called with the model file and the file to write, returns the latter;
            and with the options as keywords.
        default: The name to write to, in build/targets/, unless told otherwise.
        what: The command's help.
        options: Names of yes-or-no options, with their help.
    """
    parser = argparse.ArgumentParser(description=what)
    own = f"default: build/targets/{default}"
    parser.add_argument("out", type=Path, nargs="?", help=own)
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL)
    for name, text in (options or {}).items():
        parser.add_argument(f"--{name}", action="store_true", help=text)
    told = vars(parser.parse_args())
    model, out = told.pop("model"), told.pop("out") or CONVERTED / default
    try:
        written = write(model, out, **told)
    except LessonError as error:
        raise SystemExit(str(error)) from error
    print(f"{written}: {size_of(written) / 1e6:.1f} MB")


def try_command(
    try_all: Callable[[Path, list[Path]], list[TargetResult]], what: str
) -> None:
    """Write what a place says about a list of photos.

    Args:
        try_all: Called with the model file and the photos; returns a trial for each
            file that it converted to.
        what: The command's help.
    """
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("photos", type=Path, help="a JSON file: a list of paths")
    parser.add_argument("out", type=Path, help="the answers, as JSON")
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL)
    args = parser.parse_args()
    photos = json.loads(args.photos.read_text(encoding="utf-8"))
    try:
        trials = try_all(args.model, [Path(photo) for photo in photos])
    except LessonError as error:
        raise SystemExit(str(error)) from error
    write_trials(args.out, *trials)


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files of a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def versions_of(*packages: str) -> dict[str, str]:
    """The installed version of each package."""
    return {package: version(package) for package in packages}
