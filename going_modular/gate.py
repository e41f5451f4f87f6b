"""The gate: is this a plate at all, and is one of our dishes on it?

A portrait is far from any plate: **knn_similarity** sees that it resembles no training
picture. Another dish is near: **in_distribution_score** sees that. It adds up two
scores, each in standard deviations of our own held-out pictures:

- confidence, the largest logit of our head (Hendrycks et al., arXiv 1911.11132);
- the largest logit for our classes of a second head, which has met other dishes as a
  class of their own (outlier exposure, Hendrycks et al., arXiv 1812.04606). Where
  there are no other dishes to meet, knn_similarity takes its place.
"""

from dataclasses import dataclass, replace

import pandas as pd
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import TensorDataset

from going_modular.engine import HEAD, cross_validate, deal
from going_modular.stored_features import StoredFeatures

NEIGHBOURS = 5
FLOOR = 2.5  # standard deviations of our own knn_similarity below its mean
KEPT = 0.93  # true positive rate, of the training pictures that are named rightly
STRENGTH = 1e-3  # of the second head's fit: scikit-learn's C, small is strict


def knn_similarity(features: Tensor, known: Tensor, *, leave_out_self=False) -> Tensor:
    """Mean cosine of features (M, D) to their five nearest in known (N, D): (M,).

    The known have length 1. With `leave_out_self`, row m of both is not compared.
    """
    similarity = F.normalize(features, dim=1) @ known.T
    neighbours = min(NEIGHBOURS, known.shape[0] - leave_out_self)
    if leave_out_self:
        similarity.fill_diagonal_(-1)
    return similarity.topk(neighbours, dim=1).values.mean(dim=1)


def threshold_at_tpr(scores: Tensor, tpr: float) -> float:
    """The score, of N, that a share of our own pictures (`tpr`) reach or exceed."""
    # "lower" is a picture's own score: between two, one picture too few would be kept.
    return scores.quantile(1 - tpr, interpolation="lower").item()


def middle_and_width(scores: Tensor) -> tuple[float, float]:
    """Mean and standard deviation of scores (N,); never 0, however alike they are."""
    return scores.mean().item(), max(scores.std(correction=0).item(), 1e-6)


def signed_sqrt(features: Tensor) -> Tensor:
    """Square roots, signs kept: a few large features no longer drown the small ones."""
    return features.sign() * features.abs().sqrt()


def fit_second_head(features: Tensor, labels: Tensor, others: Tensor) -> nn.Linear:
    """Tell our C classes from each other and from other dishes, one class more.

    Features are of our training pictures, (N, D), and of other dishes, (M, D). Returns
    a layer from features passed through `signed_sqrt`, (N, D), to logits (N, C).
    """
    rows = signed_sqrt(torch.cat([features, others]))
    strangers = torch.full((len(others),), int(labels.max()) + 1)
    head = fit_softmax(rows, torch.cat([labels, strangers]), scale_by=rows)
    return softmax_head(head.weight[:-1], head.bias[:-1])  # the last class is theirs


@threadpool_limits.wrap(limits=1)
def fit_softmax(rows: Tensor, labels: Tensor, *, scale_by: Tensor) -> nn.Linear:
    """Fit a strict linear head, from rows (N, D) to logits (N, C), classes alike.

    Scikit-learn fits it to rows that are standardised as `scale_by`, (K, D), would be.
    """
    scaler = StandardScaler().fit(scale_by.numpy())
    model = LogisticRegression(C=STRENGTH, class_weight="balanced", solver="newton-cg")
    model.fit(scaler.transform(rows.numpy()), labels.numpy())
    weights = model.coef_ / scaler.scale_
    bias = model.intercept_ - weights @ scaler.mean_
    return softmax_head(torch.from_numpy(weights), torch.from_numpy(bias))


def softmax_head(weights: Tensor, bias: Tensor) -> nn.Linear:
    """A fixed linear layer with these weights (C, D) and this bias (C,)."""
    head = nn.Linear(*weights.T.shape).requires_grad_(False)
    head.weight.copy_(weights)
    head.bias.copy_(bias)
    return head


