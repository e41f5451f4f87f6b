"""Checks of companion 7, many dishes."""

import math
from collections.abc import Callable, Sequence

import torch

from going_modular.big.food101 import ALL_PHOTOS
from going_modular.big.many_classes import class_table, confusion_matrix
from going_modular.your_turn.checking import count, given, need, says

MINUTES = 10


@says
def computers(number: int, seconds: float) -> str:
    """How many computers make all features in ten minutes.

    Args:
        number: The reader's.
        seconds: What a photo costs on one of them.
    """
    exact = ALL_PHOTOS * seconds / (60 * MINUTES)
    need(
        float(number).is_integer(),
        "a whole number is wanted: a part of a computer is a computer.",
    )
    number, expected = count(number), math.ceil(exact)
    need(
        number != math.ceil(exact * 60) or number == expected,
        "ten minutes are 600 seconds.",
    )
    need(number >= expected, f"{number} need longer than ten minutes: round up.")
    need(number == expected, f"fewer will do: {expected}.")
    return f"{expected} of them, if none waits for the disk that they share."


@says
def among(
    number: int, logits: torch.Tensor, labels: torch.Tensor, few: torch.Tensor
) -> str:
    """Right answers for a few dishes, if only those may be chosen.

    Args:
        number: The reader's.
        logits: (N, C).
        labels: (N,).
        few: Class numbers, (K,).
    """
    mine, number = torch.isin(labels, few), count(number)
    truth, scores = labels[mine], logits[mine]
    expected = int((few[scores[:, few].argmax(dim=1)] == truth).sum())
    among_all = int((scores.argmax(dim=1) == truth).sum())
    need(
        number != among_all or number == expected,
        "that is with all dishes to choose from: take the columns of `few` only.",
    )
    need(
        number == expected,
        "logits[:, few].argmax(dim=1) counts from 0 within `few`: few[...] gives the "
        "class number. Compare it with the labels of their photos.",
    )
    return (
        f"{expected:,} of {len(truth):,} among {len(few)} dishes, {among_all:,} of the "
        f"same photos among all {logits.shape[1]}."
    )


@says
def worst_class(
    function: Callable[..., tuple[str, str]],
    guesses: torch.Tensor,
    labels: torch.Tensor,
    names: Sequence[str],
) -> str:
    """The dish that is least often right, and its most frequent wrong name.

    Args:
        function: The reader's, of guesses, labels and names.
        guesses: Class numbers, (N,).
        labels: (N,).
        names: Of the classes.
    """
    soups, pies = [0] * 3 + [2], [1] * 10 + [0] * 4 + [2] * 2
    stews = [2] * 4 + [0] * 3 + [1] * 2
    said = torch.tensor(soups + pies + stews)
    truth = torch.tensor([0] * len(soups) + [1] * len(pies) + [2] * len(stews))
    found = given(function(said, truth, ["soup", "pie", "stew"]))
    need(
        isinstance(found, tuple | list) and len(found) == 2,
        "return two names: the dish, and what it is taken for.",
    )
    need(found[0] != "pie", "6 of 16 pies are wrong; of the stews a larger share is.")
    need(found[0] == "stew", "4 of 9 stews are right: the lowest share.")
    need(found[1] != "stew", "that is the dish itself: leave the right guesses out.")
    need(found[1] == "soup", "three stews are called soup, and two are called pie.")
    worst, taken_for = function(guesses, labels, names)
    row = class_table(guesses, labels, names).loc[worst]
    matrix = confusion_matrix(guesses, labels, len(names))
    times = matrix[names.index(worst), names.index(taken_for)]
    return (
        f"Here it is {worst}, {row.right:.0f} of {row.total:.0f} right; {times} are "
        f"called {taken_for}."
    )
