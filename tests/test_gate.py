"""The gate: familiarity, the second head, thresholds, and who judges it."""

from unittest.mock import Mock

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.nn import functional as F
from torch.utils.data import TensorDataset

from going_modular import gate as module
from going_modular.gate import (
    fit_second_head,
    knn_similarity,
    leave_one_dish_out,
    make_gate,
    sample_references,
    signed_sqrt,
    threshold_at_tpr,
    unmet_auroc,
    unmet_table,
)
from going_modular.stored_features import StoredFeatures

WIDE = 16  # features


def cluster(number, count, seed):
    """Pictures of one dish: around a place of its own, all features positive."""
    random = torch.Generator().manual_seed(1000 * number + seed)
    middle = torch.zeros(WIDE)
    middle[2 * number : 2 * number + 2] = 4
    return (middle + torch.randn(count, WIDE, generator=random)).abs()


def dishes(numbers, count, seed=0):
    rows = torch.cat([cluster(number, count, seed) for number in numbers])
    return TensorDataset(rows, torch.arange(len(numbers)).repeat_interleave(count))


OURS, OUR_TEST = dishes((0, 1, 2), 40), dishes((0, 1, 2), 20, seed=1)
NAMES = ["pie", "ribs", "soup"]
HALVES = dishes((3, 4, 5), 30), dishes((3, 4, 5), 15, seed=1)
OTHERS = StoredFeatures(NAMES, *HALVES, torch.ones(WIDE), is_practice=True)
NO_FOOD = -cluster(7, 20, 0)


