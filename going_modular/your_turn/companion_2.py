"""Checks of companion 2, honest answers."""

from collections.abc import Callable

import torch

from going_modular.your_turn.checking import expect, expect_count, given, need, says


@says
def promise(kept: int, probabilities: torch.Tensor, labels: torch.Tensor) -> dict:
    """How many answers of more than 90% were right: of (N, C), by labels (N,)."""
    largest, guesses = probabilities.max(dim=1)
    sure, right = largest > 0.9, guesses == labels
    total, expected = int(sure.sum()), int((sure & right).sum())
    expect_count(kept, expected, sure=total, however_sure=int(right.sum()))
    mean, share = largest[sure].mean().item(), expected / total
    return {"expected": expected, "total": total, "share": share, "mean": mean}


@says
def score(function: Callable[..., torch.Tensor]) -> dict:
    """The sum of two standardised scores, through a sigmoid."""
    generator = torch.Generator().manual_seed(0)
    first, second, our_first, our_second = (
        middle + width * torch.randn(rows, generator=generator)
        for middle, width, rows in ((4, 2, 6), (9, 5, 6), (5, 2, 900), (8, 4, 900))
    )
    found = given(function(first, second, our_first, our_second))
    need(isinstance(found, torch.Tensor), "tensor")
    need(found.shape == (6,), "shape", shape=tuple(found.shape))
    total = (first - our_first.mean()) / our_first.std()
    total += (second - our_second.mean()) / our_second.std()
    as_they_are = (first + second).sigmoid()
    expect(found, total.sigmoid(), sum=total, as_they_are=as_they_are, near=0.01)
    return {}
