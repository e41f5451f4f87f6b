"""Drawn plates of other dishes: from a seed, whole, never taken for the three."""

import numpy as np
import pytest
from PIL import Image

from going_modular.practice import pictures as practice_pictures
from going_modular.practice.pictures import (
    CLASS_NAMES,
    MARKER,
    OTHER_NAMES,
    draw_picture,
    draw_pictures,
)

SMALL = (96, 72)
ASKED = {"train_per_class": 2, "test_per_class": 1, "seed": 3}


@pytest.fixture
def quick(monkeypatch):
    """Draw plain pictures, and note which, so that tests of files need not wait."""
    drawn = []

    def plain(class_name, seed, *, size=None):
        drawn.append((class_name, seed))
        return Image.new("RGB", (8, 6), (seed % 256, 100, 50))

    monkeypatch.setattr(practice_pictures, "draw_picture", plain)
    return drawn


def dishes_in(folder):
    return sorted(path.name for path in folder.iterdir())


def marker_of(folder):
    return (folder / MARKER).read_text(encoding="utf-8")


def test_the_names_are_sorted_and_none_is_a_class_of_the_lesson():
    assert OTHER_NAMES == ("fried_eggs", "noodles", "pancakes", "salad", "soup")
    assert not set(OTHER_NAMES) & set(CLASS_NAMES)
    assert CLASS_NAMES == ("pizza", "steak", "sushi")


@pytest.mark.parametrize("name", OTHER_NAMES)
def test_a_seed_decides_every_pixel(name):
    first, again, other = (draw_picture(name, seed, size=SMALL) for seed in (5, 5, 6))
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()


@pytest.mark.parametrize("name", OTHER_NAMES)
def test_pictures_have_the_asked_size_and_something_on_them(name):
    for seed in range(12):
        picture = draw_picture(name, seed, size=SMALL)
        assert (picture.mode, picture.size) == ("RGB", SMALL)
        assert np.asarray(picture).std() > 15, f"seed {seed} is nearly blank"


def test_no_two_dishes_share_a_picture():
    names = CLASS_NAMES + OTHER_NAMES
    pictures = {draw_picture(name, 5, size=SMALL).tobytes() for name in names}
    assert len(pictures) == len(names)


def test_an_unknown_dish_is_named_with_all_known_ones():
    with pytest.raises(ValueError, match="steak.*soup.*'burger'"):
        draw_picture("burger", 1)


@pytest.mark.parametrize("names", [("soup", "burger"), (), "soup"])
def test_nothing_is_written_for_unknown_or_no_dishes(tmp_path, names):
    with pytest.raises(ValueError, match="names must be some of .*'pancakes'"):
        draw_pictures(tmp_path / "drawn", names=names)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_other_dishes_is_written_whole(tmp_path):
    folder = draw_pictures(tmp_path / "others", train_per_class=1, test_per_class=1,
                           names=OTHER_NAMES)  # fmt: skip
    for split in ("train", "test"):
        assert dishes_in(folder / split) == list(OTHER_NAMES)
        for name in OTHER_NAMES:
            with Image.open(folder / split / name / f"practice_{name}_0000.jpg") as own:
                assert (own.format, own.mode) == ("JPEG", "RGB")
    assert "dishes: fried_eggs, noodles, pancakes, salad, soup" in marker_of(folder)


def test_a_complete_folder_is_kept_however_its_dishes_are_listed(tmp_path, quick):
    folder = draw_pictures(tmp_path / "others", **ASKED, names=["soup", "salad"])
    assert {name for name, _ in quick} == {"salad", "soup"}
    drawn = len(quick)
    draw_pictures(folder, **ASKED, names=("salad", "soup", "salad"))
    assert len(quick) == drawn == 2 * (2 + 1)


def test_a_missing_picture_is_drawn_again(tmp_path, quick):
    folder = draw_pictures(tmp_path / "others", **ASKED, names=OTHER_NAMES)
    lost = folder / "test" / "soup" / "practice_soup_0000.jpg"
    lost.unlink()
    draw_pictures(folder, **ASKED, names=OTHER_NAMES)
    assert lost.is_file()


def test_one_set_is_never_taken_for_another(tmp_path, quick):
    folder = tmp_path / "drawn"
    for names in (CLASS_NAMES, OTHER_NAMES, OTHER_NAMES[:2], CLASS_NAMES):
        draw_pictures(folder, **ASKED, names=names)
        assert dishes_in(folder / "train") == sorted(names)


def test_folders_drawn_before_there_were_other_dishes_stay_valid(tmp_path, quick):
    """The marker of the lesson's own dishes says what it said then."""
    folder = draw_pictures(tmp_path / "drawn", **ASKED)
    assert marker_of(folder) == (
        "These pictures are drawn by going_modular/practice/pictures.py.\n"
        "They are no photos: scores on them say nothing about real food.\n"
        "train per class: 2, test per class: 1, seed: 3, drawing version: 1\n"
    )
    drawn = list(quick)
    draw_pictures(folder, **ASKED, names=CLASS_NAMES)
    assert quick == drawn
    twin = draw_pictures(tmp_path / "twin", **ASKED, names=CLASS_NAMES)
    assert marker_of(twin) == marker_of(folder)
    assert quick == drawn * 2
