"""Familiarity where there are too many training pictures to keep all their features.

Mini's file carries the features of all 450 training pictures. Food-101's would make a
file several times the size of the network, so it carries those of a few of each class.
"""

import torch
from torch.nn import functional as F

from going_modular.export import familiarity

PER_CLASS = 15


def choose_known(
    features: torch.Tensor,
    labels: torch.Tensor,
    *,
    per_class: int = PER_CLASS,
    seed: int = 42,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Choose by a seed whose features the file carries.

    Args:
        features: Of the training pictures, (N, D).
        labels: (N,).
        per_class: Pictures of each class, or half of a class that has not even two
            times as many: some must be left to set the threshold by.
        seed: Another one chooses others.

    Returns:
        Features of the chosen, (K, D), and of the others, (N - K, D).

    Raises:
        ValueError: If a class has only one picture.
    """
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    chosen = torch.zeros(len(labels), dtype=torch.bool)
    for label in labels.unique():
        of_class = order[labels[order] == label]
        if len(of_class) < 2:
            raise ValueError(f"class {label} needs at least two training pictures")
        chosen[of_class[: min(per_class, len(of_class) // 2)]] = True
    return features[chosen], features[~chosen]


def threshold_from(
    others: torch.Tensor, known: torch.Tensor, *, kept: float = 0.95
) -> float:
    """The familiarity that `kept` of the training pictures not chosen reach.

    Args:
        others: Their features, (M, D).
        known: Features that the file carries, (K, D).
        kept: Share that lies at or above the threshold.
    """
    scores = familiarity(others, F.normalize(known, dim=1))
    return scores.quantile(1 - kept, interpolation="lower").item()
