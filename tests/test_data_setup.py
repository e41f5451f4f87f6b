"""Where pictures come from, and what is refused."""

import os
import shutil

import pytest
from test_datasets import make_pictures
from test_unpack import zip_bytes

from going_modular import data_setup, downloads
from going_modular.data_setup import find_pictures
from going_modular.datasets import DataError, count_pictures
from going_modular.drawn import MARKER
from going_modular.files import file_sha256, git_blob_sha1


def zip_of(folder, top=""):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    names = {top + path.relative_to(folder).as_posix(): path for path in files}
    return zip_bytes({name: path.read_bytes() for name, path in names.items()})


@pytest.fixture
def data_dir(tmp_path, monkeypatch):
    """An empty data folder; nothing set, and no request leaves the machine."""
    monkeypatch.delenv("FOODVISION_DATA", raising=False)
    monkeypatch.setenv("FOODVISION_OFFLINE", "1")
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


@pytest.fixture
def own(tmp_path, data_dir, monkeypatch):
    """A small folder of pictures that FOODVISION_DATA names."""
    folder = make_pictures(tmp_path / "own")
    monkeypatch.setenv("FOODVISION_DATA", str(folder))
    return folder


@pytest.fixture
def published(data_dir, site, tmp_path, monkeypatch):
    """A small stand-in for the published zip, on a server of its own."""
    body = zip_of(make_pictures(tmp_path / "published"))
    (tmp_path / "published.zip").write_bytes(body)
    blob = git_blob_sha1(tmp_path / "published.zip")
    monkeypatch.setattr(data_setup, "PHOTOS_BLOB", blob)
    monkeypatch.setattr(data_setup, "PHOTOS_COUNTS", {"train": 4, "test": 2})
    monkeypatch.setattr(data_setup, "PHOTOS_URL", site.put("/p.zip", body))
    monkeypatch.setenv("FOODVISION_OFFLINE", "0")
    return body


# FOODVISION_DATA


def test_a_folder_of_ones_own_is_used_where_it_is(own, data_dir):
    found = find_pictures(data_dir)
    assert found.folder == own and found.label == "real photos"
    assert found.source == "your own (FOODVISION_DATA)" and not found.is_practice
    assert os.listdir(data_dir) == []


def test_drawn_pictures_are_called_drawn_wherever_they_come_from(own, data_dir):
    (own / MARKER).touch()
    found = find_pictures(data_dir)
    assert found.is_practice and found.label == "drawn practice pictures"


@pytest.mark.parametrize("top", ["", "my photos/"])
def test_a_zip_of_ones_own_is_unpacked_once(top, own, data_dir, monkeypatch):
    archive = own.with_suffix(".zip")
    archive.write_bytes(zip_of(own, top))
    monkeypatch.setenv("FOODVISION_DATA", str(archive))
    folder = data_dir / f"own-{file_sha256(archive)[:8]}"
    assert find_pictures(data_dir).folder == folder / top
    monkeypatch.setattr(downloads, "unpack", pytest.fail)
    assert find_pictures(data_dir).folder == folder / top
    assert os.listdir(data_dir) == [folder.name]


def test_another_zip_of_the_same_name_does_not_mix(own, data_dir, monkeypatch):
    archive = own.with_suffix(".zip")
    monkeypatch.setenv("FOODVISION_DATA", str(archive))
    archive.write_bytes(zip_of(own))
    first = find_pictures(data_dir).folder
    archive.write_bytes(zip_of(make_pictures(own, ["soup"])))
    second = find_pictures(data_dir).folder
    assert first != second
    assert list(count_pictures(first).columns) == ["pizza", "steak", "total"]
    assert list(count_pictures(second).columns) == ["pizza", "soup", "steak", "total"]


def test_a_zip_on_the_web_is_asked_for_once(own, data_dir, site, monkeypatch):
    url = site.put("/my%20photos.zip", zip_of(own))
    monkeypatch.setenv("FOODVISION_DATA", url)
    first = find_pictures(data_dir)
    assert first == find_pictures(data_dir)
    assert site.asked == ["/my%20photos.zip"]
    assert first.folder.parent == data_dir and "my_photos" in first.folder.name


def broken_zip(site, own):
    site.put("/x.zip", zip_of(own)[:-40])


def page_for_zip(site, own):
    site.put("/x.zip", b"<html>Not here", Content_Type="text/html")


def zip_without_train(site, own):
    site.put("/x.zip", zip_bytes({"a.txt": b"a", "b.txt": b"b"}))


