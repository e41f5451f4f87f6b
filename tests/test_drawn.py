"""The drawn practice pictures: whole, as they came, known to the committed model."""

from itertools import product
from pathlib import Path

import pytest
from PIL import Image

from going_modular import drawn
from going_modular.app.model import DISH, OTHER, Predictor
from going_modular.drawn import CLASS_NAMES, OTHER_NAMES, drawn_files, drawn_pictures
from going_modular.files import FileError

COMMITTED = Path(__file__).resolve().parents[1] / "models" / "foodvision_mini.onnx"


def test_the_zip_is_small_and_holds_what_its_module_says():
    assert drawn.ARCHIVE.stat().st_size < 2.6e6
    found = []
    for name, split in product((*CLASS_NAMES, *OTHER_NAMES), ("train", "test")):
        count = (36 if name in CLASS_NAMES else 12) // (1 if split == "train" else 2)
        found += (files := drawn_files(name, split))
        names = [f"{name}_{split}_{number:02}.jpg" for number in range(count)]
        assert [file.name for file in files] == names
    assert len({file.read_bytes() for file in found}) == 252, "none is there twice"
    assert min(min(Image.open(file).size) for file in found) >= 256
    for folder in ("dishes", "other_dishes"):
        assert "are no photos" in (drawn_pictures() / folder / drawn.MARKER).read_text()


def test_they_are_unpacked_once_and_whole(tmp_path, monkeypatch):
    folder = drawn_pictures(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["drawn_pictures"]
    (folder / "notes.txt").write_text("mine")
    assert drawn_pictures(tmp_path) == folder
    for spoil in (Path.unlink, lambda file: file.write_bytes(b"torn")):
        file = drawn_files("soup", "train", tmp_path)[3]
        content = file.read_bytes()
        spoil(file)
        with pytest.raises(FileError, match="soup_train_03.*Delete .*run this again"):
            drawn_pictures(tmp_path)
        file.write_bytes(content)
    assert (folder / "notes.txt").exists()


def test_the_committed_model_knows_the_examples_and_not_the_noodles():
    predictor = Predictor(COMMITTED)
    for name in CLASS_NAMES:
        answer = predictor.predict(drawn_files(name)[0])
        assert (answer.best[0], answer.verdict) == (name, DISH)
    assert predictor.predict(drawn_files("noodles")[0]).verdict == OTHER
