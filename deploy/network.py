"""The part of a deployable that runs on a phone: from a prepared picture to an answer.

The picture is prepared outside of it. Phones' runtimes know no antialiased bicubic
resizing, and each has its own way of handing a picture over.
"""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import nn

from deploy.reference import answering, read_about, read_deployable
from deploy.trial import TargetResult, ask_all, versions_of
from going_modular.export import Deployable


class Network(nn.Module):
    """A deployable without its preparation.

    Args:
        deployable: Whose base, head and gate it uses.
    """

    def __init__(self, deployable: Deployable):
        super().__init__()
        self.deployable = deployable
        self.eval()

    @property
    def example(self) -> torch.Tensor:
        """A prepared picture to trace with."""
        size = self.deployable.preprocess.size
        return torch.zeros(1, 3, size, size)

    def forward(self, picture: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Answer for one prepared picture, (1, 3, S, S).

        Returns:
            Probabilities (1, C), knn_similarity (1,) and in_distribution_score (1,).
        """
        return self.deployable.answer(self.deployable.model.base(picture))


class ChannelsLast(Network):
    """The same for pictures whose channels come last, as LiteRT wants them."""

    @property
    def example(self) -> torch.Tensor:
        """A prepared picture to trace with, (1, S, S, 3)."""
        return super().example.permute(0, 2, 3, 1).contiguous()

    def forward(self, picture: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Answer for one prepared picture, (1, S, S, 3), as `Network` does."""
        return super().forward(picture.permute(0, 3, 1, 2))


def try_runtime(
    target: str,
    write: Callable[[Path, Path], Path],
    runner: Callable[[Path], Callable[[torch.Tensor], Sequence]],
    model: Path,
    photos: list[Path],
    *,
    packages: Sequence[str],
    precision: str = "fp32",
) -> TargetResult:
    """Convert a model file, and ask a phone's runtime about photos.

    Args:
        target: The place's name.
        write: Converts: called with the model file and the file to write.
        runner: From that file to a function that answers for a prepared picture, (1, 3,
            S, S), on one thread.
        model: The lesson's file.
        photos: Prepared here as in training.
        packages: Those whose versions matter.
        precision: Of the converted file.
    """
    preprocess, about = read_deployable(model).preprocess, read_about(model)
    with tempfile.TemporaryDirectory() as folder:
        file = write(model, Path(folder, "converted"))
        run = runner(file)
        ask = answering(lambda pixels: run(preprocess(pixels)[None]), about.class_names)
        answers, median_ms = ask_all(ask, photos)
        size = file.stat().st_size
    versions = versions_of(*packages)
    return TargetResult(target, versions, size, answers, median_ms, precision)
