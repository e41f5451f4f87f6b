"""Look closer at answers for many classes: top five, confused pairs, class by class."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import confusion_matrix
from torch import Tensor, nn

from going_modular.evaluation import wilson_interval


@torch.inference_mode()
def score_features(head: nn.Module, features: Tensor) -> Tensor:
    """Logits (N, C) of stored features (N, D)."""
    return head.eval()(features)


def top_k_right(scores: Tensor, labels: Tensor, k: int) -> int:
    """How many of N pictures have their class among the k highest of scores (N, C)."""
    best = scores.topk(min(k, scores.shape[1]), dim=1).indices
    return int((best == labels.unsqueeze(1)).any(dim=1).sum())


def confused_pairs(
    guesses: Tensor, labels: Tensor, class_names: Sequence[str], *, count=10
) -> pd.DataFrame:
    """The pairs of classes that are most often taken for each other, `count` at most.

    Guesses and labels, (N,), are places in `class_names`. Returns a row a pair, most
    confused first: one and other, its classes; confused, how often, both ways; of,
    pictures of the two; and one_as_other, other_as_one.
    """
    names = np.array(class_names, object)
    matrix = confusion_matrix(labels, guesses, labels=range(len(names)))
    both, pictures = matrix + matrix.T, matrix.sum(axis=1)
    one, other = np.nonzero(np.triu(both, 1))
    first = np.argsort(-both[one, other], kind="stable")[:count]
    one, other = one[first], other[first]
    columns = {
        "one": names[one],
        "other": names[other],
        "confused": both[one, other],
        "of": pictures[one] + pictures[other],
        "one_as_other": matrix[one, other],
        "other_as_one": matrix[other, one],
    }
    return pd.DataFrame(columns)


def class_table(
    guesses: Tensor, labels: Tensor, class_names: Sequence[str]
) -> pd.DataFrame:
    """How each class that has pictures did, a row a class, best first.

    The columns are right, total, share, and the ends of its 95% Wilson interval.
    """
    matrix = confusion_matrix(labels, guesses, labels=range(len(class_names)))
    counts = zip(class_names, matrix.diagonal(), matrix.sum(axis=1), strict=True)
    rows = {
        name: (right, total, right / total, *wilson_interval(right, total))
        for name, right, total in counts
        if total
    }
    columns = ["right", "total", "share", "low", "high"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    return table.sort_values("share", ascending=False, kind="stable")
