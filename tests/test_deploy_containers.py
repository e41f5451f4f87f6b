"""The images of deploy/sagemaker and deploy/vertex_ai: what is in them, and it runs."""

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from drawn_images import drawn_image
from web_targets import SAGEMAKER, VERTEX_AI

from deploy.asking import Client, Target, free_port
from going_modular.app.model import Predictor

ROOT = Path(__file__).resolve().parents[1]
TARGETS = (SAGEMAKER, VERTEX_AI)
COPY = re.compile(r"^COPY (.+)$", re.MULTILINE)
START = re.compile(r"python -m (deploy\.\w+\.serve) --host 0\.0\.0\.0")
pytestmark = pytest.mark.slow


@pytest.fixture(params=TARGETS, ids=lambda target: target.name)
def target(request):
    return request.param


def dockerfile(target: Target) -> Path:
    return ROOT / target.package.replace(".", "/") / "Dockerfile"


def copy_as_docker(text: str, folder: Path) -> None:
    """Do what the COPY lines say."""
    for line in COPY.findall(text):
        *sources, place = shlex.split(line)
        for source in sources:
            file = folder / place / Path(source).name
            file.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / source, file)


def answer_of(port: int, target: Target, picture: bytes) -> dict:
    """Wait until it is up, and ask."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with contextlib.suppress(OSError), Client(port) as client:
            if client.send("GET", target.health)[0] == 200:
                return client.ask(target, picture)
        time.sleep(0.1)
    pytest.fail("it does not answer")


@pytest.fixture(scope="module")
def plate(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("plate") / "plate.jpg"
    drawn_image("pizza", 1, size=(256, 192)).save(file)
    return file


@pytest.fixture(scope="module")
def right(plate):
    model = ROOT / "models" / "foodvision_mini.onnx"
    return Predictor(model, threads=1).predict(plate).text


def test_what_is_copied_is_enough(target, tmp_path, plate, right):
    """In a folder with nothing else, started as the image is."""
    text = dockerfile(target).read_text("utf-8")
    copy_as_docker(text, tmp_path)
    module = START.search(text.replace('", "', " "))[1]
    port = free_port()
    # Here, unlike in a container, 0.0.0.0 would be the network.
    command = [sys.executable, "-m", module, "--host", "127.0.0.1"]
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    told = {"AIP_HTTP_PORT": str(port)}
    command += [] if target is VERTEX_AI else ["--port", str(port)]
    process = subprocess.Popen(
        command, cwd=tmp_path, env={**kept, **told}, stderr=subprocess.DEVNULL
    )
    try:
        assert answer_of(port, target, plate.read_bytes())["text"] == right
    finally:
        process.terminate()
        assert process.wait(20) in (0, -15)


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
        assert answer_of(port, target, plate.read_bytes())["text"] == right
    finally:
        docker("stop", started.stdout.strip())
        docker("image", "rm", name)
