"""Downloads and zips, the ways they go wrong, and that they then leave nothing."""

import io
import os
import time
import zipfile
from functools import partial
from types import SimpleNamespace

import pytest
from local_site import BODY

from going_modular import downloads
from going_modular.downloads import download, unpack, zip_complaint
from going_modular.files import FileError

QUICK = (2.0, 0.4)  # seconds


@pytest.fixture
def folder(tmp_path):
    (folder := tmp_path / "data").mkdir()
    return folder


def test_a_download_is_complete_and_shows_its_progress(site, folder, capsys):
    target = download(site.put("/a.bin"), folder / "deeper" / "a.bin")
    assert target.read_bytes() == BODY and os.listdir(target.parent) == ["a.bin"]
    lines = capsys.readouterr().out.strip().split("\r")
    assert all(line.startswith("Downloading a.bin") for line in lines)
    assert "100%" in lines[-1] and "1.02M/1.02M" in lines[-1]
    assert lines[-1].isascii() and len(lines[-1]) <= 80
    target.write_bytes(b"mine")
    assert download(site.root + "/a.bin", target).read_bytes() == b"mine"
    assert len(site.asked) == 1, "what is there is used"


RETRY = ".*Check the connection and the address, then run this again"
FAULTS = {
    "not found": (None, r"404 \(Not Found\)" + RETRY),
    "stalled": (
        {"body": BODY[:1000], "claim": len(BODY), "stall": True},
        "sent nothing more" + RETRY,
    ),
    "truncated": (
        {"body": BODY[:600_000], "claim": len(BODY)},
        "broke off before the end" + RETRY,
    ),
    "tampered": ({"body": BODY[:-1] + b"!"}, "is odd.*thrown away. Run this again"),
    "sign-in page": ({"body": b"<html>"}, "is odd.*open the address in a browser"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_failed_download_leaves_nothing_and_can_be_repeated(name, site, folder):
    fault, message = FAULTS[name]

    def verify(path):
        return None if path.read_bytes() == BODY else "is odd"

    def fetch():
        return download(url, folder / "a.bin", verify=verify, timeout=QUICK)

    url = site.put("/a.bin", **fault or {})
    if fault is None:
        site.pages.clear()
    with pytest.raises(FileError, match=message):
        fetch()
    assert os.listdir(folder) == []
    site.put("/a.bin")
    assert fetch().read_bytes() == BODY and os.listdir(folder) == ["a.bin"]


def test_a_refused_connection_leaves_nothing_and_shows_no_secret(site, folder, capsys):
    url = f"{site.root}/x.zip?token=secret".replace("//", "//me:secret@")
    for told in ("404", "no connection to the server.*run this"):
        with pytest.raises(FileError, match=told) as caught:
            download(url, folder / "x.zip", timeout=QUICK)
        assert "secret" not in str(caught.value) + capsys.readouterr().out
        assert os.listdir(folder) == []
        site.close()


GOOD = {"train/pizza/1.jpg": b"a" * 5000, "test/pizza/2.jpg": b"b" * 5000}


def zip_bytes(members):
    """Zip {name or ZipInfo: bytes}."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as zipped:
        for name, content in members.items():
            zipped.writestr(name, content)
    return buffer.getvalue()


@pytest.fixture
def archive(tmp_path):
    """A good zip."""
    (archive := tmp_path / "photos.zip").write_bytes(zip_bytes(GOOD))
    return archive


def test_a_zip_is_unpacked_once_without_clutter(archive, folder):
    clutter = ["__MACOSX/train/._1.jpg", ".DS_Store", "train/._1.jpg"]
    of_windows = {r"train\steak\3.jpg": b"c"}
    members = {**GOOD, **of_windows, **dict.fromkeys(clutter, b"x")}
    archive.write_bytes(zip_bytes(members))
    (folder / "photos").mkdir()
    unpacked = unpack(archive, folder / "photos")
    files = {p for p in unpacked.rglob("*") if p.is_file()}
    names = {p.relative_to(unpacked).as_posix() for p in files}
    assert names == {*GOOD, "train/steak/3.jpg"}
    assert os.listdir(folder) == ["photos"]
    kept = unpacked / "train/pizza/1.jpg"
    kept.write_bytes(b"changed")
    unpack(archive, folder / "photos")
    assert kept.read_bytes() == b"changed"


def changed(content, where, bits):
    """A good zip with some bits of a byte changed, which lies `where` after this."""
    body = bytearray(zip_bytes(GOOD))
    body[body.index(content) + where] ^= bits
    return bytes(body)


BAD_ZIPS = {
    "parent": (zip_bytes({**GOOD, "../evil": b"x"}), "outside the folder"),
    "windows parent": (zip_bytes({r"a\..\..\evil": b"x"}), "outside the folder"),
    "absolute": (zip_bytes({"/tmp/evil": b"x"}), "outside the folder"),
    "drive": (zip_bytes({"C:evil": b"x"}), "outside the folder"),
    "share": (zip_bytes({r"\\host\share\evil": b"x"}), "outside the folder"),
    "torn": (zip_bytes(GOOD)[:6000], "not a complete zip"),
    "locked": (changed(b"PK\x01\x02", 8, 1), "password required"),
    "damaged": (changed(b"aaaa", 100, 1), "does not match its checksum"),
    "web page": (b"\n<html>Please sign in", "is a web page"),
    "empty": (b"", "not a complete zip"),
    "bomb": (zip_bytes({**GOOD, "more": b"x"}), "the disk has less room"),
}


@pytest.mark.parametrize("kind", BAD_ZIPS)
def test_a_bad_zip_leaves_nothing_on_disk(kind, archive, folder, site, monkeypatch):
    body, reason = BAD_ZIPS[kind]
    room = SimpleNamespace(free=10_000)  # just enough for the good one
    monkeypatch.setattr(downloads.shutil, "disk_usage", lambda _: room)
    good = archive.read_bytes()
    archive.write_bytes(body)
    with pytest.raises(FileError, match=f"{reason}.*Delete it, get it again"):
        unpack(archive, folder / "photos")
    url = site.put("/photos.zip", body)
    with pytest.raises(FileError, match=f"{reason}.*Run this again"):
        verify = partial(zip_complaint, into=folder)
        download(url, folder / "photos.zip", verify=verify)
    assert os.listdir(folder) == []
    assert set(os.listdir(archive.parent)) == {"data", "photos.zip"}
    archive.write_bytes(good)
    assert (unpack(archive, folder / "photos") / "train/pizza/1.jpg").is_file()


@pytest.fixture
def look(monkeypatch):
    """Look afresh, at these addresses only."""
    monkeypatch.delenv("FOODVISION_OFFLINE", raising=False)
    monkeypatch.setattr(downloads, "LOOK_SECONDS", 1.0)
    downloads.all_hosts_offer_files.cache_clear()
    yield lambda *urls: monkeypatch.setattr(downloads, "LOOK_AT", urls)
    downloads.all_hosts_offer_files.cache_clear()


def test_the_setting_decides_without_looking(monkeypatch):
    monkeypatch.setattr(downloads, "all_hosts_offer_files", pytest.fail)
    for setting, offline in (("1", True), ("0", False)):
        monkeypatch.setenv("FOODVISION_OFFLINE", setting)
        assert downloads.is_offline() is offline
    monkeypatch.setenv("FOODVISION_OFFLINE", "yes")
    with pytest.raises(ValueError, match="FOODVISION_OFFLINE is 'yes'.*1.*0"):
        downloads.is_offline()


@pytest.mark.parametrize("fault", [None, "missing", "sign-in page", "never answers"])
def test_online_is_where_both_hosts_offer_their_file(fault, look, site):
    urls = [site.put("/a.zip", claim=32_000_000), site.put("/w", claim=35_000_000)]
    if fault == "missing":
        del site.pages["/w"]
    elif fault == "sign-in page":
        site.put("/w", claim=2_000_000, Content_Type="text/html; charset=utf-8")
    elif fault == "never answers":
        site.pages["/w"] = lambda handler: site.closing.wait(10)
    look(*urls)
    start = time.monotonic()
    assert downloads.is_offline() is downloads.is_offline() is (fault is not None)
    assert time.monotonic() - start < 3
    assert sorted(site.asked) == ["/a.zip", "/w"], "asked once"
