"""The gate: familiarity, the second head, thresholds, and who judges it."""

import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import TensorDataset

from going_modular import gate as module
from going_modular.gate import (
    OODDetector,
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

COMPANION = Path(__file__).parents[1] / "companions" / "2_honest_answers.ipynb"
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
OTHERS = StoredFeatures(
    NAMES,
    dishes((3, 4, 5), 30),
    dishes((3, 4, 5), 15, seed=1),
    probe=torch.ones(WIDE),
    is_practice=True,
)
NO_FOOD = -cluster(7, 20, 0)


@pytest.fixture(scope="module")
def head():
    """Logits by how much of its own two features each class has."""
    layer = nn.Linear(WIDE, 3).requires_grad_(False)
    layer.weight.zero_()
    for number in range(3):
        layer.weight[number, 2 * number : 2 * number + 2] = 1
    layer.bias.zero_()
    return layer


@pytest.fixture(scope="module")
def made(head):
    rows, labels = OURS.tensors
    return make_gate(rows, labels, head(rows), OTHERS.train.tensors[0])


# Familiarity


def nearest_five(row, known):
    """Mean cosine similarity to the five nearest, one by one, in float64."""
    row = row.numpy().astype(np.float64)
    cosines = []
    for other in known.numpy().astype(np.float64):
        lengths = np.sqrt((row**2).sum() * (other**2).sum())
        cosines.append((row * other).sum() / lengths)
    return np.mean(sorted(cosines)[-5:])


def test_familiarity_is_the_mean_cosine_to_the_five_nearest():
    torch.manual_seed(0)
    known, rows = torch.randn(40, 8), 3 * torch.randn(6, 8)
    got = knn_similarity(rows, F.normalize(known, dim=1))
    expected = [nearest_five(row, known) for row in rows]
    assert got.tolist() == pytest.approx(expected, abs=1e-6)
    few = knn_similarity(rows, F.normalize(known[:2], dim=1))
    assert few.shape == (6,) and few.max() <= 1, "fewer than five known will do"


def test_a_picture_is_not_compared_with_itself():
    """A picture unlike all others must not pass for being like itself."""
    known = torch.eye(8)
    alone = knn_similarity(known, known, leave_out_self=True)
    assert alone.abs().max() < 1e-6
    assert knn_similarity(known, known).mean() == pytest.approx(1 / 5, abs=1e-6)


@pytest.mark.parametrize("count", [7, 24, 150, 450, 451])
@pytest.mark.parametrize("share", [0.95, 0.5])
def test_a_line_keeps_its_share(count, share):
    scores = torch.randn(count, generator=torch.Generator().manual_seed(count))
    kept = (scores >= threshold_at_tpr(scores, share)).float().mean().item()
    assert share <= kept < share + 2 / count  # less than two pictures more


# Which features a large file carries


def test_every_class_gives_as_many_as_were_asked_for():
    labels = torch.arange(6).repeat_interleave(20)
    chosen = sample_references(labels, per_class=4)
    assert torch.bincount(labels[chosen]).tolist() == [4] * 6
    again, other = (sample_references(labels, per_class=4, seed=s) for s in (42, 1))
    assert torch.equal(chosen, again) and not torch.equal(chosen, other)


def test_a_small_class_keeps_half_for_the_thresholds():
    labels = torch.tensor([0] * 40 + [1] * 5)
    chosen = sample_references(labels, per_class=15)
    assert torch.bincount(labels[chosen]).tolist() == [15, 2]
    assert sample_references(torch.tensor([0, 0, 1])).sum() == 2, (
        "an only one is carried"
    )
    with pytest.raises(ValueError, match="at least two"):
        sample_references(torch.tensor([0, 1]))


# The second head


def test_the_second_head_is_a_strict_softmax_regression():
    """Its gradient, written down by hand, is zero where it ends."""
    rows, labels = OURS.tensors
    others = OTHERS.train.tensors[0]
    together = signed_sqrt(torch.cat([rows, others])).double().numpy()
    scaled = (together - together.mean(0)) / together.std(0)
    targets = np.r_[labels.numpy(), [3] * len(others)]
    weight = len(targets) / (4 * np.bincount(targets))[targets]

    head = fit_second_head(rows, labels, others)
    assert head.weight.shape == (3, WIDE) and not head.weight.requires_grad
    # The fourth logit is dropped: of all that fit, weights that add up to zero are the
    # smallest, so it is what the others leave.
    w = head.weight.double().numpy() * together.std(0)
    b = (head.bias.double().numpy()) + head.weight.double().numpy() @ together.mean(0)
    w, b = np.r_[w, [-w.sum(0)]], np.r_[b, [-b.sum()]]
    logits = scaled @ w.T + b
    p = np.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    error = (p - np.eye(4)[targets]) * weight[:, None]
    gradient = module.STRENGTH * error.T @ scaled + w
    assert np.abs(gradient).max() < 2e-3 * np.abs(w).max()


def test_signs_stay_when_features_are_spread():
    assert signed_sqrt(torch.tensor([-4.0, 0.0, 9.0])).tolist() == [-2, 0, 3]


# The gate


def test_each_kind_of_picture_gets_its_verdict(made, head):
    gate, thresholds = made
    away = {}
    for name, rows in (
        ("ours", OUR_TEST.tensors[0]),
        ("near", OTHERS.test.tensors[0]),
        ("far", NO_FOOD),
    ):
        likeness, ours = gate(rows, head(rows))
        assert likeness.shape == ours.shape == (len(rows),)
        assert ours.min() >= 0 and ours.max() <= 1
        away[name] = thresholds.turn_away(likeness, ours).float().mean().item()
        by_hand = (likeness < thresholds.knn_similarity) | (
            ours < thresholds.in_distribution_score
        )
        assert torch.equal(thresholds.turn_away(likeness, ours), by_hand)
    assert away["far"] == 1 and away["near"] > 0.9 and away["ours"] < 0.2
    assert (gate(NO_FOOD, head(NO_FOOD))[0] < thresholds.knn_similarity).all()


def test_a_gate_without_other_dishes_listens_to_familiarity(head):
    rows, labels = OURS.tensors
    for nobody in (None, torch.empty(0, WIDE)):
        gate, thresholds = make_gate(rows, labels, head(rows), nobody)
        assert gate.second_head is None
        likeness, ours = gate(NO_FOOD, head(NO_FOOD))
        assert thresholds.turn_away(likeness, ours).all()
        mine = thresholds.turn_away(
            *gate(OUR_TEST.tensors[0], head(OUR_TEST.tensors[0]))
        )
        assert mine.float().mean() < 0.2


def test_only_pictures_named_rightly_set_the_threshold(head):
    """To turn away what would get a wrong name costs nothing."""
    rows, labels = OURS.tensors
    logits = head(rows).clone()
    strict = make_gate(rows, labels, logits)[1].in_distribution_score
    logits[:12] = torch.tensor([-9.0, -8.0, -7.0])  # named wrongly, and not sure
    assert make_gate(rows, labels, logits)[1].in_distribution_score > 0.5 * strict


def test_a_head_that_names_nothing_rightly_gets_a_gate_all_the_same(head):
    rows, labels = OURS.tensors
    _, thresholds = make_gate(rows, (labels + 1) % 3, head(rows))
    assert 0 <= thresholds.in_distribution_score < 1


def test_scores_that_are_all_alike_make_no_gate_of_nothing(head):
    rows, labels = OURS.tensors[0][:1].repeat(3, 1), torch.tensor([0, 1, 2])
    for carried in (None, torch.tensor([True, True, False])):
        gate, thresholds = make_gate(rows, labels, head(rows), carried=carried)
        assert torch.stack(gate(rows, head(rows))).isfinite().all()
        assert np.isfinite(
            [thresholds.knn_similarity, thresholds.in_distribution_score]
        ).all()


def test_a_large_file_sets_its_thresholds_by_what_it_does_not_carry(head):
    rows, labels = OURS.tensors
    carried = sample_references(labels, per_class=10)
    gate, thresholds = make_gate(rows, labels, head(rows), carried=carried)
    assert torch.equal(gate.known, F.normalize(rows[carried], dim=1))
    likeness, ours = gate(rows[~carried], head(rows[~carried]))
    kept = 1 - thresholds.turn_away(likeness, ours).float().mean()
    assert module.KEPT - 0.03 <= kept <= module.KEPT + 0.03


def test_no_picture_sets_a_threshold_by_a_head_that_has_seen_it(monkeypatch, head):
    seen = []
    real = module.fit_second_head

    def diary(rows, labels, others):
        seen.append({tuple(row) for row in rows.tolist()})
        return real(rows, labels, others)

    monkeypatch.setattr(module, "fit_second_head", diary)
    rows, labels = OURS.tensors
    make_gate(rows, labels, head(rows), OTHERS.train.tensors[0])
    whole, *folds = sorted(seen, key=len, reverse=True)
    assert len(whole) == len(rows) and len(folds) == 10
    left_out = [whole - fold for fold in folds]
    assert sorted(map(len, left_out)) == [12] * 10
    assert set.union(*left_out) == whole


def test_a_dish_is_judged_by_a_gate_that_has_not_met_it(monkeypatch, head):
    met = []
    real = module.make_gate

    def diary(rows, labels, logits, others):
        met.append({tuple(row) for row in others.tolist()})
        return real(rows, labels, logits, others)

    monkeypatch.setattr(module, "make_gate", diary)
    rows = OURS.tensors[0]
    test = OUR_TEST.tensors[0]
    judged = leave_one_dish_out(OURS, head(rows), OTHERS, head=head, test=test)
    assert list(judged) == NAMES
    features, labels = OTHERS.train.tensors
    for number, (dish, others) in enumerate(zip(NAMES, met, strict=True)):
        own = {tuple(row) for row in features[labels == number].tolist()}
        assert not own & others and len(others) == 60, dish
    for unmet in judged.values():
        assert len(unmet.rank) == 15 and len(unmet.our_rank) == 60
        assert unmet.away == int((unmet.rank < 0).sum())
        assert unmet.our_away == int((unmet.our_rank < 0).sum())
        pairs = [a > b for a in unmet.our_rank for b in unmet.rank]
        assert unmet.auroc == pytest.approx(np.mean(pairs), abs=0.01)
    table = unmet_table(judged)
    assert table.loc["ribs", "turned away"] == f"{judged['ribs'].away} of 15"
    assert 0 <= unmet_auroc(judged) <= 1


def test_one_gate_answers_alike_alone_and_together(made, head):
    gate, _ = made
    rows = OUR_TEST.tensors[0][:4]
    together = torch.stack(gate(rows, head(rows)))
    alone = [torch.stack(gate(r, head(r)))[:, 0] for r in rows.split(1)]
    torch.testing.assert_close(together, torch.stack(alone, dim=1))
    assert isinstance(gate, OODDetector)


def test_the_companion_states_the_share_that_is_kept():
    cells = nbformat.read(COMPANION, as_version=4).cells
    text = " ".join(cell.source for cell in cells if cell.cell_type == "markdown")
    assert int(re.search(r"thresholds keep (\d+)%", text)[1]) / 100 == module.KEPT
