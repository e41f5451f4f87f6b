"""What tests of deploy/ share: its servers, what they get, its READMEs' clients."""

import functools
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from drawn_images import drawn_image
from odd_pictures import JPEG, REFUSED, as_bytes, black_png
from PIL import Image

from deploy import ROOT
from deploy.asking import TARGETS, Client, Server, Target
from deploy.reply import as_json
from going_modular.app.model import SENTENCES, Predictor
from going_modular.drawn import CLASS_NAMES

*WEB, AZURE_ML, TORCHSERVE, RAY_SERVE = TARGETS.values()
FASTAPI, SAGEMAKER, VERTEX_AI = WEB
CASES = tomllib.loads(Path(__file__).with_name("deploy_cases.toml").read_text("utf-8"))
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
    return python_of(target.environment, ELSEWHERE[target])


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


def command(python: str, *arguments: object, **how) -> subprocess.CompletedProcess:
    """Run a module of deploy/ from the repository's root."""
    told = {"cwd": ROOT, "capture_output": True, "text": True, "timeout": 900} | how
    return subprocess.run([python, *map(str, arguments)], **told)


def file_of(colour: tuple[int, int, int], kind: str = "JPEG", size=(80, 60)) -> bytes:
    """A picture file of one colour."""
    return as_bytes(Image.new("RGB", size, colour), kind)


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


def folder_of(target: Target) -> Path:
    """A target's folder."""
    return ROOT / target.package.replace(".", "/")


def readme(target: Target) -> str:
    """A target's page."""
    return (folder_of(target) / "README.md").read_text("utf-8")


def run_client(
    target: Target, language: str, port: int, folder: Path, plate: bytes
) -> str:
    """What a README's client prints, run at our address and beside a plate.jpg."""
    blocks, program = BLOCK.findall(readme(target)), CLIENTS[language]
    own = [code for name, code in blocks if name == language]
    (code,) = filter(ADDRESS.search, own)
    for needed in (program[0], "curl" if language == "bash" else program[0]):
        if not shutil.which(needed):
            pytest.skip(f"needs {needed}")
    assert len(code.splitlines()) <= 14
    assert {path for _, path in ADDRESS.findall(code)} == {target.predict}
    (folder / "plate.jpg").write_bytes(plate)
    return subprocess.run(
        program,
        input=ADDRESS.sub(rf"http://127.0.0.1:{port}\2", code),
        cwd=folder,
        env={**os.environ, "no_proxy": "127.0.0.1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
    ).stdout
