"""deploy/azure_ml/: score.py in Azure's own inference server, from what is uploaded."""

import json
import socket
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from deploy_targets import (
    COMMITTED,
    BytesServer,
    draw_photos,
    logged,
    python_of,
)
from odd_pictures import JPEG

from deploy.azure_ml.try_it import serving
from deploy.local_server import post
from going_modular.app.model import Predictor

pytestmark = pytest.mark.slow
TIMEOUT_MS = 4000  # for a whole request


@pytest.fixture(scope="module")
def python() -> Path:
    return python_of("azure_ml", "azureml_inference_server_http", "Azure's server")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("azure_ml")


@pytest.fixture(scope="module")
def url(python, folder, log):
    with serving(python, folder, SCORING_TIMEOUT_MS=str(TIMEOUT_MS)) as url:
        assert post(url, JPEG)[0] == 200  # its logger says a word with the first
        yield url
    assert "Traceback" not in log.read_text()


@pytest.fixture(scope="module")
def photos(folder) -> list[Path]:
    return draw_photos(folder, each=3)


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor(COMMITTED, threads=1)


@pytest.fixture(scope="module")
def log(folder) -> Path:
    return folder / "log.txt"


def ask(url: str, method: str, body: bytes = b"") -> tuple[int, dict, dict]:
    place = urlsplit(url)
    connection = HTTPConnection(place.hostname, place.port, timeout=60)
    connection.request(method, place.path, body)
    reply = connection.getresponse()
    found = reply.status, dict(reply.getheaders()), json.load(reply)
    connection.close()
    return found


def test_a_form_is_told_how_to_send_a_picture(url, log):
    with logged(log) as lines:
        status, answer = post(url, b"--x", "multipart/form-data; boundary=x")
    assert status == 415 and "--data-binary" in answer["detail"]
    assert len(lines) == 1


def test_other_methods(url):
    status, headers, answer = ask(url, "GET")
    assert (status, headers["Allow"]) == (405, "POST") and "POST" in answer["detail"]
    assert ask(url, "OPTIONS")[0] == 200
    assert ask(url, "PUT", JPEG)[0] == ask(url, "DELETE")[0] == 405


def test_a_stalled_upload_gives_its_place_up(url):
    place = urlsplit(url)
    with socket.create_connection((place.hostname, place.port), timeout=60) as stalled:
        stalled.sendall(
            b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nonly this"
        )
        assert b" 408 " in stalled.recv(1000).splitlines()[0]
    assert post(url, JPEG)[0] == 200


def test_only_this_machine_can_ask(url):
    with pytest.raises(ConnectionRefusedError):  # a server of all networks is here, too
        socket.create_connection(("127.0.0.2", urlsplit(url).port), timeout=5)


class TestServer(BytesServer):
    target, line = "azure_ml", '"POST /score HTTP/1.1" '
    kinds = (
        "application/json",
        "text/plain",
        "application/x-www-form-urlencoded",
        "odd",
    )

    def check(self, trial):
        assert trial.target == "Azure ML"
        assert trial.file_bytes == COMMITTED.stat().st_size
        assert "azureml-inference-server-http" in trial.versions
