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

ROOT = Path(__file__).resolve().parents[1]
COMMITTED = ROOT / "models" / "foodvision_mini.onnx"
WEB = (FASTAPI, SAGEMAKER, VERTEX_AI)
ELSEWHERE = {AZURE_ML: "azureml_inference_server_http", TORCHSERVE: "ts"}
SERVERS = (*WEB, *ELSEWHERE)
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)(/\S*\w)")


def of(*targets: Target) -> pytest.MarkDecorator:
    """Runs a test for each of some targets."""
    return pytest.mark.parametrize("target", targets, ids=lambda target: target.name)


@functools.cache
def python_of(target: Target) -> str:
    """The Python whose environment has a target's packages; skips where none has."""
    if target in WEB:
        return sys.executable
    folder = target.package.rpartition(".")[2]
    find = f"import importlib.util as u; assert u.find_spec({ELSEWHERE[target]!r})"
    for python in (ROOT / "build/targets" / folder / "bin/python", sys.executable):
        if Path(python).exists() and not subprocess.call(
            [python, "-c", find], stderr=subprocess.DEVNULL
        ):
            break
    else:
        pytest.skip(f"needs {target.name}'s packages: make targets")
    if target is TORCHSERVE and not shutil.which("java"):
        pytest.skip("needs Java: apt install openjdk-17-jre-headless")
    return str(python)


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
    refused = {
        name: (body, 400, SENTENCES[why]) for name, (body, why) in REFUSED.items()
    }
    return refused | {
        "200 megapixels": (black_png(20_000, 10_000), 400, SENTENCES["too large"]),
        "20 MB": (JPEG + bytes(20_000_000), 413, "Send at most 15 MB."),
    }


def readme(target: Target) -> str:
    """A target's page."""
    return (ROOT / target.package.replace(".", "/") / "README.md").read_text("utf-8")


def run_client(
    target: Target, client: str, port: int, folder: Path, plate: bytes
) -> str:
    """Run one of a README's clients, its address replaced, beside a plate.jpg.

    Returns:
        All that it printed.
    """
    clients = {
        "curl" if language == "bash" else language: code
        for language, code in BLOCK.findall(readme(target))
        if ADDRESS.search(code)
    }
    assert clients.keys() == {"curl", "python", "javascript"}
    code, name, program = {
        "curl": (clients["curl"], "client.sh", "bash"),
        "python": (clients["python"], "client.py", sys.executable),
        "javascript": (clients["javascript"], "client.mjs", "node"),
    }[client]
    if not shutil.which("curl" if client == "curl" else program):
        pytest.skip(f"needs {client}")
    assert len(code.splitlines()) <= 14
    assert {path for _, path in ADDRESS.findall(code)} == {target.predict}
    (folder / "plate.jpg").write_bytes(plate)
    own = ADDRESS.sub(rf"http://127.0.0.1:{port}\2", code)
    (folder / name).write_text(own, "utf-8")
    done = subprocess.run(
        [program, name],
        cwd=folder,
        env={**os.environ, "no_proxy": "127.0.0.1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
    )
    return done.stdout
