"""Counts for many classes, against counting by hand."""

import torch

from going_modular.big.many_classes import confused_pairs, top_k_right

NAMES = ["apple pie", "baklava", "ceviche", "donuts"]
LABELS = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 2, 2])
GUESSES = torch.tensor([0, 1, 1, 0, 1, 2, 2, 2, 2, 0])


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
    scores = torch.eye(4)[GUESSES] - 0.1 * torch.arange(4)
    assert [top_k_right(scores, LABELS, k) for k in (1, 2, 5)] == [5, 8, 10]