class OODDetector(nn.Module):
    """Two scores by which strangers are told from our dishes.

    Pictures are compared with `known` features, (K, D). Without a `second_head` (from
    `fit_second_head`), knn_similarity is the second score. Our own held-out pictures'
    largest logits and second scores, both (N,), are the scale.
    """

    def __init__(
        self,
        known: Tensor,
        second_head: nn.Linear | None,
        *,
        confidence: Tensor,
        second: Tensor,
    ):
        super().__init__()
        self.register_buffer("known", F.normalize(known, dim=1))
        self.second_head = second_head
        for name, scores in (("confidence", confidence), ("second", second)):
            middle, width = middle_and_width(scores)
            self.register_buffer(f"{name}_middle", torch.tensor(middle))
            self.register_buffer(f"{name}_width", torch.tensor(width))

    def forward(self, features: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Judge pictures by their features (N, D) and our head's logits (N, C).

        Returns knn_similarity in [-1, 1] and in_distribution_score in [0, 1], (N,).
        """
        likeness = second = knn_similarity(features, self.known)
        if self.second_head is not None:
            second = self.second_head(signed_sqrt(features)).amax(dim=1)
        return likeness, self.in_distribution_score(logits.amax(dim=1), second)

    def in_distribution_score(self, confidence: Tensor, second: Tensor) -> Tensor:
        """Sum of both standardised scores (N,), through a sigmoid; no probability."""
        confidence = (confidence - self.confidence_middle) / self.confidence_width
        second = (second - self.second_middle) / self.second_width
        return (confidence + second).sigmoid()


@dataclass(frozen=True)
class Thresholds:
    """Below the first a picture is no plate; below the second, it is another dish."""

    knn_similarity: float
    in_distribution_score: float

    def rank(self, likeness: Tensor, score: Tensor) -> Tensor:
        """One number for both scores, (N,): no plate ranks below every dish."""
        return score - (likeness < self.knn_similarity).float()

    def turn_away(self, likeness: Tensor, score: Tensor) -> Tensor:
        """Which pictures (N,) are not let through."""
        return self.rank(likeness, score) < self.in_distribution_score


def make_gate(
    features: Tensor, labels: Tensor, logits: Tensor, others=None, *, carried=None
) -> tuple[OODDetector, Thresholds]:
    """Make a gate, and set its thresholds, by training pictures alone.

    Their logits (N, C) are by heads that had not seen them; `others` are other dishes'
    features to learn from, (M, D). The gate compares with those `carried`, (N,) bool,
    and the rest set the thresholds; without it, each is compared with all the others.
    """
    compares_all = carried is None
    kept, asked = (slice(None),) * 2 if compares_all else (carried, ~carried)
    known = features[kept][labels[kept].argsort(stable=True)]  # class after class
    likeness = knn_similarity(
        features[asked], F.normalize(features[kept], dim=1), leave_out_self=compares_all
    )
    confidence, head, second = logits.amax(dim=1)[asked], None, likeness
    if others is not None and len(others):
        head = fit_second_head(features, labels, others)
        second = held_out_second(features, labels, others)[asked]
    gate = OODDetector(known, head, confidence=confidence, second=second)
    middle, width = middle_and_width(likeness)
    thresholds = Thresholds(middle - FLOOR * width, 0.0)
    ranks = thresholds.rank(likeness, gate.in_distribution_score(confidence, second))
    # To turn a picture away that would get a wrong name costs nothing.
    right = (logits.argmax(dim=1) == labels)[asked]
    line = threshold_at_tpr(ranks[right] if right.any() else ranks, KEPT)
    return gate, replace(thresholds, in_distribution_score=max(0.0, line))


@threadpool_limits.wrap(limits=1)
def held_out_second(features: Tensor, labels: Tensor, others: Tensor) -> Tensor:
    """Second scores of our training pictures, by heads that had not seen them."""
    scores = torch.empty(len(features))
    for held_out, rest in deal(len(features)):
        head = fit_second_head(features[rest], labels[rest], others)
        scores[held_out] = head(signed_sqrt(features[held_out])).amax(dim=1)
    return scores


def sample_references(labels: Tensor, *, per_class: int = 15, seed: int = 42) -> Tensor:
    """Choose by a seed whose features a file carries, (N,) bool, of labels (N,).

    Of each class `per_class`, at most half (the rest set thresholds), at least one.
    """
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    chosen = torch.zeros(len(labels), dtype=torch.bool)
    for label in labels.unique():
        of_class = order[labels[order] == label]
        chosen[of_class[: max(1, min(per_class, len(of_class) // 2))]] = True
    if chosen.all():
        raise ValueError("some class needs at least two training pictures")
    return chosen


@dataclass(frozen=True)
class LeaveOneOutResult:
    """How a gate did on a dish that took no part in making it."""

    rank: Tensor  # of its test pictures, less the threshold: below 0 is away
    our_rank: Tensor  # the same of ours

    @property
    def away(self) -> int:
        return int((self.rank < 0).sum())


def auroc(ours: Tensor, strangers: Tensor) -> float:
    """Area under the ROC curve of scores (N,) and (M,): 1 is perfect, 0.5 guessing."""
    truth = [1] * len(ours) + [0] * len(strangers)
    return float(roc_auc_score(truth, torch.cat([ours, strangers])))


@torch.inference_mode()
def leave_one_dish_out(
    ours: TensorDataset,
    logits: Tensor,
    others: StoredFeatures,
    *,
    head: nn.Module,
    test: Tensor,
) -> dict[str, LeaveOneOutResult]:
    """Judge, for every other dish, a gate that was made without it.

    `ours` and `logits` are of our training pictures, `test` our tests' features (T, D).
    """
    judged = {}
    for dish in others.names:
        met = others.without(dish).train.tensors[0]
        gate, thresholds = make_gate(*ours.tensors, logits, met)
        line, both = thresholds.in_distribution_score, (others.test_of(dish), test)
        ranks = (thresholds.rank(*gate(rows, head(rows))) - line for rows in both)
        judged[dish] = LeaveOneOutResult(*ranks)
    return judged


def unmet_auroc(judged: dict[str, LeaveOneOutResult]) -> float:
    """Of all dishes together, each by the gate that had not met it."""
    ranks = [(unmet.our_rank, unmet.rank) for unmet in judged.values()]
    return auroc(*map(torch.cat, zip(*ranks, strict=True)))


def judge_gate(
    ours: TensorDataset, others: StoredFeatures, *, head: nn.Module, test: Tensor
) -> dict[str, object]:
    """`ModelMetadata.gate`, but for far ones, by `leave_one_dish_out`."""
    logits = cross_validate(head, ours, settings=HEAD).logits
    judged = leave_one_dish_out(ours, logits, others, head=head, test=test)
    gate, thresholds = make_gate(*ours.tensors, logits, others.train.tensors[0])
    with torch.inference_mode():
        away = thresholds.turn_away(*gate(test, head(test)))
    met, asked = len(others.train), len(others.test)
    return {
        "made_with": f"{met} {others.label} of other dishes" if met else "no others",
        "judged_on": f"{asked} more, each dish by a gate that had not met it",
        "near": {dish: [one.away, len(one.rank)] for dish, one in judged.items()},
        "auroc": unmet_auroc(judged) if judged else None,
        "far": [0, 0],
        "ours": [int(away.sum()), len(test)],
    }


def unmet_table(judged: dict[str, LeaveOneOutResult]) -> pd.DataFrame:
    """The judgement for reading: a row a dish, counts with their denominators."""
    rows = {}
    for dish, unmet in judged.items():
        ours = unmet.our_rank
        rows[dish] = {
            "turned away": f"{unmet.away} of {len(unmet.rank)}",
            "AUROC": f"{auroc(ours, unmet.rank):.2f}",
            "ours turned away": f"{int((ours < 0).sum())} of {len(ours)}",
        }
    return pd.DataFrame(rows).T
