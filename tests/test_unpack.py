"""Zips: what is refused, and that nothing is left of those that will not do."""

import errno
import io
import os
import stat
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest

from going_modular import downloads
from going_modular.downloads import download, unpack, zip_complaint
from going_modular.files import FileError

GOOD = {"train/pizza/1.jpg": b"a" * 5000, "test/pizza/2.jpg": b"b" * 5000}


def zip_bytes(members):
    """Zip {name or ZipInfo: bytes}."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as zipped:
        for name, content in members.items():
            zipped.writestr(name, content)
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


def test_a_zip_is_unpacked_without_clutter(tmp_path, folder):
    clutter = ["__MACOSX/train/._1.jpg", ".DS_Store", "train/._1.jpg"]
    archive = tmp_path / "photos.zip"
    archive.write_bytes(zip_bytes({**GOOD, **dict.fromkeys(clutter, b"x")}))
    unpacked = unpack(archive, folder / "photos")
    files = {p for p in unpacked.rglob("*") if p.is_file()}
    assert {p.relative_to(unpacked).as_posix() for p in files} == set(GOOD)
    assert os.listdir(folder) == ["photos"]


def test_an_unpacked_folder_is_used_again_and_an_empty_one_filled(tmp_path, folder):
    archive = tmp_path / "photos.zip"
    archive.write_bytes(zip_bytes(GOOD))
    (folder / "photos").mkdir()
    kept = unpack(archive, folder / "photos") / "train/pizza/1.jpg"
    kept.write_bytes(b"changed")
    unpack(archive, folder / "photos")
    assert kept.read_bytes() == b"changed"


def test_backslashes_of_windows_tools_are_folders(tmp_path, folder):
    archive = tmp_path / "photos.zip"
    archive.write_bytes(zip_bytes({r"train\pizza\1.jpg": b"a"}))
    assert (unpack(archive, folder / "photos") / "train/pizza/1.jpg").is_file()


def link_to_passwords():
    link = zipfile.ZipInfo("train/pizza/1.jpg")
    link.create_system = 3  # Unix
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    return link


def locked():
    body = bytearray(zip_bytes(GOOD))
    body[body.index(b"PK\x01\x02") + 8] |= 1  # the flag for "encrypted"
    return bytes(body)


def damaged():
    body = bytearray(zip_bytes(GOOD))
    body[body.index(b"aaaa") + 100] ^= 1
    return bytes(body)


BAD_ZIPS = {
    "parent": (zip_bytes({**GOOD, "../evil": b"x"}), "outside the folder"),
    "inner parent": (zip_bytes({"a/../../evil": b"x"}), "outside the folder"),
    "windows parent": (zip_bytes({r"a\..\..\evil": b"x"}), "outside the folder"),
    "absolute": (zip_bytes({"/tmp/evil": b"x"}), "outside the folder"),
    "drive": (zip_bytes({"C:evil": b"x"}), "outside the folder"),
    "share": (zip_bytes({r"\\host\share\evil": b"x"}), "outside the folder"),
    "symlink": (zip_bytes({link_to_passwords(): b"/etc/passwd"}), "is a link"),
    "torn": (zip_bytes(GOOD)[:6000], "not a complete zip"),
    "locked": (locked(), "needs a password"),
    "damaged": (damaged(), "does not match its checksum"),
    "web page": (b"\n<html>Please sign in", "is a web page"),
    "empty": (b"", "not a complete zip"),
}


@pytest.mark.parametrize("kind", BAD_ZIPS)
def test_a_bad_zip_leaves_nothing_on_disk(kind, tmp_path, folder):
    body, reason = BAD_ZIPS[kind]
    archive = tmp_path / "photos.zip"
    archive.write_bytes(body)
    with pytest.raises(FileError, match=f"{reason}.*Delete it, get it again"):
        unpack(archive, folder / "photos")
    assert os.listdir(folder) == []
    assert set(os.listdir(tmp_path)) == {"data", "photos.zip"}
    archive.write_bytes(zip_bytes(GOOD))
    assert (unpack(archive, folder / "photos") / "train/pizza/1.jpg").is_file()


@pytest.mark.parametrize("kind", BAD_ZIPS)
def test_a_bad_zip_from_the_web_is_not_kept(kind, site, folder):
    body, reason = BAD_ZIPS[kind]
    url = site.put("/photos.zip", body)
    target = folder / "photos.zip"
    with pytest.raises(FileError, match=f"{reason}.*Run this again"):
        download(url, target, verify=zip_complaint)
    assert os.listdir(folder) == []
    site.put("/photos.zip", zip_bytes(GOOD))
    assert download(url, target, verify=zip_complaint) == target


def test_a_zip_bomb_is_refused_unread(tmp_path, folder, monkeypatch):
    archive = tmp_path / "bomb.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("train/pizza/1.jpg", bytes(2_000_000))
    assert zip_complaint(archive) is None
    monkeypatch.setattr(downloads, "ALWAYS_ALLOWED", 1_000_000)
    with pytest.raises(FileError, match="no zip of pictures does"):
        unpack(archive, folder / "bomb")
    assert os.listdir(folder) == []


@pytest.mark.parametrize(
    ("fault", "advice"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "Make room on the disk"),
        (KeyboardInterrupt(), "interrupted. Nothing was kept. Run this again"),
    ],
)
def test_unpacking_cut_short_leaves_nothing(fault, advice, tmp_path, folder):
    archive = tmp_path / "photos.zip"
    archive.write_bytes(zip_bytes(GOOD))
    extract, calls = zipfile.ZipFile.extract, []

    def extract_one_only(zipped, member, path):
        if calls:
            raise fault
        calls.append(member)
        return extract(zipped, member, path)

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(zipfile.ZipFile, "extract", extract_one_only)
        with pytest.raises(FileError, match=advice):
            unpack(archive, folder / "photos")
        assert os.listdir(folder) == []
    assert (unpack(archive, folder / "photos") / "test/pizza/2.jpg").is_file()


def test_two_runs_unpacking_at_once_share_one_folder(tmp_path, folder, monkeypatch):
    archive = tmp_path / "photos.zip"
    archive.write_bytes(zip_bytes(GOOD))
    both, replace = threading.Barrier(2), os.replace

    def replace_together(part, target):
        both.wait(5)
        replace(part, target)

    monkeypatch.setattr(os, "replace", replace_together)
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(unpack, archive, folder / "photos") for _ in range(2)]
        assert {run.result() for run in runs} == {folder / "photos"}
    assert os.listdir(folder) == ["photos"]
    assert len(list((folder / "photos").rglob("*.jpg"))) == 2
