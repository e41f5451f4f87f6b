"""Downloads, the ways they go wrong, and that they then leave nothing."""

import errno
import hashlib
import io
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pooch
import pytest
import requests
from local_site import BODY, Site

from going_modular import downloads
from going_modular.downloads import download
from going_modular.files import FileError, file_sha256, git_blob_sha1

QUICK = (2.0, 0.4)  # seconds


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


# Downloads that work


def test_a_download_is_complete_and_shows_its_progress(site, folder, capsys):
    target = download(site.put("/a.bin"), folder / "deeper" / "a.bin")
    assert target.read_bytes() == BODY
    assert [p.name for p in target.parent.iterdir()] == ["a.bin"]
    lines = capsys.readouterr().out.strip().split("\r")
    assert all(line.startswith("Downloading a.bin") for line in lines)
    assert "100%" in lines[-1] and "1.02M/1.02M" in lines[-1]
    assert lines[-1].isascii() and len(lines[-1]) <= 80


def test_a_server_that_names_no_length_will_do(site, folder):
    def answer(handler):
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(BODY)

    site.pages["/a.bin"] = answer
    assert download(site.root + "/a.bin", folder / "a.bin").read_bytes() == BODY


def test_a_file_that_is_there_is_used_without_a_request(site, folder):
    (folder / "a.bin").write_bytes(b"mine")
    assert download(site.put("/a.bin"), folder / "a.bin").read_bytes() == b"mine"
    assert site.asked == []


def test_a_bad_file_that_is_there_is_named_and_kept(site, folder):
    target = folder / "a.bin"
    target.write_bytes(b"torn")
    with pytest.raises(FileError, match="too short.*Delete it") as caught:
        download(site.put("/a.bin"), target, verify=lambda path: "is too short")
    assert str(target) in str(caught.value)
    assert target.read_bytes() == b"torn" and site.asked == []


# Downloads that fail: the message says what to do, nothing is left, a retry works


def not_found(site, monkeypatch):
    site.pages.clear()


def stalled(site, monkeypatch):
    site.put("/a.bin", BODY[:1000], claim=len(BODY), stall=True)


def truncated(site, monkeypatch):
    site.put("/a.bin", BODY[:600_000], claim=len(BODY))


def tampered(site, monkeypatch):
    site.put("/a.bin", BODY[:-1] + b"!")


def web_page(site, monkeypatch):
    site.put("/a.bin", b"<!DOCTYPE html><p>Please sign in", Content_Type="text/html")


def interrupted(site, monkeypatch):
    whole = requests.Response.iter_content

    def stop_early(reply, chunk_size):
        yield next(whole(reply, chunk_size))
        raise KeyboardInterrupt

    monkeypatch.setattr(requests.Response, "iter_content", stop_early)


class FullDisk(io.BytesIO):
    def write(self, _):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def disk_full(site, monkeypatch):
    fetch = pooch.HTTPDownloader.__call__

    def fetch_to_full_disk(self, url, part, keeper):
        part.touch()
        fetch(self, url, FullDisk(), keeper)

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", fetch_to_full_disk)


def full_on_sync(site, monkeypatch):
    def fail(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fail)


