"""Whole files or none: saved, fetched, unpacked; interrupted, torn, on a full disk."""

import io
import os
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from types import SimpleNamespace

import pytest
from local_site import BODY

from going_modular import downloads, files
from going_modular.downloads import download, unpack, zip_complaint
from going_modular.files import FileError, atomic_write, patch_file, staged_folder

QUICK = (2.0, 0.4)  # seconds


def save(target, text):
    with atomic_write(target) as part:
        part.write_text(text)


@pytest.mark.parametrize(
    ("error", "words", "told"),
    [
        (ValueError("no"), None, ValueError),
        (KeyboardInterrupt(), None, KeyboardInterrupt),
        (KeyboardInterrupt(), "Drawing", FileError),
    ],
)
def test_what_fails_leaves_the_older_file(error, words, told, tmp_path):
    target = tmp_path / "new" / "a.txt"
    save(target, "older")
    with pytest.raises(told) as caught, atomic_write(target, words) as part:
        part.write_text("half of")
        raise error
    assert words is None or "Drawing was interrupted. Nothing" in str(caught.value)
    assert target.read_text() == "older"
    assert os.listdir(target.parent) == ["a.txt"]


def fail(*_):
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_disk_that_refuses_is_told_with_what_to_do(step, tmp_path, monkeypatch):
    save(tmp_path / "a.txt", "older")
    monkeypatch.setattr(files.os, step, fail)
    with pytest.raises(FileError, match="a.txt could not .*No space.*Make room"):
        save(tmp_path / "a.txt", "newer")
    assert (tmp_path / "a.txt").read_text() == "older"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_many_saving_one_file_at_once_all_end_well(tmp_path):
    target = tmp_path / "a.txt"

    def saver(number):
        save(target, str(number % 4) * 10_000)
        text = target.read_text()
        assert text == text[0] * 10_000, "one saver's, and whole"

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(saver, range(100)))
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_folder_is_filled_with_all_or_nothing_and_the_first_wins(tmp_path):
    folder = tmp_path / "demo"
    with atomic_write(folder) as part:
        (part / "late").mkdir(parents=True)
        (folder / "early").mkdir(parents=True)
    assert os.listdir(folder) == ["early"]
    (folder / "early").rmdir()
    folder.rmdir()
    with staged_folder(folder) as part:
        (part / "in").mkdir()
        for name in ("in/a", "b"):
            (part / name).write_text("1")
        assert not folder.exists()
    (folder / "own").write_text("mine")
    with pytest.raises(FileError), staged_folder(folder) as part:
        (part / "b").write_text("2")
        fail()
    assert (folder / "b").read_text() == "1" and (folder / "own").read_text() == "mine"
    assert sorted(os.listdir(folder)) == ["b", "in", "own"]
    assert os.listdir(tmp_path) == ["demo"]


TEXT = "import a\nimport b\n\n\ndef f(x):\n    return x\n"


