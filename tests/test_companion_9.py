"""Checks of companion 9, on the committed features; wrong answers get the next step."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from going_modular.model_builder import Built, FeatureExtractor
from going_modular.pocket.carried import read_known
from going_modular.pocket.teaching import TaughtHead
from going_modular.stored_features import read_features
from going_modular.your_turn import companion_9 as checks

ROOT = Path(__file__).resolve().parents[1]
PHOTOS = read_features(ROOT / "data" / "photos_effnet_lite2_224.npz")
OTHERS = read_features(ROOT / "data" / "other_dishes_effnet_lite2_224.npz")
DISH = OTHERS.names[-1]


def test_strangers_are_counted(capsys):
    guesses, place = torch.tensor([3, 0, 3, 1]), 3
    for number, told in ((..., "three dots"), (1, "equal to `place`"), (2, "2 of 4")):
        checks.mistaken(number, guesses, place)
        assert told in capsys.readouterr().out


@pytest.mark.slow
def test_a_photo_is_left_out_of_what_names_it(capsys):
    known, shown = read_known(ROOT / "models" / "foodvision_mini.onnx"), 6
    photos = OTHERS.train.tensors[0][-shown:]

    def named(k, rows):
        return int(TaughtHead(known, {"new": rows}).find(photos[k : k + 1])[0] == 0)

    def left_out(rows):
        others = [torch.cat([rows[:k], rows[k + 1 :]]) for k in range(shown)]
        return sum(named(k, rest) for k, rest in enumerate(others))

    for function, told in (
        (lambda rows: ..., "Not yet: put your own"),
        (lambda rows: named(0, rows) * shown, "leave each one out"),
        (lambda rows: -1, "one head for each photo"),
        (left_out, "Right. "),
    ):
        checks.leave_one_out(function, known, photos)
        assert told in capsys.readouterr().out


def with_head(base, rows, labels):
    """A base with a head that compares features with the mean of each class."""
    means = [rows[labels == n].mean(dim=0) for n in range(int(labels.max()) + 1)]
    head = nn.Linear(rows.shape[1], len(means), bias=False).requires_grad_(False)
    head.weight.copy_(F.normalize(torch.stack(means), dim=1))
    return Built(FeatureExtractor(base, head), None, None, True)


def test_a_class_more_is_counted_beside_ours(capsys):
    base, (rows, labels) = nn.Identity(), PHOTOS.train.tensors
    mini = SimpleNamespace(
        photos=PHOTOS, others=OTHERS, built=with_head(base, rows, labels)
    )
    new = OTHERS.train.tensors[0][-150:]
    rows = torch.cat([rows, new])
    labels = torch.cat([labels, torch.full((len(new),), 3)])
    for more, told in (
        (..., "Not yet: put your own"),
        (nn.Identity(), "start with with_classes"),
        (with_head(nn.Identity(), rows, labels), "the base stays"),
        (mini.built, "3 outputs, not 4"),
        (with_head(base, -rows, labels), "Train its head"),
        (with_head(base, rows, labels), f"of 150 test photos right; {DISH}: "),
    ):
        checks.one_class_more(more, mini, DISH)
        said = capsys.readouterr().out
        assert told in said
    assert said.startswith("Right. ")
