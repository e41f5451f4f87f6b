"""Counts for many classes, against counting by hand."""

from collections import Counter

import pytest
import torch
from torch import nn

from going_modular.big.many_classes import (
    class_table,
    confused_pairs,
    confusion_matrix,
    score_features,
    top_k_right,
)
from going_modular.evaluation import wilson_interval

NAMES = ["apple pie", "baklava", "ceviche", "donuts"]
LABELS = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 2, 2])
GUESSES = torch.tensor([0, 1, 1, 0, 1, 2, 2, 2, 2, 0])


def test_scores_are_those_of_a_head_that_does_not_drop_anything():
    head = nn.Sequential(nn.Dropout(0.9), nn.Linear(3, 2)).train()
    features = torch.randn(5, 3)
    assert torch.equal(score_features(head, features), head[1](features))


@pytest.mark.parametrize("k", [1, 2, 3, 4, 5])
def test_top_k_counts_as_sorting_does(k):
    torch.manual_seed(k)
    scores, labels = torch.randn(50, 4), torch.randint(4, (50,))
    by_hand = sum(
        int(label in sorted(range(4), key=lambda c: -row[c])[:k])
        for row, label in zip(scores.tolist(), labels.tolist(), strict=True)
    )
    assert top_k_right(scores, labels, k) == by_hand


def test_rows_are_the_truth_and_columns_the_guesses():
    matrix = confusion_matrix(GUESSES, LABELS, 4)
    pairs = Counter(zip(LABELS.tolist(), GUESSES.tolist(), strict=True))
    assert matrix.shape == (4, 4) and matrix.sum() == 10
    assert all(matrix[place] == number for place, number in pairs.items())


def test_pairs_are_counted_both_ways_most_confused_first():
    pairs = confused_pairs(GUESSES, LABELS, NAMES)
    assert pairs.to_dict("records") == [
        dict(one="apple pie", other="baklava", confused=3, of=6,
             one_as_other=2, other_as_one=1),
        dict(one="apple pie", other="ceviche", confused=1, of=7,
             one_as_other=0, other_as_one=1),
        dict(one="baklava", other="ceviche", confused=1, of=7,
             one_as_other=1, other_as_one=0),
    ]  # fmt: skip
    assert len(confused_pairs(GUESSES, LABELS, NAMES, count=1)) == 1
    assert len(confused_pairs(LABELS, LABELS, NAMES)) == 0


def test_classes_come_best_first_with_their_intervals():
    table = class_table(GUESSES, LABELS, NAMES)
    assert table.index.tolist() == ["ceviche", "apple pie", "baklava"]
    assert table.right.tolist() == [3, 1, 1] and table.total.tolist() == [4, 3, 3]
    row = table.loc["ceviche"]
    assert (row.low, row.high) == pytest.approx(wilson_interval(3, 4))
