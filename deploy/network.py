"""The part of a deployable that runs on a phone: from a prepared picture to an answer.

The picture is prepared outside of it. Phones' runtimes know no antialiased bicubic
resizing, and each has its own way of handing a picture over.
"""

import io
from collections.abc import Callable

import torch
from torch import nn

from deploy.converting import named
from deploy.trial import Answers
from going_modular.app.model import open_picture
from going_modular.export import Deployable
from going_modular.model_builder import Preprocess


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


def answering(
    run: Callable[[torch.Tensor], tuple], preprocess: Preprocess, names: list[str]
) -> Answers:
    """How a runtime answers for a picture's bytes, prepared as in training.

    Args:
        run: From a prepared picture (1, 3, S, S) to probabilities and
            both scores.
        preprocess: The preparation.
        names: Of the classes.
    """

    @torch.inference_mode()
    def ask(content: bytes) -> dict:
        pixels = torch.tensor(open_picture(io.BytesIO(content)))
        return named(names, *run(preprocess(pixels).unsqueeze(0)))

    return ask


class ChannelsLast(Network):
    """The same for pictures whose channels come last, as LiteRT wants them."""

    @property
    def example(self) -> torch.Tensor:
        """A prepared picture to trace with, (1, S, S, 3)."""
        return super().example.permute(0, 2, 3, 1).contiguous()

    def forward(self, picture: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Answer for one prepared picture, (1, S, S, 3), as `Network` does."""
        return super().forward(picture.permute(0, 3, 1, 2))