@pytest.fixture(scope="module")
def head():
    """Logits by how much of its own two features each class has."""
    weights = torch.eye(3, WIDE // 2).repeat_interleave(2, dim=1)
    return module.softmax_head(weights, torch.zeros(3))


def test_familiarity_is_the_mean_cosine_to_the_five_nearest_others():
    torch.manual_seed(0)
    known, rows = torch.randn(40, 8), 3 * torch.randn(6, 8)
    got = knn_similarity(rows, F.normalize(known, dim=1))
    cosines = F.cosine_similarity(rows[:, None].double(), known.double(), dim=2)
    expected = cosines.sort(dim=1).values[:, -5:].mean(dim=1)
    assert got.tolist() == pytest.approx(expected.tolist(), abs=1e-6)
    few = knn_similarity(rows, F.normalize(known[:2], dim=1))
    assert few.shape == (6,) and few.max() <= 1, "fewer than five known will do"
    # A picture unlike all others must not pass for being like itself.
    alone = knn_similarity(torch.eye(8), torch.eye(8), leave_out_self=True)
    assert alone.abs().max() < 1e-6
    assert knn_similarity(torch.eye(8), torch.eye(8)).mean() == pytest.approx(1 / 5)


@pytest.mark.parametrize(("count", "share"), [(7, 0.5), (24, 0.95), (451, 0.95)])
def test_a_line_keeps_its_share(count, share):
    scores = torch.randn(count, generator=torch.Generator().manual_seed(count))
    kept = (scores >= threshold_at_tpr(scores, share)).float().mean().item()
    assert share <= kept < share + 2 / count  # less than two pictures more


def test_every_class_gives_as_many_as_were_asked_for_and_keeps_half():
    labels = torch.tensor([0] * 40 + [1] * 40 + [2] * 5)
    chosen = sample_references(labels, per_class=15)
    assert torch.bincount(labels[chosen]).tolist() == [15, 15, 2]
    assert torch.equal(chosen, sample_references(labels, per_class=15))
    only_one = sample_references(torch.tensor([0, 0, 1]))
    assert only_one.tolist()[2], "it is carried"
    with pytest.raises(ValueError, match="at least two"):
        sample_references(torch.tensor([0, 1]))


def test_the_second_head_is_a_strict_softmax_regression():
    """Scikit-learn's, with the scaling in its weights and without the last class."""
    rows, labels = OURS.tensors
    others = OTHERS.train.tensors[0]
    together = signed_sqrt(torch.cat([rows, others]))
    regression = LogisticRegression(C=module.STRENGTH, class_weight="balanced")
    model = make_pipeline(StandardScaler(), regression)
    model.fit(together.numpy(), [*labels.tolist(), *[3] * len(others)])
    head = fit_second_head(rows, labels, others)
    assert not head.weight.requires_grad
    expected = model.decision_function(together.numpy())[:, :3]
    assert head(together).numpy() == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("others", [OTHERS.train.tensors[0], torch.empty(0, WIDE)])
def test_each_kind_of_picture_gets_its_verdict(others, head):
    rows, labels = OURS.tensors
    gate, thresholds = make_gate(rows, labels, head(rows), others)
    assert (gate.second_head is None) == (len(others) == 0)
    kinds = {"ours": OUR_TEST.tensors[0], "near": OTHERS.test.tensors[0]}
    away = {}
    for name, rows in (kinds | {"far": NO_FOOD}).items():
        likeness, ours = gate(rows, head(rows))
        assert likeness.shape == ours.shape == (len(rows),)
        assert ours.min() >= 0 and ours.max() <= 1
        by_hand = (likeness < thresholds.knn_similarity) | (
            ours < thresholds.in_distribution_score
        )
        assert torch.equal(thresholds.turn_away(likeness, ours), by_hand)
        away[name] = by_hand.float().mean()
    assert away["far"] == 1 and away["ours"] < 0.2
    assert away["near"] > 0.9 or not len(others)
    assert (likeness < thresholds.knn_similarity).all(), "no food is not like ours"


@pytest.mark.parametrize(
    ("carried", "names"),
    [
        (None, [0, 1, 2]),  # some right
        (torch.tensor([True, True, False]), [2, 1, 2]),  # none right
    ],
)
def test_scores_that_are_all_alike_make_no_gate_of_nothing(carried, names, head):
    rows, labels = OURS.tensors[0][:1].repeat(3, 1), torch.tensor(names)
    gate, thresholds = make_gate(rows, labels, head(rows), carried=carried)
    assert torch.stack(gate(rows, head(rows))).isfinite().all()
    limits = [thresholds.knn_similarity, thresholds.in_distribution_score]
    assert np.isfinite(limits).all()


def test_a_large_file_sets_its_thresholds_by_what_it_does_not_carry(head):
    rows, labels = OURS.tensors
    carried = sample_references(labels, per_class=10)
    gate, thresholds = make_gate(rows, labels, head(rows), carried=carried)
    assert torch.equal(gate.known, F.normalize(rows[carried], dim=1))
    likeness, ours = gate(rows[~carried], head(rows[~carried]))
    kept = 1 - thresholds.turn_away(likeness, ours).float().mean()
    assert module.KEPT - 0.03 <= kept <= module.KEPT + 0.03


def rows_of(features):
    return {tuple(row) for row in features.tolist()}


def test_no_picture_sets_a_threshold_by_a_head_that_has_seen_it(head, monkeypatch):
    spy = Mock(wraps=module.fit_second_head)
    monkeypatch.setattr(module, "fit_second_head", spy)
    rows, labels = OURS.tensors
    make_gate(rows, labels, head(rows), OTHERS.train.tensors[0])
    seen = [rows_of(call.args[0]) for call in spy.call_args_list]
    whole, *folds = sorted(seen, key=len, reverse=True)
    assert len(whole) == len(rows) and len(folds) == 10
    left_out = [whole - fold for fold in folds]
    assert sorted(map(len, left_out)) == [12] * 10
    assert set.union(*left_out) == whole


def test_a_dish_is_judged_by_a_gate_that_has_not_met_it(head, monkeypatch):
    spy = Mock(wraps=make_gate)
    monkeypatch.setattr(module, "make_gate", spy)
    rows, test = OURS.tensors[0], OUR_TEST.tensors[0]
    judged = leave_one_dish_out(OURS, head(rows), OTHERS, head=head, test=test)
    assert list(judged) == NAMES and spy.call_count == 3
    features, labels = OTHERS.train.tensors
    for number, call in enumerate(spy.call_args_list):
        others = call.args[3]
        assert not rows_of(features[labels == number]) & rows_of(others)
        assert len(others) == 60
    for unmet in judged.values():
        pairs = [a > b for a in unmet.our_rank for b in unmet.rank]
        found = module.auroc(unmet.our_rank, unmet.rank)
        assert found == pytest.approx(np.mean(pairs), abs=0.01)
    table = unmet_table(judged)
    assert table.loc["ribs", "turned away"] == f"{judged['ribs'].away} of 15"
    assert 0 <= unmet_auroc(judged) <= 1
