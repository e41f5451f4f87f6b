"""Strangers: pictures that are no food, and features of other dishes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from drawn_images import copy_few
from torch.utils.data import TensorDataset

from going_modular import ood_data
from going_modular.app.model import DISH, Predictor
from going_modular.drawn import OTHER_NAMES
from going_modular.files import LessonError
from going_modular.model_builder import build_effnet_lite0, build_effnet_lite2
from going_modular.ood_data import PLACES, find_other_dishes, find_strangers
from going_modular.stored_features import (
    StoredFeatures,
    is_same,
    probe_features,
    read_features,
    write_features,
)

ROOT = Path(__file__).resolve().parents[1]


def test_strangers_come_from_every_package_once_and_the_model_lets_none_in():
    found, predictor = find_strangers(), Predictor(ROOT / "models/foodvision_mini.onnx")
    assert set(found.values()) == set(PLACES) and len(found) >= 25
    assert len({file.read_bytes() for file in found}) == len(found)
    verdicts = [predictor.predict(file).verdict for file in found]
    assert sum(verdict != DISH for verdict in verdicts) >= 0.95 * len(verdicts)


def some_dishes(probe):
    features = torch.arange(6.0 * len(probe)).reshape(6, -1)
    half = TensorDataset(features, torch.tensor([0, 0, 1, 2, 2, 2]))
    return StoredFeatures(["pie", "ribs", "soup"], half, half, probe, is_practice=False)


SPOIL = (
    Path.unlink,
    lambda file: file.write_bytes(file.read_bytes()[:-200]),
    lambda file: file.write_text("no numbers"),
    lambda file: np.savez(file, names=np.array([{"code": "runs"}])),
    lambda file: np.savez(file, something=np.zeros(3)),
)


@pytest.mark.parametrize("spoil", SPOIL, ids=["gone", "torn", "text", "code", "other"])
def test_features_are_read_back_and_a_file_that_is_not_whole_is_told(spoil, tmp_path):
    before = some_dishes(torch.ones(8))
    file = write_features(before, tmp_path / "a.npz")
    after = read_features(file)
    assert after.names == before.names and after.is_practice is False
    for half in ("train", "test"):
        mine, theirs = getattr(before, half).tensors, getattr(after, half).tensors
        torch.testing.assert_close(theirs, mine, rtol=0, atol=0)
    spoil(file)
    with pytest.raises(LessonError, match="store_features"):
        read_features(file)


def test_features_are_only_for_the_base_that_made_them(tmp_path, lite2):
    """Another size, other weights or another width: nobody takes part."""
    width, mine = lite2.model.head[-1].in_features, some_dishes(probe_features(lite2))
    place = {"data_dir": tmp_path, "ours": ["pie"]}
    assert find_other_dishes(lite2, "lite2", **place).names == []
    write_features(mine, tmp_path / "other_dishes_lite2_224.npz")
    assert find_other_dishes(lite2, "lite2", **place).names == ["ribs", "soup"]

    larger = build_effnet_lite2(3, input_size=260)
    write_features(mine, tmp_path / "other_dishes_lite2_260.npz")
    nobody = find_other_dishes(larger, "lite2", **place)
    assert nobody.names == [] and nobody.train.tensors[0].shape == (0, width)
    assert not is_same(torch.ones(3), probe_features(lite2)), "nor by another width"


@pytest.mark.parametrize("build", [build_effnet_lite2, build_effnet_lite0])
def test_the_committed_features_are_of_five_dishes_by_the_lessons_bases(build):
    slug = build.__name__.removeprefix("build_")
    file = ROOT / "data" / f"other_dishes_{slug}_224.npz"
    stored = read_features(file)
    assert len(stored.names) == 5 and "baklava" in stored.names
    assert (len(stored.train), len(stored.test)) == (750, 375)
    assert not {"pizza", "steak", "sushi"} & set(stored.names)
    assert is_same(stored.probe, probe_features(build(3)))
    assert file.stat().st_size < 2.5e6


def test_drawn_plates_stand_in_for_photos(lite2, tmp_path, monkeypatch):
    copy_few(tmp_path / "other_dishes", train=2, test=1, names=OTHER_NAMES)
    monkeypatch.setattr(ood_data, "drawn_pictures", lambda: tmp_path)
    drawn = find_other_dishes(lite2, "lite2", tmp_path, ours=["soup"], is_practice=True)
    assert drawn.names == ["fried eggs", "noodles", "pancakes", "salad"]
    assert is_same(drawn.probe, probe_features(lite2))
    assert (len(drawn.train), len(drawn.test)) == (8, 4)
    assert drawn.label == "drawn pictures"
