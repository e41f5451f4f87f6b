"""Predicting pictures one by one, in order, with an honest clock."""

import math
from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.transforms.functional import to_tensor

from going_modular import predictions
from going_modular.predictions import WARM_UP, take_turns

CLASS_NAMES = ["pizza", "steak", "sushi"]
COLOURS = ["red", "lime", "blue"]


class MostlyOneColour(nn.Module):
    """Scores a picture by its colours: logits are the channels' means, times 5."""

    calls = 0

    def forward(self, pictures):
        assert not self.training and torch.is_inference_mode_enabled()
        self.calls += 1
        return 5 * pictures.mean(dim=(2, 3))


@pytest.fixture
def samples(tmp_path):
    """Six pictures in the colours of their classes, the last with a wrong label."""
    files = [tmp_path / f"{number}.png" for number in range(6)]
    for file, label in zip(files, [2, 0, 1, 1, 0, 1], strict=True):
        Image.new("RGB", (6, 4), COLOURS[label]).save(file)
    return list(zip(files, [2, 0, 1, 1, 0, 0], strict=True))


def test_pictures_are_predicted_in_order_after_a_warm_up_by_an_honest_clock(
    samples, monkeypatch
):
    """It runs from the file to the answer, and splits at every step."""
    clock = [10.0]
    monkeypatch.setattr(predictions.time, "perf_counter", lambda: clock[0])

    def taking(seconds, step):
        def step_that_takes_time(*arguments):
            clock[0] += seconds
            return step(*arguments)

        return step_that_takes_time

    load = taking(0.007, predictions.load_picture)
    monkeypatch.setattr(predictions, "load_picture", load)
    model = MostlyOneColour().train()
    monkeypatch.setattr(model, "forward", taking(0.020, model.forward))
    built = SimpleNamespace(model=model, transform=taking(0.003, to_tensor))
    table = take_turns({"A": built}, samples, CLASS_NAMES)["A"]
    assert model.calls == len(samples) + WARM_UP
    assert list(table.file) == [file for file, _ in samples]
    truth = ["sushi", "pizza", "steak", "steak", "pizza", "pizza"]
    assert list(table.truth) == truth
    assert list(table.guess) == [*truth[:-1], "steak"]
    assert list(table.right) == [True] * 5 + [False]
    sure = math.exp(5) / (math.exp(5) + 2)
    assert list(table.prob_guess) == pytest.approx([sure] * 6)
    assert list(table.prob_truth) == pytest.approx([sure] * 5 + [(1 - sure) / 2])
    times = {"total_ms": 30, "decode_ms": 7, "forward_ms": 20}
    for name, milliseconds in times.items():
        assert list(table[name]) == pytest.approx([milliseconds] * len(samples))
