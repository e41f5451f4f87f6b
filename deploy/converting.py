"""What the places share that take a converted file: commands, and what the file says.

All of them convert a model file by the one command, and try a list of photos by the
other, each in an environment of its own:

    python -m deploy.executorch.convert [--model FILE] [OUT]
    python -m deploy.executorch.try_it PHOTOS.json OUT.json
"""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy import DEFAULT_MODEL, ROOT
from deploy.trial import TargetResult, main
from going_modular.app.model import ModelMetadata
from going_modular.files import LessonError

CONVERTED = ROOT / "build" / "targets"
LICENCE = "MIT; the base's pretrained weights have a licence of their own"


def descriptions(about: ModelMetadata) -> dict[str, str]:
    """What a file says of its input, "picture", and of its outputs, by their names."""
    size, similar = about.input_size, about.knn_similarity_threshold
    return {
        "picture": f"A photo's centred square, {size} x {size} pixels, RGB",
        "probabilities": "Of each class, adding up to 1",
        "knn_similarity": f"Under {similar:.4f} it is no plate of food",
        "in_distribution_score": (
            f"Under {about.in_distribution_threshold:.4f} it is another dish"
        ),
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
    with _ends_with_a_sentence():
        written = write(model, out, **told)
    print(f"{written}: {size_of(written) / 1e6:.1f} MB")


def try_command(
    try_all: Callable[[Path, list[Path]], list[TargetResult]], what: str
) -> None:
    """The command of a place's `try_it`, as `deploy.trial.main` has it."""
    with _ends_with_a_sentence():
        main(try_all, what)


@contextmanager
def _ends_with_a_sentence() -> Iterator[None]:
    try:
        yield
    except LessonError as error:
        raise SystemExit(str(error)) from error


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files of a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
