"""The few features that a file of 101 classes carries, and the threshold they give."""

import pytest
import torch
from torch.nn import functional as F

from going_modular.export import familiarity
from going_modular.known_features import choose_known, threshold_from

LABELS = torch.arange(6).repeat_interleave(20)


def make_features():
    torch.manual_seed(0)
    return torch.randn(6, 16).repeat_interleave(20, dim=0) + 0.3 * torch.randn(120, 16)


def rows_of(tensor):
    return {tuple(row) for row in tensor.tolist()}


def test_every_class_gives_as_many_and_nothing_is_lost_or_doubled():
    features = make_features()
    known, others = choose_known(features, LABELS, per_class=4)
    assert known.shape == (24, 16) and others.shape == (96, 16)
    assert rows_of(known) | rows_of(others) == rows_of(features)
    for label in range(6):
        mine = rows_of(features[label == LABELS])
        assert len(mine & rows_of(known)) == 4


def test_the_seed_decides():
    features = make_features()
    first, again, other = (
        choose_known(features, LABELS, per_class=4, seed=seed)[0] for seed in (1, 1, 2)
    )
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_a_small_class_keeps_half_for_the_threshold():
    labels = torch.tensor([0] * 40 + [1] * 5)
    known, others = choose_known(torch.randn(45, 3), labels, per_class=15)
    assert len(known) == 15 + 2 and len(others) == 25 + 3
    with pytest.raises(ValueError, match="at least two"):
        choose_known(torch.randn(3, 3), torch.tensor([0, 0, 1]))


def test_so_many_pass_and_something_else_does_not():
    known, others = choose_known(make_features(), LABELS, per_class=10)
    threshold = threshold_from(others, known)
    scores = familiarity(others, F.normalize(known, dim=1))
    assert 57 <= (scores >= threshold).sum() <= 58  # 95% of 60 are 57
    strange = familiarity(torch.randn(50, 16), F.normalize(known, dim=1))
    assert (strange < threshold).all()
