"""What the companions start from: a model file, pictures, and Big's dishes."""

import os

import pytest
import torch

from going_modular import companion, data_setup, downloads
from going_modular.big import features as many
from going_modular.companion import COMMITTED
from going_modular.export import activation_ranges
from going_modular.stored_features import read_features
from going_modular.your_turn.companions import first_step

SLUG = "effnet_lite2"


def test_the_reader_s_own_file_counts_where_there_is_one(tmp_path, monkeypatch, capsys):
    own = tmp_path / "mine.onnx"
    monkeypatch.setattr(companion, "OWN", own)
    assert companion.open_file()[0] == COMMITTED
    own.write_bytes(COMMITTED.read_bytes())
    monkeypatch.setattr(companion, "ROOT", tmp_path)
    assert companion.open_file()[0] == own
    assert "Model: your own mine.onnx, EffNet-Lite2" in capsys.readouterr().out
    monkeypatch.undo()
    assert companion.open_file(own=False)[0] == COMMITTED
    assert "the committed models/foodvision_mini.onnx" in capsys.readouterr().out


def test_what_the_committed_file_knows_without_pictures():
    widths = list(activation_ranges(COMMITTED).values())
    assert 0.5 < sum(abs(width - 6) < 0.01 for width in widths) / len(widths) < 0.6
    assert first_step(COMMITTED) == pytest.approx(2 / 255)


def test_pictures_at_hand_are_no_download(tmp_path, monkeypatch):
    monkeypatch.delenv("FOODVISION_DATA", raising=False)
    monkeypatch.setenv("FOODVISION_OFFLINE", "0")
    monkeypatch.setattr(downloads, "download", lambda *_, **__: pytest.fail("asked"))
    assert data_setup.find_pictures(tmp_path, fetch=False).is_practice


def test_eight_real_dishes_come_with_the_course(lite2, monkeypatch):
    monkeypatch.delenv("FOODVISION_BIG", raising=False)
    eight = many.find_dishes(lite2, SLUG)
    assert eight.names == sorted(eight.names) and len(eight.names) == 8
    assert (len(eight.train), len(eight.test)) == (1_200, 525)
    assert eight.where == "real photos of 8 dishes" and not eight.is_practice
    assert not eight.photos and not eight.is_whole
    for what, dish in (("photos", "sushi"), ("other_dishes", "bibimbap")):
        own = read_features(many.DATA / f"{what}_{SLUG}_224.npz").test_of(dish)
        rows, labels = eight.test.tensors
        assert torch.equal(rows[labels == eight.names.index(dish)], own)
    seven = eight.without("baklava")
    assert "baklava" not in seven.names and len(seven.names) == 7
    rows, labels = seven.train.tensors
    before, numbers = eight.train.tensors
    assert labels.unique().tolist() == list(range(7))
    ours = rows[labels == seven.names.index("steak")]
    assert torch.equal(ours, before[numbers == eight.names.index("steak")])


def test_another_base_has_the_drawn_pictures_row_by_row(lite2, tmp_path, monkeypatch):
    monkeypatch.setenv("FOODVISION_BIG", "")
    few = many.find_dishes(lite2, "another", tmp_path, share=0.01)
    assert few.is_practice and "drawn" in few.where
    assert (len(few.train), len(few.test)) == (16, 8)
    for half in ("train", "test"):
        labels = getattr(few, half).tensors[1].tolist()
        folders = [file.parent.name.replace("_", " ") for file in few.photos[half]]
        assert folders == [few.names[label] for label in labels]
    assert os.listdir(tmp_path / "drawn-food-101-features")
