"""The practice pictures: the same from a seed, complete or absent, never mixed up."""

import numpy as np
import pytest
from PIL import Image

from going_modular.practice import pictures as practice_pictures
from going_modular.practice.pictures import (
    CLASS_NAMES,
    MARKER,
    SIZES,
    FileError,
    draw_picture,
    draw_pictures,
)

SMALL = (96, 72)


@pytest.fixture
def quick(monkeypatch):
    """Draw plain coloured pictures, so that tests of files do not wait for drawings."""
    seeds = []

    def plain(class_name, seed, *, size=None):
        seeds.append((class_name, seed))
        return Image.new("RGB", (8, 6), (seed % 256, 100, 50))

    monkeypatch.setattr(practice_pictures, "draw_picture", plain)
    return seeds


def files_of(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*.*"))


@pytest.mark.parametrize("class_name", CLASS_NAMES)
def test_a_seed_decides_every_pixel(class_name):
    first, again, other = (
        np.asarray(draw_picture(class_name, seed, size=SMALL)) for seed in (5, 5, 6)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_classes_differ_at_the_same_seed():
    pizza, steak = (draw_picture(name, 5, size=SMALL) for name in CLASS_NAMES[:2])
    assert pizza.tobytes() != steak.tobytes()


@pytest.mark.parametrize("class_name", CLASS_NAMES)
def test_pictures_have_the_asked_size_and_something_on_them(class_name):
    for seed in range(12):
        picture = draw_picture(class_name, seed, size=SMALL)
        assert (picture.mode, picture.size) == ("RGB", SMALL)
        assert np.asarray(picture).std() > 15, f"seed {seed} is nearly blank"


def test_own_sizes_vary():
    sizes = {draw_picture("sushi", seed).size for seed in range(6)}
    assert len(sizes) > 1
    assert sizes <= set(SIZES)


@pytest.mark.parametrize(
    ("class_name", "seed", "size", "complaint"),
    [
        ("burger", 1, None, "burger"),
        ("pizza", -1, None, "negative"),
        ("pizza", 1, (20, 90), "32 x 32"),
    ],
)
def test_wrong_arguments_are_named(class_name, seed, size, complaint):
    with pytest.raises(ValueError, match=complaint):
        draw_picture(class_name, seed, size=size)


def test_folder_layout_and_marker(tmp_path):
    folder = draw_pictures(tmp_path / "data" / "drawn", train_per_class=2,
                           test_per_class=1)  # fmt: skip
    assert folder == tmp_path / "data" / "drawn"
    for split, count in (("train", 2), ("test", 1)):
        assert sorted(p.name for p in (folder / split).iterdir()) == list(CLASS_NAMES)
        for class_name in CLASS_NAMES:
            paths = list((folder / split / class_name).glob("*.jpg"))
            assert len(paths) == count
            for path in paths:
                with Image.open(path) as picture:
                    assert (picture.format, picture.mode) == ("JPEG", "RGB")
    assert "no photos" in (folder / MARKER).read_text(encoding="utf-8")
    assert [p.name for p in folder.parent.iterdir()] == ["drawn"]


def test_no_seed_is_used_twice(tmp_path, quick):
    draw_pictures(tmp_path / "a", train_per_class=4, test_per_class=4, seed=1)
    draw_pictures(tmp_path / "b", train_per_class=4, test_per_class=4, seed=2)
    assert len(set(quick)) == len(quick) == 2 * 2 * 4 * len(CLASS_NAMES)


def test_a_complete_folder_is_reused(tmp_path, quick):
    asked = {"train_per_class": 2, "test_per_class": 1, "seed": 3}
    folder = draw_pictures(tmp_path / "drawn", **asked)
    (folder / "notes.txt").write_text("mine", encoding="utf-8")
    drawn = len(quick)
    assert draw_pictures(folder, **asked) == folder
    assert len(quick) == drawn
    assert (folder / "notes.txt").exists()


@pytest.mark.parametrize("change", ["seed", "count", "missing", "marker"])
def test_any_other_drawn_folder_is_drawn_again(tmp_path, quick, change):
    asked = {"train_per_class": 2, "test_per_class": 1, "seed": 3}
    folder = draw_pictures(tmp_path / "drawn", **asked)
    before = files_of(folder)
    if change == "missing":
        next(folder.glob("train/steak/*.jpg")).unlink()
    elif change == "marker":
        (folder / MARKER).unlink()
    asked |= {"seed": {"seed": 4}, "count": {"train_per_class": 1}}.get(change, {})
    draw_pictures(folder, **asked)
    expected = 2 + 1 if change != "count" else 1 + 1
    assert len(files_of(folder)) == expected * len(CLASS_NAMES) + 1
    assert change == "count" or files_of(folder) == before


def test_foreign_files_are_never_replaced(tmp_path, quick):
    folder = tmp_path / "drawn"
    (folder / "train" / "pizza").mkdir(parents=True)
    photo = folder / "train" / "pizza" / "my_photo.jpg"
    photo.write_bytes(b"precious")
    with pytest.raises(FileError, match=r"my_photo\.jpg.*Move it"):
        draw_pictures(folder, train_per_class=1, test_per_class=1)
    assert photo.read_bytes() == b"precious"
    assert not quick


def test_a_file_in_the_way_is_named(tmp_path, quick):
    (tmp_path / "drawn").write_text("a file", encoding="utf-8")
    with pytest.raises(FileError, match="is a file"):
        draw_pictures(tmp_path / "drawn", train_per_class=1, test_per_class=1)


@pytest.mark.parametrize(
    ("failure", "told"),
    [(OSError("disk full"), FileError), (KeyboardInterrupt(), KeyboardInterrupt)],
)
def test_nothing_is_left_when_drawing_fails(tmp_path, monkeypatch, failure, told):
    def fail_on_steak(class_name, seed, *, size=None):
        if class_name == "steak":
            raise failure
        return Image.new("RGB", (8, 6))

    monkeypatch.setattr(practice_pictures, "draw_picture", fail_on_steak)
    with pytest.raises(told):
        draw_pictures(tmp_path / "drawn", train_per_class=1, test_per_class=1)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_redrawing_keeps_the_old_pictures(tmp_path, quick, monkeypatch):
    folder = draw_pictures(tmp_path / "drawn", train_per_class=1, test_per_class=1)
    before = files_of(folder)

    def fail(class_name, seed, *, size=None):
        raise OSError("disk full")

    monkeypatch.setattr(practice_pictures, "draw_picture", fail)
    with pytest.raises(FileError, match="disk full.*Make room"):
        draw_pictures(folder, train_per_class=1, test_per_class=1, seed=7)
    assert files_of(folder) == before


@pytest.mark.parametrize("wrong", [{"train_per_class": 0}, {"seed": -1}])
def test_wrong_counts_and_seeds_are_refused(tmp_path, wrong):
    with pytest.raises(ValueError, match="positive counts"):
        draw_pictures(tmp_path / "drawn", **wrong)
    assert list(tmp_path.iterdir()) == []
