"""Food-101 through torchvision's own reader: the split, and clear words on failure."""

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest
from torchvision.datasets import Food101

from going_modular.big import food101
from going_modular.big.food101 import (
    ALL_PHOTOS,
    PUBLISHED_TOTAL,
    choose_photos,
    count_of,
    find_food101,
    spoken,
)
from going_modular.datasets import DataError
from going_modular.practice.food101 import CLASS_NAMES, draw_food101

COUNTS = {"train": 10, "test": 5}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return draw_food101(tmp_path_factory.mktemp("data"), COUNTS)


@pytest.fixture
def copy(data, tmp_path):
    """A copy to spoil."""
    shutil.copytree(data / "food-101", tmp_path / "food-101")
    return tmp_path


def names_of(samples):
    return [file.relative_to(file.parents[1]).as_posix() for file, _ in samples]


def test_a_fifth_of_the_whole_is_as_many_as_the_course_has():
    assert count_of(0.2) == {"train": 15_150, "test": 5_050}
    assert count_of(1) == {"train": 75_750, "test": 25_250}
    assert ALL_PHOTOS == 101_000 and PUBLISHED_TOTAL == 25_250


def test_every_class_gives_the_same_share_and_halves_do_not_meet(data):
    part = choose_photos(data, share=0.2)
    assert part.class_names == CLASS_NAMES
    for half, samples in (("train", part.train), ("test", part.test)):
        counts = Counter(label for _, label in samples)
        assert set(counts.values()) == {COUNTS[half] // 5} and len(counts) == 101
        listed = json.loads((data / f"food-101/meta/{half}.json").read_text())
        for file, label in samples:
            name = CLASS_NAMES[label]
            assert file.is_file() and file.parent.name == name
            assert f"{name}/{file.stem}" in listed[name]
    assert not set(names_of(part.train)) & set(names_of(part.test))


def test_the_seed_alone_decides(data, copy):
    first = choose_photos(data, share=0.2)
    again = choose_photos(copy, share=0.2)  # another folder, another order on the disk
    assert names_of(first.train) == names_of(again.train)
    assert names_of(first.test) == names_of(again.test)
    assert first.train != choose_photos(data, share=0.2, seed=1).train
    # Written down, so that no later change chooses other photos unnoticed.
    assert names_of(first.train)[:4] == [
        "apple_pie/100007.jpg",
        "apple_pie/100056.jpg",
        "baby_back_ribs/100042.jpg",
        "baby_back_ribs/100063.jpg",
    ]


def test_a_larger_share_holds_the_smaller_one_and_the_whole_is_everything(data):
    fifth, half, whole = (choose_photos(data, share=s) for s in (0.2, 0.5, 1))
    assert set(fifth.train) < set(half.train) < set(whole.train)
    for half_name, samples in (("train", whole.train), ("test", whole.test)):
        everything = Food101(data, split=half_name, loader=Path)
        assert set(samples) == {everything[n] for n in range(len(everything))}


@pytest.mark.parametrize("share", [0, -0.2, 1.1])
def test_a_share_is_a_share(data, share):
    with pytest.raises(ValueError, match="over 0 and at most 1"):
        choose_photos(data, share=share)


def test_without_food101_and_internet_it_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("FOODVISION_OFFLINE", "1")
    for ask in (find_food101, choose_photos):
        with pytest.raises(DataError, match="copy a food-101 folder"):
            ask(tmp_path)
    assert not list(tmp_path.iterdir())


def test_photos_that_are_not_there_are_counted_and_one_is_named(copy):
    """As when unpacking was interrupted: then torchvision takes it for complete."""
    gone = choose_photos(copy).train[:3]
    for file, _ in gone:
        file.unlink()
    with pytest.raises(DataError, match="3 of 303") as caught:
        choose_photos(copy)
    assert str(gone[0][0]) in str(caught.value) and "Delete" in str(caught.value)


def test_a_full_disk_is_found_before_the_download(tmp_path, monkeypatch):
    monkeypatch.setenv("FOODVISION_OFFLINE", "0")
    usage = shutil.disk_usage(tmp_path)._replace(free=3_000_000_000)
    monkeypatch.setattr(food101.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DataError, match="Make room"):
        find_food101(tmp_path)


def test_a_failed_download_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("FOODVISION_OFFLINE", "0")
    usage = shutil.disk_usage(tmp_path)._replace(free=30_000_000_000)
    monkeypatch.setattr(food101.shutil, "disk_usage", lambda _: usage)

    def fail(self):
        raise RuntimeError("File not found or corrupted.")

    monkeypatch.setattr(Food101, "_download", fail)
    with pytest.raises(DataError, match="corrupted.*run this again"):
        find_food101(tmp_path)


def test_names_are_shown_with_spaces():
    shown = spoken(CLASS_NAMES)
    assert "grilled cheese sandwich" in shown and len(set(shown)) == 101
    assert not any("_" in name for name in shown)
