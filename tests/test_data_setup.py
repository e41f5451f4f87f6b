"""Where pictures come from, and what is refused."""

import hashlib
import os
import shutil

import pytest
from test_datasets import make_pictures
from test_files import zip_bytes

from going_modular import data_setup, downloads
from going_modular.data_setup import find_pictures
from going_modular.datasets import DataError, count_pictures
from going_modular.drawn import MARKER
from going_modular.files import file_sha256


def zip_of(folder, top=""):
    files = [path for path in folder.rglob("*") if path.is_file()]
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
    name = hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()
    monkeypatch.setattr(data_setup, "PHOTOS_BLOB", name)
    monkeypatch.setattr(data_setup, "PHOTOS_COUNTS", [4, 2])
    monkeypatch.setattr(data_setup, "PHOTOS_URL", site.put("/p.zip", body))
    monkeypatch.setenv("FOODVISION_OFFLINE", "0")
    return body


def test_a_folder_of_ones_own_is_used_where_it_is(own, data_dir):
    found = find_pictures(data_dir)
    assert found == (own, False) and found.label == "real photos"
    assert os.listdir(data_dir) == []
    (own / MARKER).touch()
    assert find_pictures(data_dir) == (own, True)


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


def test_a_zip_on_the_web_is_asked_for_once_and_a_bad_one_leaves_nothing(
    own, data_dir, site, monkeypatch
):
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


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("test/steak", "own .*train/ has pizza, steak and test/ has pizza.*run this"),
        ("", "there is no folder or zip at .*own. Correct it, or unset"),
    ],
)
def test_a_folder_that_will_not_do_is_named(missing, message, own, data_dir):
    shutil.rmtree(own / missing)
    with pytest.raises(DataError, match=message):
        find_pictures(data_dir)
    assert os.listdir(data_dir) == []


def test_what_is_not_the_published_zip_is_refused_and_half_a_folder_is_no_photos(
    published, site, data_dir
):
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
def test_pictures_are_drawn_only_offline_and_where_no_photos_are(
    here, offline, published, site, data_dir, monkeypatch
):
    monkeypatch.setenv("FOODVISION_OFFLINE", offline)
    folder = data_dir / data_setup.PHOTOS_NAME
    if here == "folder":
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
