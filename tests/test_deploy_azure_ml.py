"""deploy/azure_ml/: score.py in Azure's own inference server, from what is uploaded."""

import json
import os
import socket
import subprocess
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from deploy_targets import (
    COMMITTED,
    ROOT,
    assert_bad_input_is_refused,
    assert_same,
    draw_photos,
    jpeg,
    logged,
    python_of,
    run_client,
)
from odd_pictures import JPEG

from deploy.azure_ml.try_it import serving
from deploy.local_server import post
from deploy.trial import read_trials
from going_modular.app.model import SENTENCES, Predictor

pytestmark = pytest.mark.slow
TIMEOUT_MS = 4000  # for a whole request
KINDS = ("application/json", "text/plain", "application/x-www-form-urlencoded", "odd")


@pytest.fixture(scope="module")
def python() -> Path:
    return python_of("azure_ml", "azureml_inference_server_http", "Azure's server")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("azure_ml")


@pytest.fixture(scope="module")
def url(python, folder, log):
    with serving(python, folder, SCORING_TIMEOUT_MS=str(TIMEOUT_MS)) as url:
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


def test_it_answers_as_the_predictor_does(url, photos, predictor):
    for photo in photos:
        status, answer = post(url, photo.read_bytes())
        assert status == 200
        assert_same(answer, photo, predictor)


def test_bad_input_gets_a_sentence_and_a_line(url, log):
    with logged(log) as lines:
        requests = assert_bad_input_is_refused(url)
    assert len(lines) == requests
    assert all('"POST /score HTTP/1.1" ' in line for line in lines)


def test_a_phones_48_megapixels_are_answered(url, predictor):
    body = jpeg(8000, 6000)
    status, answer = post(url, body)
    assert status == 200
    assert_same(answer, body, predictor)


def test_the_bytes_say_what_it_is_not_the_content_type(url, log):
    with logged(log) as lines:
        for kind in KINDS:
            assert post(url, JPEG, kind)[0] == 200
            status, answer = post(url, b'{"data": [1, 2]}', kind)
            assert (status, answer) == (400, {"detail": SENTENCES["no picture"]})
    assert len(lines) == 2 * len(KINDS)


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


@pytest.mark.parametrize("client", ["curl", "python", "javascript"])
def test_the_readmes_clients(url, photos, predictor, tmp_path, client):
    plate = tmp_path / "plate.jpg"
    plate.write_bytes(photos[0].read_bytes())
    said = run_client("azure_ml", client, url, tmp_path)
    assert predictor.predict(plate).text.splitlines()[0] in said
    plate.write_bytes(b"")
    assert SENTENCES["empty"] in run_client("azure_ml", client, url, tmp_path)


def test_try_it_writes_a_trial(python, photos, predictor, tmp_path):
    listed, out = tmp_path / "photos.json", tmp_path / "out.json"
    listed.write_text(json.dumps([str(photo) for photo in photos]))
    subprocess.run(
        [python, "-m", "deploy.azure_ml.try_it", listed, out],
        cwd=ROOT,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        check=True,
        timeout=120,
    )
    (trial,) = read_trials(out)
    assert trial.target == "Azure ML" and trial.median_ms > 0
    assert trial.file_bytes == COMMITTED.stat().st_size
    assert "azureml-inference-server-http" in trial.versions
    for answer, photo in zip(trial.answers, photos, strict=True):
        assert_same(answer, photo, predictor)
