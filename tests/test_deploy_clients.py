"""What the READMEs of the web targets say to run, run against the servers."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from demo_model_fixture import RED, make_model
from web_targets import TARGETS, file_of

from deploy.asking import Target, running
from deploy.request_limits import PLACES, SECONDS
from deploy.vertex_ai.serve import MOST
from deploy.web import MAX_BYTES

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ADDRESS = re.compile(r"127\.0\.0\.1:80[08]0")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=TARGETS, ids=lambda target: target.name)
def target(request):
    return request.param


@pytest.fixture(scope="module")
def server(target, tmp_path_factory):
    model = make_model(tmp_path_factory.mktemp("model") / "foodvision_mini.onnx")
    with running(target, model=model) as server:
        yield server


def readme(target: Target) -> str:
    return (ROOT / target.package.replace(".", "/") / "README.md").read_text("utf-8")


def only_block(target: Target, language: str, word: str) -> str:
    """The one block in this language with this word."""
    blocks = BLOCK.findall(readme(target))
    found = [code for name, code in blocks if name == language and word in code]
    assert len(found) == 1, f"{target.name} has {len(found)} blocks of {language}"
    return found[0]


@pytest.fixture
def run(server, tmp_path):
    """Run a command beside a plate.jpg, its address being the test's server's."""

    def run(command: list[str], code: str, plate: bytes = file_of(RED)):
        (tmp_path / "plate.jpg").write_bytes(plate)
        code, count = ADDRESS.subn(f"127.0.0.1:{server.port}", code)
        assert count == 1
        kept = {k: v for k, v in os.environ.items() if "proxy" not in k.lower()}
        return subprocess.run(
            command,
            input=code,
            cwd=tmp_path,
            env=kept,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


CLIENTS = {
    "python": [sys.executable, "-"],
    "javascript": ["node", "--input-type=module", "-"],
}


def test_curl(target, run):
    if not shutil.which("curl"):
        pytest.skip("needs curl: apt install curl")
    done = run(["bash"], only_block(target, "bash", "curl"))
    assert target.unpack(json.loads(done.stdout))["class"] == "pizza", done.stderr


@pytest.mark.parametrize("language", CLIENTS)
def test_a_client_of_ten_lines(target, run, language):
    command = CLIENTS[language]
    if not shutil.which(command[0]):
        pytest.skip("needs node: apt install nodejs")
    code = only_block(target, language, "plate.jpg")
    assert len([line for line in code.splitlines() if line.strip()]) <= 12
    done = run(command, code)
    assert re.fullmatch(r"pizza [01]\.\d+ dish\n", done.stdout), done.stderr
    done = run(command, code, b"no picture")
    assert done.returncode and "That file is not a picture." in done.stderr


def test_the_address_is_the_default(target):
    """The READMEs' port is where a server answers unless told otherwise."""
    command = [sys.executable, "-m", f"{target.package}.serve", "--help"]
    kept = {k: v for k, v in os.environ.items() if not k.startswith("AIP_")}
    said = subprocess.run(command, cwd=ROOT, env=kept, capture_output=True, text=True)
    port = re.search(r"--port.*default: (\d+)", said.stdout, re.DOTALL)[1]
    assert set(ADDRESS.findall(readme(target))) == {f"127.0.0.1:{port}"}
    started = only_block(target, "bash", "pip install")
    assert f"python -m {target.package}.serve" in started


def test_the_limits_are_those_of_the_code():
    fastapi, _, vertex = map(readme, TARGETS)
    size = f"{MAX_BYTES // 1_000_000} MB"
    assert f"over {SECONDS} s, or was over {size}" in fastapi
    assert f"{PLACES} requests" in fastapi
    assert f"1 to {MOST} pictures of at most {size}" in vertex