def test_lines_go_and_come_where_the_diff_says(tmp_path):
    diff = "\n-import a\n import b\n+import c\n\n-    return x\n+    return 2 * x\n"
    source, target = tmp_path / "app_0.py", tmp_path / "app_1.py"
    source.write_text(TEXT, "utf-8")
    patch_file(source, diff, target)
    expected = "import b\nimport c\n\n\ndef f(x):\n    return 2 * x\n"
    assert (source.read_text(), target.read_text()) == (TEXT, expected)
    for diff, told in (
        ("+import c", "Say where"),
        ("import a", "must begin with"),
        (" import d\n+import c", "0 times"),
        (" import a\n     return x", "0 times"),
        (" import\n+c", "0 times"),
    ):
        with pytest.raises(FileError, match=told):
            patch_file(source, diff, target)
    source.write_text(TEXT * 2, "utf-8")
    with pytest.raises(FileError, match="2 times"):
        patch_file(source, " import b\n+c", target)


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
SHORT = {"body": BODY[:600_000], "claim": len(BODY)}
FAULTS = {
    "not found": (None, r"404 \(Not Found\)" + RETRY),
    "stalled": (SHORT | {"stall": True}, "sent nothing more" + RETRY),
    "truncated": (SHORT, "broke off before the end" + RETRY),
    "tampered": ({"body": BODY[:-1] + b"!"}, "is odd.*thrown away. Run this again"),
    "sign-in page": ({"body": b"<html>"}, "is odd.*open the address in a browser"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_failed_download_leaves_nothing_and_can_be_repeated(name, site, folder):
    fault, message = FAULTS[name]

    def verify(path):
        return None if path.read_bytes() == BODY else "is odd"

    how = {"target": folder / "a.bin", "verify": verify, "timeout": QUICK}
    url = site.put("/a.bin", **fault or {})
    if fault is None:
        site.pages.clear()
    with pytest.raises(FileError, match=message):
        download(url, **how)
    assert os.listdir(folder) == []
    site.put("/a.bin")
    assert download(url, **how).read_bytes() == BODY
    assert os.listdir(folder) == ["a.bin"]


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
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as zipped:
        for name, content in members.items():
            zipped.writestr(name, content)
    return buffer.getvalue()


def test_a_zip_is_unpacked_once_without_clutter(folder, tmp_path):
    clutter = ["__MACOSX/train/._1.jpg", ".DS_Store", "train/._1.jpg"]
    members = GOOD | {r"train\steak\3.jpg": b"c"} | dict.fromkeys(clutter, b"x")
    (archive := tmp_path / "photos.zip").write_bytes(zip_bytes(members))
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


OUTSIDE = ["../evil", r"a\..\..\evil", "/tmp/evil", "C:evil", r"\\host\share\evil"]
BAD_ZIPS = {
    **{
        name: (zip_bytes(GOOD | {name: b"x"}), "outside the folder") for name in OUTSIDE
    },
    "torn": (zip_bytes(GOOD)[:6000], "not a complete zip"),
    "locked": (changed(b"PK\x01\x02", 8, 1), "password required"),
    "damaged": (changed(b"aaaa", 100, 1), "does not match its checksum"),
    "web page": (b"\n<html>Please sign in", "is a web page"),
    "empty": (b"", "not a complete zip"),
    "bomb": (zip_bytes({**GOOD, "more": b"x"}), "the disk has less room"),
}


@pytest.mark.parametrize("kind", BAD_ZIPS)
def test_a_bad_zip_leaves_nothing_on_disk(kind, folder, site, monkeypatch):
    body, reason = BAD_ZIPS[kind]
    room = SimpleNamespace(free=10_000)  # just enough for the good one
    monkeypatch.setattr(downloads.shutil, "disk_usage", lambda _: room)
    archive = folder.with_name("photos.zip")
    archive.write_bytes(body)
    with pytest.raises(FileError, match=f"{reason}.*Delete it, get it again"):
        unpack(archive, folder / "photos")
    url = site.put("/photos.zip", body)
    with pytest.raises(FileError, match=f"{reason}.*Run this again"):
        verify = partial(zip_complaint, into=folder)
        download(url, folder / "photos.zip", verify=verify)
    assert os.listdir(folder) == []
    assert set(os.listdir(archive.parent)) == {"data", "photos.zip"}
    archive.write_bytes(zip_bytes(GOOD))
    assert (unpack(archive, folder / "photos") / "train/pizza/1.jpg").is_file()


def test_the_setting_decides_without_looking(monkeypatch):
    monkeypatch.setattr(downloads, "all_hosts_offer_files", pytest.fail)
    for setting, offline in (("1", True), ("0", False)):
        monkeypatch.setenv("FOODVISION_OFFLINE", setting)
        assert downloads.is_offline() is offline
    monkeypatch.setenv("FOODVISION_OFFLINE", "yes")
    with pytest.raises(ValueError, match="FOODVISION_OFFLINE is 'yes'.*1.*0"):
        downloads.is_offline()


@pytest.mark.parametrize("fault", [None, "missing", "sign-in page", "never answers"])
def test_online_is_where_both_hosts_offer_their_file(fault, site, monkeypatch):
    look = cache(downloads.all_hosts_offer_files.__wrapped__)  # not yet looked
    monkeypatch.setattr(downloads, "all_hosts_offer_files", look)
    monkeypatch.setattr(downloads, "LOOK_SECONDS", 1.0)
    monkeypatch.delenv("FOODVISION_OFFLINE", raising=False)
    urls = [site.put("/a.zip", claim=32_000_000), site.put("/w", claim=35_000_000)]
    if fault == "missing":
        del site.pages["/w"]
    elif fault == "sign-in page":
        site.put("/w", claim=2_000_000, Content_Type="text/html; charset=utf-8")
    elif fault == "never answers":
        site.pages["/w"] = lambda handler: site.closing.wait(10)
    monkeypatch.setattr(downloads, "LOOK_AT", urls)
    start = time.monotonic()
    assert downloads.is_offline() is downloads.is_offline() is (fault is not None)
    assert time.monotonic() - start < 3
    assert sorted(site.asked) == ["/a.zip", "/w"], "asked once"
