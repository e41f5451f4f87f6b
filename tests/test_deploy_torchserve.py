"""deploy/torchserve/: the archive in the real server, which is written in Java."""

import json
import os
import shutil
import socket
import subprocess
import tempfile
import zipfile
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
    ports_of,
    python_of,
    run_client,
)
from odd_pictures import JPEG

from deploy.local_server import post
from deploy.stage import CODE
from deploy.torchserve.try_it import serving
from deploy.trial import read_trials
from going_modular.app.model import SENTENCES, Predictor

KINDS = ("application/json", "text/plain", "application/octet-stream", "odd")
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


def test_it_answers_as_the_predictor_does(url, photos, predictor):
    for photo in photos:
        status, answer = post(url, photo.read_bytes())
        assert status == 200
        assert_same(answer, photo, predictor)


def test_bad_input_gets_a_sentence_and_a_line(url, log):
    with logged(log) as lines:
        requests = assert_bad_input_is_refused(url)
    assert len(lines) == requests
    assert all('"POST /predictions/' in line for line in lines)


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


@pytest.mark.parametrize("client", ["curl", "python", "javascript"])
def test_the_readmes_clients(url, photos, predictor, tmp_path, client):
    plate = tmp_path / "plate.jpg"
    plate.write_bytes(photos[0].read_bytes())
    said = run_client("torchserve", client, url, tmp_path)
    assert predictor.predict(plate).text.splitlines()[0] in said
    plate.write_bytes(b"")
    assert SENTENCES["empty"] in run_client("torchserve", client, url, tmp_path)


def test_try_it_writes_a_trial(python, photos, predictor, tmp_path):
    listed, out = tmp_path / "photos.json", tmp_path / "out.json"
    listed.write_text(json.dumps([str(photo) for photo in photos]))
    subprocess.run(
        [python, "-m", "deploy.torchserve.try_it", listed, out],
        cwd=ROOT,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        check=True,
        timeout=120,
    )
    (trial,) = read_trials(out)
    assert trial.target == "TorchServe" and trial.median_ms > 0
    assert trial.file_bytes > 0.5 * COMMITTED.stat().st_size
    assert trial.versions["torchserve"] == "0.12.0"
    for answer, photo in zip(trial.answers, photos, strict=True):
        assert_same(answer, photo, predictor)
