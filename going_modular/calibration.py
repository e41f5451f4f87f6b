"""Are the probabilities worth what they say? Measure it, and mend it.

Of the answers given with 80%, four in five should be right. One number that all logits
are divided by, the temperature, brings them closer to that and changes no answer (Guo
et al., arXiv 1706.04599).
"""

from itertools import pairwise

import numpy as np
import pandas as pd
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor
from torch.nn import functional as F

from going_modular.engine import deal
from going_modular.evaluation import wilson_interval

EDGES = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)  # a bin holds its upper one
RANGE = (0.05, 20.0)  # temperatures that are tried


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """The temperature by which logits (N, C), of unseen pictures, are likeliest."""

    def loss(log_temperature: float) -> float:
        scaled = logits.double() / np.exp(log_temperature)
        return F.cross_entropy(scaled, labels).item()

    best = minimize_scalar(loss, bounds=np.log(RANGE), method="bounded")
    return float(np.exp(best.x))


def held_out_probabilities(logits: Tensor, labels: Tensor) -> Tensor:
    """Calibrated probabilities (N, C), each fold's by the other folds' temperature."""
    probabilities = torch.empty_like(logits)
    for held_out, rest in deal(len(logits)):
        temperature = fit_temperature(logits[rest], labels[rest])
        probabilities[held_out] = (logits[held_out] / temperature).softmax(dim=1)
    return probabilities


def reliability(probabilities: Tensor, labels: Tensor) -> pd.DataFrame:
    """How often the answers of each bin of confidence were right: probabilities (N, C).

    Returns a row a bin that has any: total, right, said (the mean probability of the
    answers), share (of right ones), low and high (its 95% Wilson interval).
    """
    said, guesses = probabilities.double().max(dim=1)
    names = [f"{low:.0%} to {high:.0%}" for low, high in pairwise(EDGES)]
    answers = pd.DataFrame({"said": said.numpy(), "right": (guesses == labels).numpy()})
    bins = pd.cut(answers.said.clip(upper=1), EDGES, labels=names).rename("bin")
    grouped = answers.groupby(bins, observed=True)
    table = grouped.right.agg(total="size", right="sum", share="mean")
    table.insert(2, "said", grouped.said.mean())
    counts = zip(table.right, table.total, strict=True)
    table[["low", "high"]] = [wilson_interval(*count) for count in counts]
    return table


def expected_calibration_error(table: pd.DataFrame) -> float:
    """The mean gap between said and share in `reliability`, every picture alike."""
    gaps = (table.said - table.share).abs() * table.total
    return float(gaps.sum() / table.total.sum())