def missing_zip(site, own):
    site.pages.clear()


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (broken_zip, "not a complete zip.*Run this again.*unset FOODVISION_DATA"),
        (page_for_zip, "is a web page.*Run this again.*unset FOODVISION_DATA"),
        (zip_without_train, "no train/ and no test/.*right and run this again"),
        (missing_zip, "404.*Check the connection.*unset FOODVISION_DATA"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_bad_zip_on_the_web_leaves_nothing(
    fault, message, own, data_dir, site, monkeypatch
):
    monkeypatch.setenv("FOODVISION_DATA", site.root + "/x.zip")
    fault(site, own)
    with pytest.raises(DataError, match=message):
        find_pictures(data_dir)
    assert os.listdir(data_dir) == []
    site.put("/x.zip", zip_of(own))
    assert count_pictures(find_pictures(data_dir).folder).total.total == 6


def test_a_zip_with_the_wrong_folders_leaves_nothing(own, data_dir, monkeypatch):
    archive = own.with_suffix(".zip")
    archive.write_bytes(zip_bytes({"train/pizza/1.jpg": b"", "readme.txt": b""}))
    monkeypatch.setenv("FOODVISION_DATA", str(archive))
    with pytest.raises(DataError, match="has no test/.*Put own.zip right"):
        find_pictures(data_dir)
    assert os.listdir(data_dir) == []


def remove(*names):
    def fault(own):
        for name in names:
            shutil.rmtree(own / name)

    return fault


def empty(own):
    (own / "train/steak/0.png").rename(own / "train/steak/0.txt")
    (own / "train/steak/1.png").rename(own / "train/steak/._1.png")


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (remove("train"), "it has no train/; it should hold"),
        (remove("test/steak"), "train/ has pizza, steak and test/ has pizza"),
        (remove("train/steak", "test/steak"), r"at least two.*found \['pizza'\]"),
        (remove("test/pizza", "test/steak"), "train/ has pizza, steak.*has none"),
        (empty, "there is no picture in train/steak"),
        (shutil.rmtree, "there is no folder or zip at .*own. Correct it, or unset"),
    ],
)
def test_a_folder_that_will_not_do_is_named(fault, message, own, data_dir):
    fault(own)
    with pytest.raises(DataError, match=message) as caught:
        find_pictures(data_dir)
    assert str(own) in str(caught.value)
    assert "run this again" in str(caught.value) or "unset it" in str(caught.value)
    assert os.listdir(data_dir) == []


def test_hidden_files_and_folders_are_no_pictures(own, data_dir):
    shutil.copytree(own / "train/pizza", own / "train/.ipynb_checkpoints")
    shutil.copytree(own / "train/pizza", own / "train/pizza/.ipynb_checkpoints")
    (own / "train/pizza/._0.png").write_bytes(b"made by macOS")
    (own / "train/notes.txt").touch()
    assert count_pictures(find_pictures(data_dir).folder).loc["train", "total"] == 4


# The published photos, or the drawn pictures


def test_published_photos_are_fetched_once(published, site, data_dir):
    found = find_pictures(data_dir)
    assert (found.source, found.label) == ("published photos", "real photos")
    assert found.folder == data_dir / "pizza_steak_sushi_20_percent"
    assert find_pictures(data_dir) == found and site.asked == ["/p.zip"]


def test_a_changed_published_zip_is_refused_not_replaced(published, site, data_dir):
    site.put("/p.zip", zip_bytes({"train/pizza/1.jpg": b"tampered"}))
    with pytest.raises(DataError, match="hash differs.*set FOODVISION_OFFLINE=1"):
        find_pictures(data_dir)
    assert os.listdir(data_dir) == []
    site.put("/p.zip", published)
    assert find_pictures(data_dir).source == "published photos"


def test_a_zip_put_there_by_hand_serves_offline(published, data_dir, monkeypatch):
    monkeypatch.setenv("FOODVISION_OFFLINE", "1")
    (data_dir / "pizza_steak_sushi_20_percent.zip").write_bytes(published)
    assert find_pictures(data_dir).source == "published photos"


def test_another_zip_of_that_name_is_kept_and_not_passed_off(
    own, data_dir, monkeypatch
):
    archive = data_dir / "pizza_steak_sushi_20_percent.zip"
    archive.write_bytes(zip_of(own))
    monkeypatch.delenv("FOODVISION_DATA")
    with pytest.raises(DataError, match="hash differs.*Delete it.*FOODVISION_DATA"):
        find_pictures(data_dir)
    monkeypatch.setenv("FOODVISION_DATA", str(archive))
    assert find_pictures(data_dir).source == "your own (FOODVISION_DATA)"


def test_a_half_copied_folder_does_not_pass_for_the_photos(published, data_dir):
    folder = find_pictures(data_dir).folder
    (folder / "train/steak/1.png").unlink()
    with pytest.raises(DataError, match="4 training and 2 test.*3 and 2.*Delete"):
        find_pictures(data_dir)


def test_without_internet_they_are_drawn_and_called_so(data_dir, monkeypatch):
    found = find_pictures(data_dir)
    assert found.folder == data_dir / "drawn_pictures" / "dishes"
    assert found.source == found.label == "drawn practice pictures"
    assert count_pictures(found.folder)["total"].tolist()[:2] == [108, 54]
    monkeypatch.setenv("FOODVISION_DATA", str(found.folder))
    assert find_pictures(data_dir).is_practice


# What is going to be used


@pytest.mark.parametrize("offline", ["0", "1"])
@pytest.mark.parametrize("here", [None, "folder", "zip"])
def test_pictures_are_drawn_only_offline_and_where_no_photos_are(
    here, offline, published, site, data_dir, monkeypatch
):
    monkeypatch.setenv("FOODVISION_OFFLINE", offline)
    name = data_setup.PHOTOS_NAME
    if here == "folder":
        make_pictures(data_dir / name)
    elif here == "zip":
        (data_dir / f"{name}.zip").write_bytes(published)
    found = find_pictures(data_dir)
    assert found.is_practice == (here is None and offline == "1")
    assert bool(site.asked) == (here is None and offline == "0")