FAULTS = {
    not_found: r"404 \(Not Found\).*Check the connection and the address",
    stalled: "sent nothing for 0.4 seconds.*Check the connection",
    truncated: "broke off before the end.*Check the connection.*run this again",
    tampered: "hash differs.*thrown away. Run this again",
    web_page: "hash differs.*open the address in a browser",
    interrupted: "interrupted. Nothing was kept. Run this again",
    disk_full: "No space left.*Make room on the disk.*run this again",
    full_on_sync: "No space left.*Make room on the disk.*run this again",
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_failed_download_leaves_nothing_and_can_be_repeated(fault, site, folder):
    right = hashlib.sha256(BODY).hexdigest()

    def verify(path):
        return None if file_sha256(path) == right else "hash differs"

    def fetch():
        return download(url, folder / "a.bin", verify=verify, timeout=QUICK)

    url = site.put("/a.bin")
    with pytest.MonkeyPatch.context() as monkeypatch:
        fault(site, monkeypatch)
        with pytest.raises(FileError, match=FAULTS[fault]):
            fetch()
        assert os.listdir(folder) == []
    site.put("/a.bin")
    assert fetch().read_bytes() == BODY
    assert os.listdir(folder) == ["a.bin"]


def test_a_refused_connection_leaves_nothing_and_can_be_repeated(folder, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    gone = Site()
    gone.close()
    with pytest.raises(FileError, match="no connection to the server.*run this"):
        download(gone.root + "/a.bin", folder / "a.bin", timeout=QUICK)
    assert os.listdir(folder) == []
    back = Site(gone.port)
    try:
        assert download(back.put("/a.bin"), folder / "a.bin").read_bytes() == BODY
    finally:
        back.close()


def test_secrets_in_an_address_are_not_shown(site, folder, capsys):
    url = f"{site.root}/x.zip?token=secret".replace("//", "//me:secret@")
    with pytest.raises(FileError) as caught:
        download(url, folder / "x.zip")
    assert "secret" not in str(caught.value) + capsys.readouterr().out


def test_two_downloads_at_once_share_one_result(site, folder):
    url, target = site.put("/a.bin"), folder / "a.bin"
    both = threading.Barrier(2)

    def verify(path):
        if path != target:
            both.wait(5)  # neither is in place before both have been fetched
        return None

    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(download, url, target, verify=verify) for _ in range(2)]
        assert {run.result() for run in runs} == {target}
    assert target.read_bytes() == BODY
    assert os.listdir(folder) == ["a.bin"]


# Hashes


def test_hashes_are_those_of_the_standard_tools(tmp_path):
    (tmp_path / "hello").write_bytes(b"hello\n")
    # printf 'hello\n' | git hash-object --stdin
    blob = "ce013625030ba8dba906f756967f9e9ca394464a"
    assert git_blob_sha1(tmp_path / "hello") == blob
    # printf 'hello\n' | sha256sum
    digest = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
    assert file_sha256(tmp_path / "hello") == digest


# Offline or not


@pytest.fixture
def look(monkeypatch):
    """Look afresh, at these addresses only, with nothing set."""
    monkeypatch.delenv("FOODVISION_OFFLINE", raising=False)
    monkeypatch.setattr(downloads, "LOOK_SECONDS", 1.0)
    downloads.unreachable_hosts.cache_clear()
    yield lambda *urls: monkeypatch.setattr(downloads, "LOOK_AT", urls)
    downloads.unreachable_hosts.cache_clear()


@pytest.mark.parametrize(("setting", "offline"), [("1", True), ("0", False)])
def test_the_setting_decides_without_looking(setting, offline, monkeypatch):
    monkeypatch.setenv("FOODVISION_OFFLINE", setting)
    monkeypatch.setattr(downloads, "unreachable_hosts", pytest.fail)
    assert downloads.is_offline() is offline


def test_an_unclear_setting_is_an_error(monkeypatch):
    monkeypatch.setenv("FOODVISION_OFFLINE", "yes")
    with pytest.raises(ValueError, match="FOODVISION_OFFLINE is 'yes'.*1.*0"):
        downloads.is_offline()


def test_both_hosts_offering_their_file_is_online_and_asked_once(look, site):
    look(site.put("/photos.zip", claim=32_000_000), site.put("/w", claim=35_000_000))
    assert downloads.is_offline() is False
    assert downloads.is_offline() is False
    assert sorted(site.asked) == ["/photos.zip", "/w"]


def test_one_host_alone_is_offline(look, site):
    look(site.put("/photos.zip", claim=32_000_000), site.root + "/missing")
    assert downloads.is_offline() is True
    assert downloads.unreachable_hosts() == ("127.0.0.1",)


def test_a_sign_in_page_for_everything_is_offline(look, site):
    page = {"claim": 2_000_000, "Content_Type": "text/html; charset=utf-8"}
    look(site.put("/photos.zip", b"", **page), site.put("/w", b"Sign in here."))
    assert downloads.is_offline() is True


def test_a_host_that_never_answers_is_offline_soon(look, site):
    site.pages["/slow"] = lambda handler: site.closing.wait(10)
    look(site.root + "/slow", site.root + "/slow")
    start = time.monotonic()
    assert downloads.is_offline() is True
    assert time.monotonic() - start < 3
