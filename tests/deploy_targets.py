"""What tests of deploy/ share: its servers, what they get, its READMEs' clients."""

import functools
import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from drawn_images import drawn_image
from odd_pictures import JPEG, REFUSED, black_png
from PIL import Image

from deploy.asking import Client, Server, Target
from deploy.azure_ml.try_it import AZURE_ML
from deploy.fastapi.try_it import FASTAPI
from deploy.reply import as_json
from deploy.sagemaker.try_it import SAGEMAKER
from deploy.torchserve.try_it import TORCHSERVE
from deploy.vertex_ai.try_it import VERTEX_AI
from going_modular.app.model import SENTENCES, Predictor
from going_modular.drawn import CLASS_NAMES

ROOT = Path(__file__).resolve().parents[1]
COMMITTED = ROOT / "models" / "foodvision_mini.onnx"
WEB = (FASTAPI, SAGEMAKER, VERTEX_AI)
ELSEWHERE = {AZURE_ML: "azureml_inference_server_http", TORCHSERVE: "ts"}
SERVERS = (*WEB, *ELSEWHERE)
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)(/\S*\w)")
CLIENTS = {
    "bash": ["bash"],
    "python": [sys.executable, "-"],
    "javascript": ["node", "--input-type=module", "-"],
}


def of(*targets: Target) -> pytest.MarkDecorator:
    """Runs a test for each of some targets."""
    return pytest.mark.parametrize("target", targets, ids=lambda target: target.name)


@functools.cache
def python_of(environment: str, module: str) -> str:
    """The Python of an environment of `make targets`, or ours, if it has a module."""
    find = f"import importlib.util as u; assert u.find_spec({module!r})"
    for python in (ROOT / "build/targets" / environment / "bin/python", sys.executable):
        if Path(python).exists() and not subprocess.call(
            [python, "-c", find], stderr=subprocess.DEVNULL
        ):
            return str(python)
    pytest.skip(f"needs {module}: make targets")


def python_for(target: Target) -> str:
    """The Python that runs a target's server; skips where there is none."""
    if target is TORCHSERVE and not shutil.which("java"):
        pytest.skip("needs Java: apt install openjdk-17-jre-headless")
    if target in WEB:
        return sys.executable
    return python_of(target.package.rpartition(".")[2], ELSEWHERE[target])


def draw_photos(folder: Path, *, each: int = 3) -> tuple[Path, list[Path]]:
    """Drawn plates of another size each, as files, and the list of them as JSON."""
    photos = []
    for number in range(each):
        for name in CLASS_NAMES:
            photos.append(folder / f"{name}-{number}.jpg")
            drawn_image(name, number, (400 + 40 * number, 380)).save(photos[-1])
    listed = folder / "photos.json"
    listed.write_text(json.dumps([str(photo) for photo in photos]))
    return listed, photos


def command(python: str, *arguments: object) -> subprocess.CompletedProcess:
    """Run a module of deploy/ from the repository's root."""
    return subprocess.run(
        [python, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=900,
    )


def file_of(colour: tuple[int, int, int], kind: str = "JPEG", size=(80, 60)) -> bytes:
    """A picture file of one colour."""
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, kind)
    return file.getvalue()


def post(server: Server, target: Target, picture: bytes) -> tuple[int, dict]:
    """Ask about a picture over a connection of its own: status and JSON."""
    with Client(server.port) as client:
        status, text = client.send("POST", target.predict, *target.pack(picture))
    return status, json.loads(text)


def expected(predictor: Predictor, picture: bytes, near: float = 0.0) -> dict:
    """What a server must answer; its numbers may be off by `near`."""
    answer = as_json(predictor.predict(io.BytesIO(picture)))
    return {
        key: value if isinstance(value, str) else pytest.approx(value, abs=near)
        for key, value in answer.items()
    }


def assert_right(
    target: Target, answer: dict, predictor: Predictor, picture: bytes
) -> None:
    """Hold a server's answer against the Predictor's."""
    wanted, found = expected(predictor, picture), dict(target.unpack(answer))
    if target in ELSEWHERE:  # ONNX Runtime's versions differ in the last digits
        wanted = expected(predictor, picture, near=1e-3)
        for one in (wanted, found):
            one["text"] = one["text"].splitlines()[0]
    assert found == wanted


def bad_pictures() -> dict[str, tuple[bytes, int, str]]:
    """Files that are refused: their bytes, and the status and sentence they get."""
    refused = REFUSED.items()
    return {name: (body, 400, SENTENCES[why]) for name, (body, why) in refused} | {
        "200 megapixels": (black_png(20_000, 10_000), 400, SENTENCES["too large"]),
        "20 MB": (JPEG + bytes(20_000_000), 413, "Send at most 15 MB."),
    }


def readme(target: Target) -> str:
    """A target's page."""
    return (ROOT / target.package.replace(".", "/") / "README.md").read_text("utf-8")


def run_client(
    target: Target, language: str, port: int, folder: Path, plate: bytes
) -> str:
    """Run one of a README's clients, its address replaced, beside a plate.jpg.

    Returns:
        All that it printed.
    """
    blocks, command = BLOCK.findall(readme(target)), CLIENTS[language]
    (code,) = [
        code for name, code in blocks if name == language and ADDRESS.search(code)
    ]
    for program in (command[0], "curl" if language == "bash" else command[0]):
        if not shutil.which(program):
            pytest.skip(f"needs {program}")
    assert len(code.splitlines()) <= 14
    assert {path for _, path in ADDRESS.findall(code)} == {target.predict}
    (folder / "plate.jpg").write_bytes(plate)
    return subprocess.run(
        command,
        input=ADDRESS.sub(rf"http://127.0.0.1:{port}\2", code),
        cwd=folder,
        env={**os.environ, "no_proxy": "127.0.0.1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
    ).stdout
