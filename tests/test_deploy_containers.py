"""The images of deploy/sagemaker and deploy/vertex_ai: what is in them, and it runs."""

import contextlib
import io
import re
import shlex
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from deploy_targets import COMMITTED, ROOT, SAGEMAKER, VERTEX_AI, of
from drawn_images import drawn_image

from deploy import asking
from deploy.asking import Client, Target, free_port, running
from going_modular.app.model import Predictor

pytestmark = pytest.mark.slow
COPY = re.compile(r"^COPY (.+)$", re.MULTILINE)


def dockerfile(target: Target) -> Path:
    return ROOT / target.package.replace(".", "/") / "Dockerfile"


@pytest.fixture(scope="module")
def plate(tmp_path_factory) -> bytes:
    file = tmp_path_factory.mktemp("plate") / "plate.jpg"
    drawn_image("pizza", 1, size=(256, 192)).save(file)
    return file.read_bytes()


@pytest.fixture(scope="module")
def right(plate) -> str:
    return Predictor(COMMITTED, threads=1).predict(io.BytesIO(plate)).text


@of(SAGEMAKER, VERTEX_AI)
def test_what_is_copied_is_enough(target, tmp_path, plate, right, monkeypatch):
    """In a folder with nothing else, started as the image is."""
    text = dockerfile(target).read_text("utf-8")
    for line in COPY.findall(text):
        *sources, place = shlex.split(line)
        for source in sources:
            file = tmp_path / place / Path(source).name
            file.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / source, file)
    start = f"python -m {target.package}.serve --host 0.0.0.0"
    assert start in text.replace('", "', " ")
    monkeypatch.setattr(asking, "ROOT", tmp_path)
    model = tmp_path / "models" / COMMITTED.name
    with running(target, model=model) as server, Client(server.port) as client:
        assert client.ask(target, plate)["text"] == right


@of(SAGEMAKER, VERTEX_AI)
def test_the_image_gets_its_own_requirements(target):
    text = dockerfile(target).read_text("utf-8")
    folder = target.package.replace(".", "/")
    assert f"pip install --no-cache-dir -r {folder}/requirements.txt" in text
    assert f"docker build -f {folder}/Dockerfile" in text
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    let_in = {line[1:] for line in ignored if line.startswith("!")}
    for line in COPY.findall(text):
        for source in shlex.split(line)[:-1]:
            assert source in let_in or source.split("/")[0] in let_in, source


def docker(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        ["docker", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=900
    )


@pytest.fixture(scope="module")
def daemon():
    if not shutil.which("docker"):
        pytest.skip("needs docker: apt install docker.io")
    if docker("info").returncode:
        pytest.skip("needs a running Docker: docker info cannot reach one")


def answer_of(port: int, target: Target, picture: bytes) -> dict:
    """Wait until it is up, and ask."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with contextlib.suppress(OSError), Client(port) as client:
            if client.send("GET", target.health)[0] == 200:
                return client.ask(target, picture)
        time.sleep(0.1)
    pytest.fail("it does not answer")


@of(SAGEMAKER, VERTEX_AI)
def test_the_image_answers(daemon, target, plate, right):
    name = f"foodvision-test-{target.package.split('.')[-1]}"
    built = docker("build", "-f", str(dockerfile(target)), "-t", name, ".")
    assert built.returncode == 0, built.stderr[-3000:]
    port = free_port()
    door = ["-p", f"127.0.0.1:{port}:8080"]
    word = ["serve"] if target is SAGEMAKER else []  # as SageMaker starts it
    started = docker("run", "--rm", "-d", *door, name, *word)
    assert started.returncode == 0, started.stderr
    try:
        assert answer_of(port, target, plate)["text"] == right
    finally:
        docker("stop", started.stdout.strip())
        docker("image", "rm", name)
