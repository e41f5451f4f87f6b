"""Look closer at answers for many classes: top five, confused pairs, class by class."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import nn

from going_modular.evaluation import wilson_interval


@torch.inference_mode()
def score_features(head: nn.Module, features: torch.Tensor) -> torch.Tensor:
    """Logits (N, C) of stored features (N, D)."""
    return head.eval()(features)


def top_k_right(scores: torch.Tensor, labels: torch.Tensor, k: int) -> int:
    """How many pictures have their own class among the k with the highest scores.

    Args:
        scores: Logits or probabilities, (N, C).
        labels: (N,).
        k: 1 counts right answers.
    """
    best = scores.topk(min(k, scores.shape[1]), dim=1).indices
    return int((best == labels.unsqueeze(1)).any(dim=1).sum())


def confusion_matrix(
    guesses: torch.Tensor, labels: torch.Tensor, classes: int
) -> np.ndarray:
    """Counts (C, C): a row for each true class, a column for each guessed one."""
    cells = torch.bincount(labels * classes + guesses, minlength=classes**2)
    return cells.reshape(classes, classes).numpy()


def confused_pairs(
    guesses: torch.Tensor,
    labels: torch.Tensor,
    class_names: Sequence[str],
    *,
    count: int = 10,
) -> pd.DataFrame:
    """The pairs of classes that are most often taken for each other.

    Args:
        guesses: Class numbers, (N,).
        labels: (N,).
        class_names: In column order.
        count: Rows at most; pairs that were never confused are left out.

    Returns:
        A row a pair, most confused first: one and other, its classes; confused, how
        often, both ways; of, pictures of the two; and one_as_other, other_as_one.
    """
    matrix = confusion_matrix(guesses, labels, len(class_names))
    pictures = matrix.sum(axis=1)
    rows = [
        {
            "one": class_names[one],
            "other": class_names[other],
            "confused": int(matrix[one, other] + matrix[other, one]),
            "of": int(pictures[one] + pictures[other]),
            "one_as_other": int(matrix[one, other]),
            "other_as_one": int(matrix[other, one]),
        }
        for one, other in zip(*np.triu_indices(len(class_names), 1), strict=True)
        if matrix[one, other] + matrix[other, one]
    ]
    rows.sort(key=lambda row: -row["confused"])  # stable: ties stay in column order
    columns = ["one", "other", "confused", "of", "one_as_other", "other_as_one"]
    return pd.DataFrame(rows[:count], columns=columns)


def class_table(
    guesses: torch.Tensor, labels: torch.Tensor, class_names: Sequence[str]
) -> pd.DataFrame:
    """How each class did.

    Returns:
        A row a class that has pictures, best first: right, total, share, and the ends
        of its 95% Wilson interval, low and high.
    """
    matrix = confusion_matrix(guesses, labels, len(class_names))
    rows = {}
    for number, name in enumerate(class_names):
        right, total = int(matrix[number, number]), int(matrix[number].sum())
        if total:
            low, high = wilson_interval(right, total)
            rows[name] = (right, total, right / total, low, high)
    columns = ["right", "total", "share", "low", "high"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    return table.sort_values("share", ascending=False, kind="stable")
