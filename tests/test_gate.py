"""The gate: what the committed model turns away, and what it lets through."""

import os
from pathlib import Path

import pytest
from sklearn.metrics import roc_auc_score

from going_modular.app.model import Predictor
from going_modular.data_setup import find_pictures
from going_modular.datasets import make_datasets
from going_modular.familiarity import PLACES, find_strangers

COMMITTED = Path(__file__).resolve().parents[1] / "models" / "foodvision_mini.onnx"
LEAST_AUROC = 0.98
MOST_DISHES_AWAY, LEAST_STRANGERS_AWAY = 0.08, 0.90  # shares


def test_strangers_come_from_every_package_and_once():
    found = find_strangers()
    assert set(found.values()) == set(PLACES)
    assert len(found) >= 25 and all(file.is_file() for file in found)
    assert len({file.read_bytes() for file in found}) == len(found)


def test_packages_that_are_missing_are_left_out(monkeypatch):
    monkeypatch.setattr("going_modular.familiarity.find_spec", lambda _: None)
    assert find_strangers() == {}


@pytest.fixture(scope="module")
def familiarities(tmp_path_factory):
    """Of the real test photos, and of pictures that are no food."""
    if not os.environ.get("FOODVISION_DATA"):
        pytest.skip("needs the real photos: set FOODVISION_DATA to their zip")
    pictures = find_pictures(tmp_path_factory.mktemp("data"))
    predictor = Predictor(COMMITTED)
    dishes = [file for file, _ in make_datasets(pictures.folder, None)[1].samples]
    shares = [
        [predictor.predict(file).familiarity for file in files]
        for files in (dishes, find_strangers())
    ]
    return predictor.about.familiarity_threshold, *shares


def test_the_gate_turns_strangers_away_and_few_dishes(familiarities):
    threshold, dishes, strangers = familiarities
    truth = [1] * len(dishes) + [0] * len(strangers)
    assert roc_auc_score(truth, dishes + strangers) >= LEAST_AUROC
    assert sum(f < threshold for f in dishes) <= MOST_DISHES_AWAY * len(dishes)
    away = sum(f < threshold for f in strangers)
    assert away >= LEAST_STRANGERS_AWAY * len(strangers)
