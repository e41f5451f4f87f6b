"""Checks of companion 7, many dishes."""

import math
from collections.abc import Callable, Sequence

import torch
from sklearn.metrics import confusion_matrix
from torch import Tensor

from going_modular.big.food101 import ALL_PHOTOS
from going_modular.big.many_classes import class_table
from going_modular.your_turn.checking import expect, expect_count, need, pair, says


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
