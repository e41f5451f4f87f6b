"""What tests of deploy/ share: its servers, what they get, and a network for Ray."""

import contextlib
import ctypes
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest
from drawn_images import drawn_image

from deploy import ROOT
from deploy.reply import as_json
from deploy.try_it import TARGETS, Client, Server, Target, python_of
from going_modular.app.model import Predictor
from going_modular.drawn import CLASS_NAMES

*WEB, AZURE_ML, TORCHSERVE, RAY_SERVE = TARGETS.values()
FASTAPI, SAGEMAKER, VERTEX_AI = WEB
CASES = tomllib.loads(Path(__file__).with_name("deploy_cases.toml").read_text("utf-8"))
SERVERS = (*WEB, AZURE_ML, TORCHSERVE)
DEPLOY = ROOT / "deploy"
NETWORK = Path("/proc/thread-self/ns/net")
CLONE_NEWNET = 0x40000000
ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)(/\S*\w)")


def of(*targets: Target) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("target", targets, ids=lambda target: target.name)


def need(place: str, network: int = 0) -> Path:
    """The Python that a place runs in; skips where something is missing."""
    python, is_ray = python_of(place), place == "ray"
    no_java = place == "torchserve" and not shutil.which("java")
    for is_missing, what in (
        (not python.exists(), f"python -m tools.try_targets {place}"),
        (no_java, "Java: apt install openjdk-17-jre-headless"),
        (is_ray and not find_spec("ray"), "pip install -r deploy/ray/requirements.txt"),
        (is_ray and not network, "root on Linux and iproute2, to keep Ray for itself"),
    ):
        if is_missing:
            pytest.skip(f"needs {what}")
    return python


@contextlib.contextmanager
def own_network() -> Iterator[int]:
    """A network with only a loopback, for Ray, which opens ports for all of a network.

    It is of this thread and what it starts. Yields its number, 0 if it cannot be made.
    """
    with contextlib.ExitStack() as stack:
        number = 0
        if sys.platform == "linux" and not os.geteuid() and shutil.which("ip"):
            before, libc = stack.enter_context(NETWORK.open()), ctypes.CDLL(None)
            if not libc.unshare(CLONE_NEWNET):
                stack.callback(libc.setns, before.fileno(), CLONE_NEWNET)
                subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
                number = NETWORK.stat().st_ino
        yield number


def left_over(network: int) -> dict[int, str]:
    """The processes in that network, but for this one: id, command line."""
    found = {}
    for process in psutil.process_iter():
        with contextlib.suppress(OSError, psutil.Error):
            line = " ".join(process.cmdline()).strip()
            place = os.stat(f"/proc/{process.pid}/ns/net").st_ino
            if line and place == network and process.pid != os.getpid():
                found[process.pid] = line
    return found


def assert_all_stopped(network: int) -> None:
    """Nothing runs there; the last of Ray goes a moment after its command."""
    end = time.monotonic() + 60
    while network and left_over(network) and time.monotonic() < end:
        time.sleep(0.2)
    assert not network or left_over(network) == {}


@contextlib.contextmanager
def rays_home() -> Iterator[dict[str, str]]:
    """What Ray is told by its environment; its files are gone afterwards."""
    # Short: the names of Ray's sockets hold it, and may have 107 characters.
    with tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as home:
        # Ray writes a token to its HOME.
        yield {"HOME": home, "RAY_TMPDIR": home, "RAY_USAGE_STATS_ENABLED": "0"}


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


def command(*arguments: object, **how) -> subprocess.CompletedProcess:
    told = {"cwd": ROOT, "capture_output": True, "text": True, "timeout": 900} | how
    return subprocess.run(list(map(str, arguments)), **told)


def send(server: Server, method: str, path: str, *request) -> tuple[int, dict]:
    with Client(server.port) as client:
        status, text = client.send(method, path, *request)
    return status, json.loads(text)


def post(server: Server, target: Target, picture: bytes) -> tuple[int, dict]:
    return send(server, "POST", target.predict, *target.pack(picture))


def expected(predictor: Predictor, picture: bytes, near: float = 0.0) -> dict:
    """What a server must answer; its numbers may be off by `near`."""
    answer = as_json(predictor.predict(io.BytesIO(picture)))
    texts = {key: value for key, value in answer.items() if isinstance(value, str)}
    return {k: pytest.approx(v, abs=near) for k, v in answer.items()} | texts


def assert_right(target: Target, reply: tuple, predictor: Predictor, picture: bytes):
    assert reply[0] == 200, reply
    wanted, found = expected(predictor, picture), dict(target.unpack(reply[1]))
    if target.environment:  # another ONNX Runtime differs in the last digits
        wanted = expected(predictor, picture, near=1e-3)
        for one in (wanted, found):
            one["text"] = one["text"].splitlines()[0]
    assert found == wanted


def readme(target: Target) -> str:
    return (DEPLOY / target.place / "README.md").read_text("utf-8")
