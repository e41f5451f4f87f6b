"""How pictures are loaded, counted and put in order."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
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
    make_loader,
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


def test_a_photo_is_turned_as_its_camera_says(tmp_path):
    picture = Image.new("RGB", (40, 20), "red")
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turn a quarter clockwise
    picture.paste("blue", (0, 0, 20, 20))
    picture.save(tmp_path / "a.jpg", exif=exif, quality=95)
    loaded = load_picture(tmp_path / "a.jpg")
    assert loaded.size == (20, 40)
    top, bottom = loaded.getpixel((10, 5)), loaded.getpixel((10, 35))
    assert top[2] > 200 > top[0] and bottom[0] > 200 > bottom[2]


def see_through_palette():
    picture = Image.new("P", (4, 4), 0)
    picture.putpalette([0, 0, 0, 255, 0, 0])
    picture.info["transparency"] = 0
    return picture


def deep_grey():
    return Image.fromarray(np.full((4, 4), 128 * 257, np.uint16))


PICTURES = {
    "grey": (Image.new("L", (4, 4), 90), (90, 90, 90)),
    "black and white": (Image.new("1", (4, 4), 1), (255, 255, 255)),
    "palette": (Image.new("RGB", (4, 4), "red").quantize(4), (255, 0, 0)),
    "clear palette": (see_through_palette(), (255, 255, 255)),
    "clear": (Image.new("RGBA", (4, 4), (0, 0, 0, 0)), (255, 255, 255)),
    "half clear": (Image.new("RGBA", (4, 4), (255, 0, 0, 128)), (255, 127, 127)),
    "grey, half clear": (Image.new("LA", (4, 4), (0, 128)), (127, 127, 127)),
    "16-bit grey": (deep_grey(), (128, 128, 128)),
}


@pytest.mark.parametrize("kind", PICTURES)
def test_every_kind_of_picture_becomes_rgb(kind, tmp_path):
    picture, colour = PICTURES[kind]
    picture.save(tmp_path / "a.png")
    loaded = load_picture(tmp_path / "a.png")
    assert loaded.mode == "RGB" and loaded.size == (4, 4)
    assert loaded.getpixel((1, 1)) == pytest.approx(colour, abs=1)


def test_ink_colours_become_rgb(tmp_path):
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=95)
    red, green, blue = load_picture(tmp_path / "a.jpg").getpixel((4, 4))
    assert red > 200 and green < 60 and blue < 60


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
@pytest.mark.parametrize("kept", [0.0, 0.5])
def test_a_torn_picture_is_named(kept, suffix, tmp_path):
    path = tmp_path / f"torn.{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(path)
    body = path.read_bytes()
    path.write_bytes(body[: int(kept * len(body))])
    with pytest.raises(DataError, match="torn.*not a complete picture.*good copy"):
        load_picture(path)


@pytest.mark.parametrize("name", READABLE)
def test_pictures_are_opened_as_the_app_opens_them(name, tmp_path):
    (tmp_path / "a").write_bytes(READABLE[name])
    loaded = np.asarray(load_picture(tmp_path / "a"))
    assert np.array_equal(loaded, open_picture(tmp_path / "a"))


def test_only_the_demos_model_py_decodes_pictures():
    """Fourfold once, and the four did not agree."""
    root = Path(datasets.__file__).parent
    users = {
        file.relative_to(root).as_posix()
        for file in root.rglob("*.py")
        if re.search(
            r"Image\.open\(|imread|decode_image|read_image", file.read_text("utf-8")
        )
    }
    # datasets.py looks at the beginning of a file, to count it; exercises.py, to see
    # which size a learner's answer has.
    assert users == {"datasets.py", "your_turn/exercises.py"}


# Counting, datasets, dataloaders


def test_pictures_are_counted_with_totals(folder):
    table = count_pictures(folder)
    assert table.to_dict("index") == {
        "train": {"pizza": 2, "steak": 2, "total": 4},
        "test": {"pizza": 1, "steak": 1, "total": 2},
        "total": {"pizza": 3, "steak": 3, "total": 6},
    }


def test_files_that_are_no_pictures_are_named_when_counted(folder):
    (folder / "train/pizza/0.png").write_bytes(b"<html>")
    (folder / "test/steak/0.png").write_bytes(b"")
    with pytest.raises(DataError, match="Not pictures.*Delete them") as caught:
        count_pictures(folder)
    for name in ("train/pizza/0.png", "test/steak/0.png"):
        assert str(folder / Path(name)) in str(caught.value)


def test_many_bad_files_make_a_short_message(folder):
    for number in range(9):
        (folder / "train/pizza" / f"bad{number}.jpg").write_bytes(b"")
    with pytest.raises(DataError, match="bad4.jpg and 4 more"):
        count_pictures(folder)


def test_a_torn_picture_in_a_dataset_is_named(folder):
    path = folder / "train/steak/0.png"
    path.write_bytes(path.read_bytes()[:-30])
    train, _ = make_datasets(folder, None)
    with pytest.raises(DataError, match="0.png is not a complete picture"):
        list(train)


def test_datasets_are_in_order_of_class_and_name(folder):
    (folder / "train/pizza/0.png").rename(folder / "train/pizza/Z.PNG")
    train, test = make_datasets(folder, functional.pil_to_tensor)
    assert train.classes == test.classes == ["pizza", "steak"]
    names = [Path(path).relative_to(folder).as_posix() for path, _ in train.samples]
    assert names == [
        "train/pizza/1.png",
        "train/pizza/Z.PNG",
        "train/steak/0.png",
        "train/steak/1.png",
    ]
    picture, label = train[2]
    assert picture.shape == (3, 6, 8) and label == 1


def test_order_follows_the_seed_or_without_one_the_names(tmp_path):
    counts = {"train": 20, "test": 1}
    folder = make_pictures(tmp_path / "many", counts=counts)
    train, _ = make_datasets(folder, functional.pil_to_tensor)

    def order(seed):
        loader = make_loader(train, batch_size=16, seed=seed)
        sizes = [len(labels) for _, labels in loader]
        assert sizes == [16, 16, 8], "every picture, the last batch included"
        return torch.cat([labels for _, labels in loader])

    by_name = order(None)
    assert by_name.tolist() == order(None).tolist() == [0] * 20 + [1] * 20
    first, same, other = order(1), order(1), order(2)
    assert sorted(first.tolist()) == by_name.tolist() != first.tolist()
    assert torch.equal(first, same) and not torch.equal(first, other)


def test_each_epoch_is_shuffled_anew_and_labels_stay_with_their_pictures(tmp_path):
    folder = make_pictures(tmp_path / "many", counts={"train": 4, "test": 1})
    train, _ = make_datasets(folder, functional.pil_to_tensor)
    loader = make_loader(train, batch_size=8, seed=3)
    shades = {40 * label + 10 * index: label for label in (0, 1) for index in range(4)}
    epochs = []
    for _ in range(2):
        ((pictures, labels),) = loader
        seen = pictures[:, 0, 0, 0].tolist()
        assert [shades[shade] for shade in seen] == labels.tolist()
        epochs.append(seen)
    assert epochs[0] != epochs[1]
