"""Folders as people have them become training and test pictures."""

import os
import shutil

import pytest
from odd_pictures import HEIC, as_bytes
from PIL import Image

from going_modular.datasets import DataError, count_pictures
from going_modular.own_pictures import lay_out

DISHES = ("pizza", "soup")


def add(path, number):
    """Write a picture that no other number gives."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", (8, 6), (number % 256, number // 256, 9))
    path.write_bytes(as_bytes(image, "PNG"))


@pytest.fixture
def own(tmp_path):
    """Ten photos of each of two dishes, a folder a class, with nothing else."""
    for start, name in ((0, "pizza"), (100, "soup")):
        for number in range(10):
            add(tmp_path / f"own/{name}/IMG_{number}.PNG", start + number)
    return tmp_path / "own"


def laid_out(own, tmp_path):
    """What the lesson gets: in each half how many of the two dishes, and the files."""
    folder = lay_out(own, tmp_path / "data")
    table, names = count_pictures(folder), [f.name for f in folder.glob("*/*/*")]
    return *(tuple(table.loc[half, [*DISHES]]) for half in ("train", "test")), names


def test_a_folder_a_class_is_split_always_alike_and_nothing_in_it_changes(
    own, tmp_path, capsys
):
    def state():
        return [(path, path.stat().st_mtime_ns) for path in sorted(own.rglob("*"))]

    before = state()
    assert laid_out(own, tmp_path)[:2] == ((8, 8), (2, 2))
    assert capsys.readouterr().out == (
        "Your pictures: 16 to train on, 4 to test on; split by a seed, 20% of each "
        "class to test on.\n"
    )
    again = lay_out(own, tmp_path / "data")
    assert os.listdir(tmp_path / "data") == [again.name]
    assert lay_out(again, tmp_path / "data") == again, "laid out once is enough"
    assert state() == before


@pytest.mark.parametrize(
    "move",
    [
        {"": "holiday/My photos"},
        {"pizza": "train/pizza", "soup": "train/soup"},
        {"pizza": "images/pizza/2024/May", "soup": "images/soup"},
    ],
    ids=["folders on top", "only train", "albums inside"],
)
def test_where_the_folders_lie_does_not_matter(move, own, tmp_path):
    for old, new in move.items():
        shutil.copytree(own / old, tmp_path / "top" / new)
    (tmp_path / "top/meta").mkdir()
    (tmp_path / "top/meta/readme.md").touch()
    assert laid_out(tmp_path / "top", tmp_path)[0] == (8, 8)


@pytest.mark.parametrize(
    ("more", "train", "test"),
    [
        *(([name], (10, 10), (1, 1)) for name in ("val", "valid", "TEST", "testing")),
        (["Validation", "test"], (11, 11), (1, 1)),
    ],
)
def test_halves_may_have_other_names(more, train, test, own, tmp_path, capsys):
    top = tmp_path / "halves"
    shutil.copytree(own, top / "Training")
    for number, name in enumerate(more):
        for start, dish in ((20_000, "Pizza"), (30_000, "SOUP")):
            add(top / name / dish / f"{name}.png", start + number)
    assert laid_out(top, tmp_path)[:2] == (train, test)
    told = "validation pictures are trained on" in capsys.readouterr().out
    assert told == (len(more) > 1)


def test_copies_of_a_photo_stay_on_one_side(own, tmp_path):
    for number in range(10):
        shutil.copy(own / f"pizza/IMG_{number}.PNG", own / f"pizza/copy {number}.png")
        shutil.copy(own / f"soup/IMG_{number}.PNG", own / f"pizza/soup {number}.png")
        add(own / f"soup/IMG_{number}.webp", 30_000 + number)  # exported once more
    folder = lay_out(own, tmp_path / "data")
    for number in range(10):
        pizza = (f"*/pizza/*IMG_{number}.*", f"*/pizza/*copy {number}.*")
        soup = (f"*/soup/*IMG_{number}.*", f"*/pizza/*soup {number}.*")
        for copies, count in ((pizza, 2), (soup, 3)):
            found = [path for each in copies for path in folder.glob(each)]
            assert len(found) == count
            assert len({path.parents[1].name for path in found}) == 1


def test_a_phones_folder_any_ending_and_what_systems_put_there(own, tmp_path, capsys):
    for n in range(9):
        (own / f"pizza/IMG_1{n}.HEIC").write_bytes(HEIC + bytes(n))
    for name in ("2.JPeG", "3.Jpg", "4.WEBP", "5.jfif"):
        add(own / "soup" / name, 40_000 + int(name[0]))
    for system in ("__MACOSX", ".thumbnails", "Thumbs", "@eaDir", "pizza/.cache"):
        add(own / system / "pizza" / "1.jpg", 1)
    for name in ("desktop.ini", "pizza/Thumbs.db", "pizza/._IMG_1.PNG"):
        (own / name).touch()
    for name in ("soup/recipe.txt", "soup/movie.MOV"):
        (own / name).touch()
    train, test, names = laid_out(own, tmp_path)
    assert (train[0] + test[0], train[1] + test[1]) == (19, 14)
    assert "2 left out as no pictures: movie.MOV, recipe.txt" in capsys.readouterr().out
    assert len([name for name in names if "HEIC" in name]) == 9


def test_copies_in_halves_and_a_test_half_without_classes_are_told(
    own, tmp_path, capsys
):
    shutil.copytree(own, tmp_path / "top/train")
    for number in range(7):
        add(tmp_path / "top/test" / f"{number}.png", number)
    assert laid_out(tmp_path / "top", tmp_path)[0] == (8, 8)
    assert "7 left out as no pictures: 0.png" in capsys.readouterr().out
    shutil.copytree(own, tmp_path / "top/test", dirs_exist_ok=True)
    assert laid_out(tmp_path / "top", tmp_path)[:2] == ((10, 10), (10, 10))
    assert "20 test pictures are training pictures, too" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"pizza": 10}, r"at least two class folders.*\['pizza'\]"),
        ({}, r"at least two class folders.*found \[\]"),
        ({"pizza": 10, "soup": 1}, "of soup there are too few pictures"),
    ],
)
def test_what_cannot_be_learned_from_is_said(counts, message, tmp_path):
    (top := tmp_path / "few").mkdir()
    for start, (name, count) in enumerate(counts.items()):
        for number in range(count):
            add(top / name / f"{number}.png", 100 * start + number)
    with pytest.raises(DataError, match=message):
        lay_out(top, tmp_path / "data")
    assert not (tmp_path / "data").exists()
