"""Where pictures come from, how they are loaded and laid out, and what is refused."""

import hashlib
import os
import shutil

import numpy as np
import pytest
from odd_pictures import HEIC, READABLE, REFUSED
from PIL import Image
from test_files import zip_bytes
from torchvision.transforms import functional

from going_modular import data_setup, datasets, downloads
from going_modular.app.model import open_picture
from going_modular.data_setup import find_pictures, lay_out
from going_modular.datasets import DataError, count_pictures, load_picture
from going_modular.drawn import MARKER
from going_modular.files import file_sha256


def add(path, number):
    """A picture that no other number gives."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 6), (number % 256, number // 256, 9)).save(path, "PNG")


def make_pictures(folder, classes=("pizza", "steak")):
    for name in classes:
        for number, place in enumerate(("train/{}/0", "train/{}/1", "test/{}/0")):
            add(folder / f"{place.format(name)}.png", number)
    return folder


def zip_of(folder, top=""):
    names = {top + p.relative_to(folder).as_posix(): p for p in folder.glob("*/*/*")}
    return zip_bytes({name: path.read_bytes() for name, path in names.items()})


@pytest.fixture
def data_dir(tmp_path, monkeypatch):
    monkeypatch.delenv("FOODVISION_DATA", raising=False)
    monkeypatch.setenv("FOODVISION_OFFLINE", "1")
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


@pytest.fixture
def own(tmp_path, data_dir, monkeypatch):
    folder = make_pictures(tmp_path / "own")
    monkeypatch.setenv("FOODVISION_DATA", str(folder))
    return folder


@pytest.fixture
def published(data_dir, site, tmp_path, monkeypatch):
    """A small stand-in for the published zip, on a server of its own."""
    body = zip_of(make_pictures(tmp_path / "published"))
    name = hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()
    monkeypatch.setattr(data_setup, "PHOTOS_BLOB", name)
    monkeypatch.setattr(data_setup, "PHOTOS_COUNTS", [4, 2])
    monkeypatch.setattr(downloads, "PHOTOS_URL", site.put("/p.zip", body))
    monkeypatch.setenv("FOODVISION_OFFLINE", "0")
    return body


def test_a_folder_of_ones_own_is_used_where_it_is(own, data_dir, monkeypatch):
    found = find_pictures(data_dir)
    assert found == (own, False) and found.label == "real photos"
    assert os.listdir(data_dir) == []
    (own / MARKER).touch()
    assert find_pictures(data_dir) == (own, True)
    monkeypatch.setenv("FOODVISION_OFFLINE", "yes")
    with pytest.raises(ValueError, match="FOODVISION_OFFLINE is 'yes'. Set it to 1"):
        find_pictures(data_dir)


@pytest.mark.parametrize("top", ["", "my photos/"])
def test_a_zip_of_ones_own_is_unpacked_once(top, own, data_dir, monkeypatch):
    archive = own.with_suffix(".zip")
    archive.write_bytes(zip_of(own, top))
    monkeypatch.setenv("FOODVISION_DATA", str(archive))
    folder = data_dir / f"own-{file_sha256(archive)[:8]}"
    with monkeypatch.context() as once:
        assert find_pictures(data_dir).folder == folder / top
        once.setattr(downloads, "_unpack", pytest.fail)
        assert find_pictures(data_dir).folder == folder / top
    assert os.listdir(data_dir) == [folder.name]
    archive.write_bytes(zip_of(make_pictures(own, ["soup"])))  # of the same name
    assert "soup" in count_pictures(find_pictures(data_dir).folder)
    assert "soup" not in count_pictures(folder / top)


def test_a_zip_is_fetched_once_and_a_bad_one_goes(own, data_dir, site, monkeypatch):
    url = site.root + "/my%20photos.zip"
    monkeypatch.setenv("FOODVISION_DATA", url)
    for body, message in (
        (None, "404.*Check the connection.*unset FOODVISION_DATA"),
        (b"<html>Not here", "is a web page.*Run this again.*unset FOODVISION_DATA"),
        (zip_bytes({"a": b""}), "at least two class folders.*right and run this"),
    ):
        if body:
            site.put("/my%20photos.zip", body)
        with pytest.raises(DataError, match=message):
            find_pictures(data_dir)
        assert os.listdir(data_dir) == []
    site.put("/my%20photos.zip", zip_of(own))
    first = find_pictures(data_dir)
    assert first == find_pictures(data_dir)
    assert site.asked == ["/my%20photos.zip"] * 4, "once when it was there"
    assert first.folder.parent == data_dir and "my_photos" in first.folder.name
    assert count_pictures(first.folder).total.total == 6


def test_a_folder_that_will_not_do_is_named(own, data_dir):
    for missing, message in (
        ("test/steak", "own .*train/ has pizza, steak and test/ has pizza.*run this"),
        ("", "there is no folder or zip at .*own. Correct it, or unset"),
    ):
        shutil.rmtree(own / missing)
        with pytest.raises(DataError, match=message):
            find_pictures(data_dir)
        assert os.listdir(data_dir) == []


def test_no_other_zip_and_no_half_of_the_photos_will_do(published, site, data_dir):
    site.put("/p.zip", other := zip_bytes({"train/pizza/1.jpg": b"tampered"}))
    with pytest.raises(DataError, match="hash differs.*set FOODVISION_OFFLINE=1"):
        find_pictures(data_dir)
    assert os.listdir(data_dir) == []
    archive = data_dir / f"{data_setup.PHOTOS_NAME}.zip"
    archive.write_bytes(other)  # another of that name, which is the reader's
    with pytest.raises(DataError, match="hash differs.*Delete it.*FOODVISION_DATA"):
        find_pictures(data_dir)
    archive.unlink()
    site.put("/p.zip", published)
    folder = find_pictures(data_dir).folder
    (folder / "train/steak/1.png").unlink()
    with pytest.raises(DataError, match="4 training and 2 test.*3 and 2.*Delete"):
        find_pictures(data_dir)


@pytest.mark.parametrize("offline", ["0", "1"])
@pytest.mark.parametrize("here", [None, "folder", "zip"])
def test_when_pictures_are_drawn(here, offline, published, site, data_dir, monkeypatch):
    monkeypatch.setenv("FOODVISION_OFFLINE", offline)
    folder = data_dir / data_setup.PHOTOS_NAME
    if here is None:
        assert find_pictures(data_dir, fetch=False).is_practice
    elif here == "folder":
        make_pictures(folder)
    elif here == "zip":
        folder.with_suffix(".zip").write_bytes(published)
    found = find_pictures(data_dir)
    if here is None and offline == "1":
        assert found == (data_dir / "drawn_pictures" / "dishes", True)
        assert found.label == "drawn practice pictures"
        assert count_pictures(found.folder)["total"].tolist()[:2] == [108, 54]
    else:
        assert found == (folder, False) == find_pictures(data_dir)
    assert site.asked == (["/p.zip"] if here is None and offline == "0" else [])


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
    with pytest.raises(DataError, match="train/pizza/0.png, .*test/steak/0.png. Move"):
        count_pictures(folder)
    for number in range(9):
        (folder / "train/pizza" / f"bad{number}.jpg").write_bytes(b"")
    with pytest.raises(DataError, match="and 6 more"):
        count_pictures(folder)


def test_datasets_are_in_order_of_class_and_name(tmp_path):
    folder = make_pictures(tmp_path)
    (folder / "train/pizza/0.png").rename(folder / "train/pizza/Z.PNG")
    train, test = datasets.make_datasets(folder, functional.pil_to_tensor)
    assert train.classes == test.classes == ["pizza", "steak"]
    names = [path.relative_to(folder / "train").as_posix() for path, _ in train.samples]
    assert names == ["pizza/1.png", "pizza/Z.PNG", "steak/0.png", "steak/1.png"]
    picture, label = train[2]
    assert picture.shape == (3, 6, 8) and label == 1


@pytest.fixture
def photos(tmp_path):
    for number in range(10):
        add(tmp_path / f"own/pizza/IMG_{number}.PNG", number)
        add(tmp_path / f"own/soup/IMG_{number}.PNG", 100 + number)
    return tmp_path / "own"


def laid_out(folder, tmp_path):
    """What the lesson gets: in each half how many of pizza and soup, and the files."""
    folder = lay_out(folder, tmp_path / "data")
    table, names = count_pictures(folder), [f.name for f in folder.glob("*/*/*")]
    return *(tuple(table.loc[half][:2]) for half in ("train", "test")), names


def test_a_folder_is_split_always_alike_and_left_alone(photos, tmp_path, capsys):
    before = {path: path.stat().st_mtime_ns for path in photos.rglob("*")}
    assert laid_out(photos, tmp_path)[:2] == ((8, 8), (2, 2))
    said = "16 to train on, 4 to test on; split by a seed, 20% of each class to test on"
    assert capsys.readouterr().out == f"Your pictures: {said}.\n"
    again = lay_out(photos, tmp_path / "data")
    assert os.listdir(tmp_path / "data") == [again.name]
    assert lay_out(again, tmp_path / "data") == again, "laid out once is enough"
    assert before == {path: path.stat().st_mtime_ns for path in photos.rglob("*")}


@pytest.mark.parametrize(
    "places", [("photos/mine", "photos/mine"), ("train", "train"), ("i/pizza/May", "i")]
)
def test_where_the_folders_lie_does_not_matter(places, photos, tmp_path):
    for dish, place in zip(("pizza", "soup"), places, strict=True):
        shutil.copytree(photos / dish, tmp_path / "top" / place / dish)
    (tmp_path / "top/meta").mkdir()
    (tmp_path / "top/meta/readme.md").touch()
    assert laid_out(tmp_path / "top", tmp_path)[0] == (8, 8)


@pytest.mark.parametrize("more", ["val", "valid", "TEST", "testing", "Validation test"])
def test_halves_may_have_other_names(more, photos, tmp_path, capsys):
    top, more = tmp_path / "halves", more.split()
    shutil.copytree(photos, top / "Training")
    for number, name in enumerate(more):
        for start, dish in ((20_000, "Pizza"), (30_000, "SOUP")):
            add(top / name / dish / f"{name}.png", start + number)
    train = 9 + len(more)
    assert laid_out(top, tmp_path)[:2] == ((train, train), (1, 1))
    told = "validation pictures are trained on" in capsys.readouterr().out
    assert told == (len(more) > 1)


def test_copies_of_a_photo_stay_on_one_side(photos, tmp_path):
    pizza, soup = photos / "pizza", photos / "soup"
    for number in range(10):
        shutil.copy(pizza / f"IMG_{number}.PNG", pizza / f"copy {number}.png")
        shutil.copy(soup / f"IMG_{number}.PNG", pizza / f"soup {number}.png")
        add(soup / f"IMG_{number}.webp", 30_000 + number)  # exported once more
    folder = lay_out(photos, tmp_path / "data")
    for number in range(10):
        for dish, copied, count in (("pizza", "copy", 2), ("soup", "soup", 3)):
            found = [*folder.glob(f"*/{dish}/*IMG_{number}.*")]
            found += folder.glob(f"*/pizza/*{copied} {number}.*")
            halves = {path.parents[1].name for path in found}
            assert (len(found), len(halves)) == (count, 1)


def test_a_phones_folder_and_what_systems_put_there(photos, tmp_path, capsys):
    for n in range(9):
        (photos / f"pizza/IMG_1{n}.HEIC").write_bytes(HEIC + bytes(n))
    for name in ("2.JPeG", "3.Jpg", "4.WEBP", "5.jfif"):
        add(photos / "soup" / name, 40_000 + int(name[0]))
    for system in ("__MACOSX", ".thumbnails", "Thumbs", "@eaDir", "pizza/.cache"):
        add(photos / system / "pizza" / "1.jpg", 1)
    systems = ("desktop.ini", "pizza/Thumbs.db", "pizza/._IMG_1.PNG")
    for name in (*systems, "soup/recipe.txt", "soup/movie.MOV"):
        (photos / name).touch()
    train, test, names = laid_out(photos, tmp_path)
    assert (train[0] + test[0], train[1] + test[1]) == (19, 14)
    assert "2 left out as no pictures: movie.MOV, recipe.txt" in capsys.readouterr().out
    assert len([name for name in names if "HEIC" in name]) == 9


def test_copies_in_halves_and_a_half_without_classes(photos, tmp_path, capsys):
    shutil.copytree(photos, tmp_path / "top/train")
    for number in range(7):
        add(tmp_path / "top/test" / f"{number}.png", number)
    assert laid_out(tmp_path / "top", tmp_path)[0] == (8, 8)
    assert "7 left out as no pictures: 0.png" in capsys.readouterr().out
    shutil.copytree(photos, tmp_path / "top/test", dirs_exist_ok=True)
    assert laid_out(tmp_path / "top", tmp_path)[:2] == ((10, 10), (10, 10))
    assert "20 test pictures are training pictures, too" in capsys.readouterr().out


def test_what_cannot_be_learned_from_is_said(photos, tmp_path):
    for gone, message in (
        ("soup/IMG_[!0]*", "of soup there are too few pictures"),
        ("soup/*", r"at least two class folders.*\['pizza'\]"),
        ("*/*", r"at least two class folders.*found \[\]"),
    ):
        for file in photos.glob(gone):
            file.unlink()
        with pytest.raises(DataError, match=message):
            lay_out(photos, tmp_path / "data")
        assert not (tmp_path / "data").exists()
