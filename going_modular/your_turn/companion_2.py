"""Checks of what the reader writes in companion 2, about honest answers.

Each prints "Right." with a remark, or "Not yet:" with what is still wrong.
"""

from collections.abc import Callable

import torch

from going_modular.your_turn.checking import count, given, need, says

SURE = 0.9


@says
def promise(kept: int, probabilities: torch.Tensor, labels: torch.Tensor) -> str:
    """How many of the answers that were more than 90% sure were right.

    Args:
        kept: The reader's count.
        probabilities: Of held-out pictures, (N, C).
        labels: (N,).
    """
    said, guesses = probabilities.max(dim=1)
    sure, right = said > SURE, guesses == labels
    kept, expected = count(kept), int((sure & right).sum())
    need(
        kept != sure.sum() or kept == expected,
        "that is how many were sure. How many of those were right?",
    )
    need(
        kept != right.sum() or kept == expected,
        "that is how many were right, however sure. Keep the sure ones only.",
    )
    need(
        kept == expected,
        "take the rows whose largest probability is above 0.9, and count those where "
        "its place is the label.",
    )
    total, mean = int(sure.sum()), said[sure].mean().item()
    return (
        f"{expected} of {total}, {expected / total:.1%}; their mean probability was "
        f"{mean:.1%}."
    )


@says
def score(function: Callable[..., torch.Tensor]) -> str:
    """The sum of two standardised scores, through a sigmoid."""
    generator = torch.Generator().manual_seed(0)
    first, second, our_first, our_second = (
        middle + width * torch.randn(rows, generator=generator)
        for middle, width, rows in ((4, 2, 6), (9, 5, 6), (5, 2, 900), (8, 4, 900))
    )
    found = given(function(first, second, our_first, our_second))
    need(isinstance(found, torch.Tensor), "return a tensor.")
    need(found.shape == (6,), f"one number a picture: (6,), not {tuple(found.shape)}.")
    total = sum(
        (scores - ours.mean()) / ours.std()
        for scores, ours in ((first, our_first), (second, our_second))
    )

    def is_near(other: torch.Tensor) -> bool:
        return torch.allclose(found, other, atol=2e-3)

    need(not is_near(total), "only the sigmoid is missing.")
    need(not is_near((first + second).sigmoid()), "standardise both scores first.")
    need(
        is_near(total.sigmoid()),
        "each score less the mean of ours, divided by the standard deviation of ours; "
        "then the sum, then the sigmoid.",
    )
    return "`OODDetector` does the same; so can any two scores be added."
