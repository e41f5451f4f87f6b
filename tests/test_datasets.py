"""How pictures are loaded, counted and put in order."""

import re
from pathlib import Path

import numpy as np
import pytest
from odd_pictures import READABLE
from PIL import Image
from torchvision.transforms import functional

from going_modular import datasets
from going_modular.app.model import open_picture
from going_modular.datasets import (
    DataError,
    count_pictures,
    load_picture,
    make_datasets,
)

COUNTS = {"train": 2, "test": 1}  # pictures of each class


def make_pictures(folder, classes=("pizza", "steak"), counts=COUNTS):
    for split, count in counts.items():
        for number, name in enumerate(classes):
            (folder / split / name).mkdir(parents=True, exist_ok=True)
            for index in range(count):
                shade = 40 * number + 10 * index
                picture = Image.new("RGB", (8, 6), (shade, shade, shade))
                picture.save(folder / split / name / f"{index}.png")
    return folder


@pytest.fixture
def folder(tmp_path):
    return make_pictures(tmp_path / "own")


# Loading


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
@pytest.mark.parametrize("kept", [0.0, 0.5])
def test_a_torn_picture_is_named(kept, suffix, tmp_path):
    path = tmp_path / f"torn.{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(path)
    body = path.read_bytes()
    path.write_bytes(body[: int(kept * len(body))])
    with pytest.raises(DataError, match="torn.*cannot be used.*readable copy"):
        load_picture(path)


@pytest.mark.parametrize("name", READABLE)
def test_pictures_are_opened_as_the_app_opens_them(name, tmp_path):
    (tmp_path / "a").write_bytes(READABLE[name])
    loaded = np.asarray(load_picture(tmp_path / "a"))
    assert np.array_equal(loaded, open_picture(tmp_path / "a"))


def test_only_the_demos_model_py_decodes_pictures():
    """Fourfold once, and the four did not agree."""
    files = Path(datasets.__file__).parent.rglob("*.py")
    texts = {file.name: file.read_text("utf-8") for file in files}
    decodes = re.compile(r"Image\.open\(|imread|decode_image|read_image")
    # datasets.py looks at the beginning of a file, to count it; exercises.py, to see
    # which size a learner's answer has.
    users = {name for name, text in texts.items() if decodes.search(text)}
    assert users == {"datasets.py", "exercises.py"}


# Counting, datasets, dataloaders


def test_files_that_are_no_pictures_are_named_when_counted(folder):
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


def test_datasets_are_in_order_of_class_and_name(folder):
    (folder / "train/pizza/0.png").rename(folder / "train/pizza/Z.PNG")
    train, test = make_datasets(folder, functional.pil_to_tensor)
    assert train.classes == test.classes == ["pizza", "steak"]
    names = [Path(path).relative_to(folder / "train") for path, _ in train.samples]
    expected = ["pizza/1.png", "pizza/Z.PNG", "steak/0.png", "steak/1.png"]
    assert [name.as_posix() for name in names] == expected
    picture, label = train[2]
    assert picture.shape == (3, 6, 8) and label == 1
