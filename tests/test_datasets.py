"""How pictures are loaded, counted and put in order."""

from pathlib import Path

import numpy as np
import pytest
from odd_pictures import READABLE, REFUSED
from PIL import Image
from torchvision.transforms import functional

from going_modular.app.model import open_picture
from going_modular.datasets import (
    DataError,
    count_pictures,
    load_picture,
    make_datasets,
)


def make_pictures(folder, classes=("pizza", "steak")):
    """Two training pictures and a test picture of each class."""
    for name in classes:
        for file in ("train/{}/0.png", "train/{}/1.png", "test/{}/0.png"):
            picture = folder / file.format(name)
            picture.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (8, 6)).save(picture)
    return folder


def test_pictures_are_opened_as_the_app_opens_them_or_named(tmp_path):
    file = tmp_path / "a.jpg"
    file.write_bytes(READABLE["exif 6"])
    assert np.array_equal(load_picture(file), open_picture(file))
    for name in ("half a jpeg", "half a png", "empty"):
        file.write_bytes(REFUSED[name][0])
        with pytest.raises(DataError, match="a.jpg cannot be used.*readable copy"):
            load_picture(file)


def test_files_that_are_no_pictures_are_named_when_counted(tmp_path):
    folder = make_pictures(tmp_path)
    (folder / "train/pizza/0.png").write_bytes(b"<html>")
    (folder / "test/steak/0.png").write_bytes(b"")
    with pytest.raises(DataError, match="Not readable.*Move them") as caught:
        count_pictures(folder)
    for name in ("train/pizza/0.png", "test/steak/0.png"):
        assert str(folder / Path(name)) in str(caught.value)
    for number in range(9):
        (folder / "train/pizza" / f"bad{number}.jpg").write_bytes(b"")
    with pytest.raises(DataError, match="and 6 more"):
        count_pictures(folder)


def test_datasets_are_in_order_of_class_and_name(tmp_path):
    folder = make_pictures(tmp_path)
    (folder / "train/pizza/0.png").rename(folder / "train/pizza/Z.PNG")
    train, test = make_datasets(folder, functional.pil_to_tensor)
    assert train.classes == test.classes == ["pizza", "steak"]
    names = [Path(path).relative_to(folder / "train") for path, _ in train.samples]
    expected = ["pizza/1.png", "pizza/Z.PNG", "steak/0.png", "steak/1.png"]
    assert [name.as_posix() for name in names] == expected
    picture, label = train[2]
    assert picture.shape == (3, 6, 8) and label == 1
