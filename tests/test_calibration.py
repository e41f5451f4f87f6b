"""Calibration: the temperature, reliability bins, and the error between them."""

import pytest
import torch

from going_modular.calibration import (
    expected_calibration_error,
    fit_temperature,
    held_out_probabilities,
    reliability,
)


def answers(temperature, count=4000, classes=3):
    """Logits whose probabilities are true once divided by `temperature`."""
    random = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(count, classes, generator=random)
    labels = torch.multinomial(logits.softmax(dim=1), 1, generator=random)[:, 0]
    return temperature * logits, labels


@pytest.mark.parametrize("temperature", [0.5, 3.0])
def test_the_temperature_is_found_changes_no_answer_and_lowers_the_error(temperature):
    logits, labels = answers(temperature)
    assert fit_temperature(logits, labels) == pytest.approx(temperature, rel=0.06)
    before, after = logits.softmax(dim=1), held_out_probabilities(logits, labels)
    assert torch.equal(before.argmax(dim=1), after.argmax(dim=1))
    errors = [
        expected_calibration_error(reliability(p, labels)) for p in (before, after)
    ]
    assert errors[0] > 0.08 and errors[1] < 0.03


def test_no_picture_helps_to_fit_its_own_temperature():
    """A label turned round changes other pictures' probabilities and not its own."""
    logits, labels = answers(2.0, count=40)
    before = held_out_probabilities(logits, labels)
    changed = labels.clone()
    changed[7] = (labels[7] + 1) % 3
    after = held_out_probabilities(logits, changed)
    assert torch.equal(before[7], after[7])
    assert (before != after).any(dim=1).sum() == 36  # all but its own fold of four


def test_bins_count_and_average_what_is_in_them():
    sure = torch.tensor([1.0, 0.92, 0.94, 0.55, 0.59, 0.61])
    probabilities = torch.stack([sure, 1 - sure], dim=1)
    labels = torch.tensor([0, 0, 1, 0, 0, 1])
    table = reliability(probabilities, labels)
    bins = table[["total", "right", "share"]]
    assert bins.index.tolist()[:3] == ["50% to 60%", "60% to 70%", "90% to 95%"]
    assert bins.to_numpy().tolist() == [[2, 2, 1], [1, 0, 0], [2, 1, 0.5], [1, 1, 1]]
    assert table.said.tolist() == pytest.approx([0.57, 0.61, 0.93, 1], abs=1e-6)
    assert (table.low <= table.share).all() and (table.share <= table.high + 1e-9).all()
    by_hand = (2 * 0.43 + 1 * 0.61 + 2 * 0.43 + 0) / 6
    assert expected_calibration_error(table) == pytest.approx(by_hand, abs=1e-6)
