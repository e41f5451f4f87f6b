"""Predicting pictures one by one, in order, with an honest clock."""

import math

import pytest
import torch
from PIL import Image
from torch import nn

from going_modular import predictions
from going_modular.predictions import WARM_UP, predict_picture, predict_pictures

COLOURS = {"pizza": "red", "steak": "lime", "sushi": "blue"}


class MostlyOneColour(nn.Module):
    """Scores a picture by its colours: logits are the channels' means, times 5."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(5.0))
        self.calls = 0

    def forward(self, pictures):
        assert not self.training and torch.is_inference_mode_enabled()
        self.calls += 1
        return self.scale * pictures.mean(dim=(2, 3))


def to_tensor(picture):
    pixels = torch.tensor(list(picture.convert("RGB").tobytes()), dtype=torch.float32)
    return pixels.view(picture.height, picture.width, 3).permute(2, 0, 1) / 255


@pytest.fixture
def samples(tmp_path):
    """Eight pictures in the colours of their classes, the last with a wrong label."""
    names = list(COLOURS)
    labels = [2, 0, 1, 1, 0, 2, 0, 1]
    found = []
    for number, label in enumerate(labels):
        file = tmp_path / f"{number}.png"
        Image.new("RGB", (6, 4), COLOURS[names[label]]).save(file)
        found.append((file, label))
    return [*found[:-1], (found[-1][0], 0)]


def test_pictures_are_predicted_in_order_after_a_warm_up(samples):
    model = MostlyOneColour().train()
    table = predict_pictures(model, to_tensor, samples, list(COLOURS))
    assert model.calls == len(samples) + WARM_UP
    assert list(table.file) == [file for file, _ in samples]
    truth = ["sushi", "pizza", "steak", "steak", "pizza", "sushi", "pizza", "pizza"]
    assert list(table.truth) == truth
    assert list(table.guess) == [*truth[:-1], "steak"]
    assert list(table.right) == [True] * 7 + [False]
    sure = math.exp(5) / (math.exp(5) + 2)
    assert list(table.prob_guess) == pytest.approx([sure] * 8)
    assert list(table.prob_truth) == pytest.approx([sure] * 7 + [(1 - sure) / 2])


def test_the_clock_runs_from_file_to_answer_and_splits_at_every_step(
    samples, monkeypatch
):
    clock = [10.0]
    monkeypatch.setattr(predictions.time, "perf_counter", lambda: clock[0])

    def taking(seconds, step):
        def step_that_takes_time(*arguments):
            clock[0] += seconds
            return step(*arguments)

        return step_that_takes_time

    monkeypatch.setattr(
        predictions, "load_picture", taking(0.007, predictions.load_picture)
    )
    model = MostlyOneColour().eval()
    monkeypatch.setattr(model, "forward", taking(0.020, model.forward))
    transform = taking(0.003, to_tensor)
    probabilities, times = predict_picture(model, transform, samples[0][0])
    assert times == pytest.approx((30, 7, 20))
    assert times._fields == ("total_ms", "decode_ms", "forward_ms")
    assert probabilities.shape == (3,) and probabilities.sum() == pytest.approx(1)
    table = predict_pictures(model, transform, samples, list(COLOURS))
    for name, milliseconds in times._asdict().items():
        assert list(table[name]) == pytest.approx([milliseconds] * len(samples))
