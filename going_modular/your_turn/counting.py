"""Checks of companions 1, 2, 6 and 7: what is counted, and what it means."""

import math
from collections.abc import Callable, Sequence

import pandas as pd
import torch
from sklearn.metrics import confusion_matrix
from torch import Tensor

from going_modular.big.food101 import ALL_PHOTOS
from going_modular.engine import HEAD, CVResult, Settings
from going_modular.evaluation import class_table, wilson_interval
from going_modular.monitoring import OUTCOMES

from .checking import expect, expect_count, given, need, pair, says

# Companion 1, how sure is a number


@says
def photos_needed(total: int) -> dict:
    """How many test photos narrow an interval at 97% to two percentage points."""
    need(total > 0 and total % 100 == 0, "hundreds")
    low, high = wilson_interval(97 * total // 100, total)
    need(high - low <= 0.02, "wide", total=total, low=low, high=high)
    fewer = total - 100
    less = wilson_interval(97 * fewer // 100, fewer)
    need(less[1] - less[0] > 0.02, "fewer", fewer=fewer)
    return {"low": low, "high": high}


@says
def wider(trials: Sequence[CVResult], grid: Sequence[Settings]) -> dict:
    """Cross-validated settings from outside the grid."""
    need(isinstance(trials, list | tuple), "untried")
    need(all(isinstance(trial, CVResult) for trial in trials), "untried")
    lr, decay = (max(getattr(s, of) for s in grid) for of in ("lr", "weight_decay"))
    is_outside = [t.settings.lr > lr or t.settings.weight_decay > decay for t in trials]
    outside = [trial for trial, yes in zip(trials, is_outside, strict=True) if yes]
    need(len(outside) >= 2, "inside", outside=len(outside), lr=lr, decay=decay)
    best = min(outside, key=lambda trial: trial.held_out.loss)
    return {"best": best.settings, "loss": best.held_out.loss, "head": HEAD}


# Companion 2, honest answers


@says
def promise(kept: int, probabilities: Tensor, labels: Tensor) -> dict:
    """How many answers of more than 90% were right: of (N, C), by labels (N,)."""
    largest, guesses = probabilities.max(dim=1)
    sure, right = largest > 0.9, guesses == labels
    total, expected = int(sure.sum()), int((sure & right).sum())
    expect_count(kept, expected, sure=total, however_sure=int(right.sum()))
    mean, share = largest[sure].mean().item(), expected / total
    return {"expected": expected, "total": total, "share": share, "mean": mean}


@says
def score(function: Callable[..., Tensor]) -> None:
    """The sum of two standardised scores, through a sigmoid."""
    generator = torch.Generator().manual_seed(0)
    first, second, our_first, our_second = (
        middle + width * torch.randn(rows, generator=generator)
        for middle, width, rows in ((4, 2, 6), (9, 5, 6), (5, 2, 900), (8, 4, 900))
    )
    found = given(function(first, second, our_first, our_second))
    need(isinstance(found, Tensor), "tensor")
    need(found.shape == (6,), "shape", shape=tuple(found.shape))
    total = (first - our_first.mean()) / our_first.std()
    total += (second - our_second.mean()) / our_second.std()
    as_they_are = (first + second).sigmoid()
    expect(found, total.sigmoid(), sum=total, as_they_are=as_they_are, near=0.01)


# Companion 6, watch it; `noted` has a row a visitor


@says
def gate_at_fault(number: int, noted: pd.DataFrame) -> dict:
    """Visitors who are unhappy although the head was right."""
    unhappy = noted[noted.thumb == "down"]
    expected = int((unhappy.outcome == OUTCOMES[1]).sum())
    expect_count(number, expected, all_unhappy=len(unhappy))
    return {"expected": expected, "unhappy": len(unhappy)}


@says
def seen_share(function: Callable, noted: pd.DataFrame) -> dict:
    """The share of thumbs down that arrives if unhappy visitors press more often."""
    expect(function(10, 30, 1), 0.25, "alike")
    expect(function(10, 30, 3), 0.5, as_they_are=10 / 40)
    expect(function(20, 10, 2), 0.8, "again")
    first = noted[noted.sent == noted.sent.iloc[0]]
    down, total = int((first.thumb == "down").sum()), len(first)
    share, sent = function(down, total - down, 3), first.sent.iloc[0]
    return {"down": down, "total": total, "sent": sent, "share": share}


# Companion 7, many dishes


@says
def computers(number: int, seconds: float) -> dict:
    """How many computers make all features in ten minutes, at seconds a photo."""
    need(float(number).is_integer(), "whole")
    exact = ALL_PHOTOS * seconds / 600
    key = "too_few" if number < exact else "too_many"
    expect(number, math.ceil(exact), key, minutes=math.ceil(exact * 60))
    return {"expected": math.ceil(exact)}


@says
def among(number: int, logits: Tensor, labels: Tensor, few: Tensor) -> dict:
    """Right answers for the classes `few` (K,), if only those may be chosen."""
    mine = torch.isin(labels, few)
    truth, scores = labels[mine], logits[mine]
    expected = int((few[scores[:, few].argmax(dim=1)] == truth).sum())
    among_all = int((scores.argmax(dim=1) == truth).sum())
    expect_count(number, expected, among_all=among_all)
    counts = {"expected": expected, "total": len(truth), "among_all": among_all}
    return counts | {"few": len(few), "dishes": logits.shape[1]}


@says
def worst_class(
    function: Callable, guesses: Tensor, labels: Tensor, names: Sequence[str]
) -> dict:
    """The dish that is least often right, and its most frequent wrong name."""
    truth = torch.tensor([0] * 4 + [1] * 16 + [2] * 9)
    soups, pies = [0] * 3 + [2], [1] * 10 + [0] * 4 + [2] * 2
    invented = torch.tensor([*soups, *pies, *[2] * 4, *[0] * 3, *[1] * 2])
    dish, taken_for = pair(function(invented, truth, ["soup", "pie", "stew"]))
    expect(dish, "stew", "dish", most_wrong="pie")
    expect(taken_for, "soup", "taken_for", itself="stew")
    worst, taken_for = function(guesses, labels, names)
    row = class_table(guesses, labels, names).loc[worst]
    matrix = confusion_matrix(labels, guesses, labels=range(len(names)))
    times = matrix[names.index(worst), names.index(taken_for)]
    return {"worst": worst, "row": row, "times": times, "taken_for": taken_for}
