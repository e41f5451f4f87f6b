"""deploy/torchserve/: the archive in the real server, which is written in Java."""

import shutil
import socket
import tempfile
import zipfile
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from deploy_targets import (
    COMMITTED,
    BytesServer,
    draw_photos,
    logged,
    ports_of,
    python_of,
)
from odd_pictures import JPEG

from deploy.local_server import post
from deploy.stage import CODE
from deploy.torchserve.try_it import serving
from going_modular.app.model import Predictor

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def python() -> Path:
    python = python_of("torchserve", "ts", "TorchServe")
    if not shutil.which("java"):
        pytest.skip("needs Java: apt install openjdk-17-jre-headless")
    return python


@pytest.fixture(scope="module")
def folder(python):
    with tempfile.TemporaryDirectory(prefix="ts") as name:  # short, for a socket's name
        yield Path(name)


@pytest.fixture(scope="module")
def log(folder) -> Path:
    return folder / "log.txt"


@pytest.fixture(scope="module")
def url(python, folder, log):
    with serving(python, folder) as url:
        assert post(url, JPEG)[0] == 200  # waits until the worker is there
        yield url
    assert "Traceback" not in log.read_text()


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> list[Path]:
    return draw_photos(tmp_path_factory.mktemp("photos"), each=3)


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor(COMMITTED, threads=1)


def test_the_archive_holds_what_it_needs(url, folder):
    with zipfile.ZipFile(folder / "foodvision_mini.mar") as archive:
        names = set(archive.namelist())
    assert names == {*CODE, COMMITTED.name, "handler.py", "MAR-INF/MANIFEST.json"}


def form(field: str) -> bytes:
    head = (
        f'--x\r\nContent-Disposition: form-data; name="{field}"; filename="a"\r\n\r\n'
    )
    return head.encode() + JPEG + b"\r\n--x--\r\n"


def test_a_form_with_the_usual_field_is_answered(url):
    kind = "multipart/form-data; boundary=x"
    assert post(url, form("data"), kind)[0] == 200
    for body in (form("picture"), b"--x--\r\n"):
        status, answer = post(url, body, kind)
        assert status == 400 and 'field "data"' in answer["detail"]


def test_what_the_server_itself_refuses_is_forgotten(url, log):
    with logged(log) as lines:
        status, _ = post(url, JPEG, "application/x-www-form-urlencoded")
        assert status == 500  # its own doing, as the README says
        with pytest.raises(OSError):
            post(url, bytes(40_000_000))
        assert post(url, JPEG)[0] == 200
    assert not [line for line in lines if line.startswith("\tat ")], "a trace of Java"


def test_a_stalled_upload_keeps_nobody_waiting(url):
    place = urlsplit(url)
    with socket.create_connection((place.hostname, place.port), timeout=60) as stalled:
        head = f"POST {place.path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"
        stalled.sendall(head.encode() + b"only this")
        assert post(url, JPEG)[0] == 200


def test_only_this_machine_can_ask(url, folder):
    ports = ports_of((folder / "config.properties").read_text())
    assert len(ports) == 5 and urlsplit(url).port in ports
    for port in ports:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
        with pytest.raises(
            ConnectionRefusedError
        ):  # who listens everywhere is here, too
            socket.create_connection(("127.0.0.2", port), timeout=5)


class TestServer(BytesServer):
    target, line = "torchserve", '"POST /predictions/'
    kinds = ("application/json", "text/plain", "application/octet-stream", "odd")

    def check(self, trial):
        assert trial.target == "TorchServe"
        assert trial.file_bytes > 0.5 * COMMITTED.stat().st_size
        assert trial.versions["torchserve"] == "0.12.0"
