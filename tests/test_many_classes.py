"""Counts for many classes, against counting by hand."""

import pytest
import torch

from going_modular.big.many_classes import (
    class_table,
    confused_pairs,
    top_k_right,
)
from going_modular.evaluation import wilson_interval

NAMES = ["apple pie", "baklava", "ceviche", "donuts"]
LABELS = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 2, 2])
GUESSES = torch.tensor([0, 1, 1, 0, 1, 2, 2, 2, 2, 0])


@pytest.mark.parametrize("k", [1, 2, 5])
def test_top_k_counts_as_sorting_does(k):
    torch.manual_seed(k)
    scores, labels = torch.randn(50, 4), torch.randint(4, (50,))
    ranked = scores.argsort(dim=1, descending=True)[:, :k]
    by_hand = (ranked == labels[:, None]).sum().item()
    assert top_k_right(scores, labels, k) == by_hand


def test_pairs_are_counted_both_ways_most_confused_first():
    pairs = confused_pairs(GUESSES, LABELS, NAMES)
    columns = ["one", "other", "confused", "of", "one_as_other", "other_as_one"]
    assert pairs[columns].to_numpy().tolist() == [
        ["apple pie", "baklava", 3, 6, 2, 1],
        ["apple pie", "ceviche", 1, 7, 0, 1],
        ["baklava", "ceviche", 1, 7, 1, 0],
    ]
    assert len(confused_pairs(GUESSES, LABELS, NAMES, count=1)) == 1
    assert len(confused_pairs(LABELS, LABELS, NAMES)) == 0


def test_classes_come_best_first_with_their_intervals():
    table = class_table(GUESSES, LABELS, NAMES)
    assert table.index.tolist() == ["ceviche", "apple pie", "baklava"]
    assert table.right.tolist() == [3, 1, 1] and table.total.tolist() == [4, 3, 3]
    row = table.loc["ceviche"]
    assert (row.low, row.high) == pytest.approx(wilson_interval(3, 4))
