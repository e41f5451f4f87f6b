"""What the phones' formats share: the network, what a file says, and one command.

    python -m deploy.executorch.convert [--model FILE] [OUT]

The picture is prepared outside of the network. Phones' runtimes know no antialiased
bicubic resizing, and each has its own way of handing a picture over.
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from deploy import DEFAULT_MODEL, ROOT
from deploy.reference import ask_network, read_deployable
from deploy.try_it import TargetResult
from going_modular.app.model import ModelMetadata
from going_modular.export import Deployable
from going_modular.files import LessonError

LICENCE = "MIT; the base's pretrained weights have a licence of their own"


class Network(nn.Module):
    """A deployable from the prepared picture on; `example` is one, to trace with."""

    def __init__(self, deployable: Deployable, *, channels_last: bool = False):
        super().__init__()
        self.deployable, self.channels_last = deployable, channels_last
        size = deployable.preprocess.size
        shape = (1, size, size, 3) if channels_last else (1, 3, size, size)
        self.example = torch.zeros(shape)
        self.eval()

    def forward(self, picture: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Answer for one prepared picture, (1, 3, S, S), or with channels last.

        Returns:
            Probabilities (1, C), knn_similarity (1,) and in_distribution_score (1,).
        """
        if self.channels_last:
            picture = picture.permute(0, 3, 1, 2)
        return self.deployable.answer(self.deployable.model.base(picture))


def descriptions(about: ModelMetadata) -> dict[str, str]:
    """What a file says of its input, "picture", and of its outputs, by their names."""
    size, similar = about.input_size, about.knn_similarity_threshold
    ours = about.in_distribution_threshold
    return {
        "picture": f"A photo's centred square, {size} x {size} pixels, RGB",
        "probabilities": "Of each class, adding up to 1",
        "knn_similarity": f"Under {similar:.4f} it is no plate of food",
        "in_distribution_score": f"Under {ours:.4f} it is another dish",
    }


def convert_command(write: Callable[..., Path], default: str, *flags: tuple) -> None:
    """Convert a model file as the command line says; flags are names and helps."""
    parser = argparse.ArgumentParser(description=f"Write {default}, converted.")
    own = {"default": ROOT / "build" / "targets" / default}
    parser.add_argument("out", type=Path, nargs="?", **own, help="default: %(default)s")
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL)
    for name, text in flags:
        parser.add_argument(name, action="store_true", help=text)
    args = vars(parser.parse_args())
    try:
        written = write(args.pop("model"), args.pop("out"), **args)
    except LessonError as error:
        raise SystemExit(str(error)) from error
    print(f"{written}: {size_of(written) / 1e6:.1f} MB")


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files of a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def try_runtime(
    name: str, write: Callable, runner: Callable, model: Path, photos: list, **facts
) -> TargetResult:
    """Convert a model file, and ask a phone's runtime about photos prepared here.

    `write` converts a file to another; `runner` makes of that one a function from a
    prepared picture, (1, 3, S, S), to its answer, on one thread.
    """
    prepare = read_deployable(model).preprocess
    with tempfile.TemporaryDirectory() as folder:
        file = write(model, Path(folder, "converted"))
        run, facts["file_bytes"] = runner(file), file.stat().st_size
        how = name, lambda picture: run(prepare(picture)[None])
        return ask_network(*how, model, photos, **facts)
