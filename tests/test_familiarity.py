"""Familiarity, its threshold, and the few features that a large file carries."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from going_modular.export import Deployable
from going_modular.familiarity import (
    choose_known,
    familiarity,
    familiarity_threshold,
)
from going_modular.practice.pictures import CLASS_NAMES, draw_picture

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
    threshold = familiarity_threshold(others, known)
    scores = familiarity(others, F.normalize(known, dim=1))
    assert 57 <= (scores >= threshold).sum() <= 58  # 95% of 60 are 57
    strange = familiarity(torch.randn(50, 16), F.normalize(known, dim=1))
    assert (strange < threshold).all()


# Familiarity and its threshold


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
    got = familiarity(rows, F.normalize(known, dim=1))
    expected = [nearest_five(row, known) for row in rows]
    assert got.tolist() == pytest.approx(expected, abs=1e-6)
    few = familiarity(rows, F.normalize(known[:2], dim=1))
    assert few.shape == (6,) and few.max() <= 1, "fewer than five known will do"


@torch.inference_mode()
def likeness_of(deployable, picture):
    return deployable(torch.from_numpy(np.array(picture)))[1].item()


def test_a_training_picture_alone_with_itself_is_wholly_familiar(lite2, stored):
    picture = draw_picture("pizza", 0, size=(256, 192))  # the first of `plates`
    known = stored.tensors[0][:1]
    alone = Deployable(lite2.preprocess, lite2.model, known)
    likeness = likeness_of(alone, picture)
    assert likeness == pytest.approx(1, abs=1e-4)
    other = draw_picture("sushi", 80, size=(256, 192))
    assert likeness_of(alone, other) < 0.9


def test_training_pictures_are_more_familiar_than_noise(lite2, stored):
    deployable = Deployable(lite2.preprocess, lite2.model, stored.tensors[0])
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (192, 256, 3), np.uint8)
    strange = likeness_of(deployable, noise)
    for name in CLASS_NAMES:
        picture = draw_picture(name, 0, size=(256, 192))
        likeness = likeness_of(deployable, picture)
        assert likeness > strange + 0.1


@pytest.mark.parametrize("count", [7, 24, 150, 450, 451])
def test_the_threshold_keeps_its_share_of_the_training_pictures(count):
    features = torch.randn(count, 8, generator=torch.Generator().manual_seed(count)) + 1
    # Every picture against all the others, itself left out, in NumPy.
    known = features.numpy().astype(np.float64)
    known /= np.linalg.norm(known, axis=1, keepdims=True)
    cosines = [np.delete(known @ row, number) for number, row in enumerate(known)]
    scores = np.mean([np.sort(others)[-5:] for others in cosines], axis=1)
    for share in (0.95, 0.5):
        threshold = familiarity_threshold(features, kept=share)
        kept = np.mean(scores >= threshold - 1e-6)
        # At least that share, and less than two pictures more.
        assert share <= kept < share + 2 / count


def test_the_threshold_leaves_out_each_picture_itself():
    """A picture unlike all others must not pass for being like itself."""
    known = torch.eye(8)
    assert familiarity_threshold(known) == pytest.approx(0, abs=1e-6)
    assert familiarity(known, known).mean() == pytest.approx(1 / 5, abs=1e-6)
