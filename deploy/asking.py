"""Start a server of this folder, and ask it about pictures."""

import base64
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple

from deploy import DEFAULT_MODEL, ROOT, free_ports
from going_modular.app_process import HOST, less_astray, started

SECONDS = 60  # longest wait for an answer
TO_START = 300  # for a start: Ray brings up one process after another
TO_STOP = 40  # from asking a server to stop to ending it
BOUNDARY = "a-plate-of-food-f0a1b2c3d4e5f6"
FORM_HEAD = 'Content-Disposition: form-data; name="picture"; filename="plate.jpg"'
PLACES = tomllib.loads(Path(__file__).with_name("places.toml").read_text("utf-8"))
ENVIRONMENTS = ROOT / "build" / "targets"  # of those that have one of their own


class Target(NamedTuple):
    """A server, and how it is asked: places.toml explains each."""

    place: str
    name: str
    health: str
    predict: str
    sends: str = "bytes"
    packages: str = "fastapi uvicorn onnxruntime"
    stages: bool = False
    archive: str = ""
    environment: str = ""

    @property
    def package(self) -> str:
        return f"deploy.{self.place}"

    def pack(self, picture: bytes) -> tuple[bytes, str]:
        """Make a request's body and content type from a picture file's bytes."""
        if self.sends == "form":
            head = f"--{BOUNDARY}\r\n{FORM_HEAD}\r\nContent-Type: image/jpeg\r\n\r\n"
            body = head.encode() + picture + f"\r\n--{BOUNDARY}--\r\n".encode()
            return body, f"multipart/form-data; boundary={BOUNDARY}"
        if self.sends == "instances":
            instance = {"b64": base64.b64encode(picture).decode()}
            return json.dumps({"instances": [instance]}).encode(), "application/json"
        return picture, "application/octet-stream"

    def unpack(self, answer: dict) -> dict:
        """Find the answer for the picture in what the server's JSON says."""
        return answer["predictions"][0] if self.sends == "instances" else answer


SERVERS = {place: facts for place, facts in PLACES.items() if "predict" in facts}
TARGETS = {place: Target(place, **facts) for place, facts in SERVERS.items()}


class Client(contextlib.AbstractContextManager):
    """A connection that is kept, as a program's would be."""

    def __init__(self, port: int) -> None:
        self._connection = HTTPConnection(HOST, port, timeout=SECONDS)

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def send(
        self, method: str, path: str, body: Any = None, kind: str = ""
    ) -> tuple[int, str]:
        """Send one request and return the status and the text of its answer."""
        headers = {"Content-Type": kind} if kind else {}
        self._connection.request(method, path, body, headers)
        reply = self._connection.getresponse()
        return reply.status, reply.read().decode()

    def ask(self, target: Target, picture: bytes) -> dict:
        """Ask about a picture file; anything but an answer is a RuntimeError."""
        status, text = self.send("POST", target.predict, *target.pack(picture))
        if status != 200:
            raise RuntimeError(f"{target.name} answered {status}: {text[:300]}")
        return target.unpack(json.loads(text))


class Server(NamedTuple):
    """A server that answers."""

    port: int
    process: subprocess.Popen  # what it starts is in its group
    log: Path  # a file with all that it prints
    staged: Path  # the folder that a target that stages has filled


def free_port() -> int:
    """A port of this machine that nobody uses now."""
    return free_ports(1)[0]


def python_of(place: str) -> Path:
    """The Python that has a place's packages."""
    environment = PLACES.get(place, {}).get("environment")
    if not environment:
        return Path(sys.executable)
    program = "Scripts/python.exe" if os.name == "nt" else "bin/python"
    return ENVIRONMENTS / environment / program


def is_up(target: Target, port: int) -> bool:
    """Whether a target's server answers there, and is well."""
    with contextlib.suppress(OSError), Client(port) as client:
        return client.send("GET", target.health)[0] == 200
    return False


@contextlib.contextmanager
def running(
    target: Target, *, model: Path = DEFAULT_MODEL, environment: dict | None = None
) -> Iterator[Server]:
    """Run a target's server, as its README says, for as long as a with-block.

    The variables of `environment` are set. A server that does not start is a
    LessonError with what it said.
    """
    env = {k: v for k, v in less_astray().items() if not k.startswith("AIP_")}
    env |= {"PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    env |= environment or {}
    # A short name: one of TorchServe's sockets has it in its own, of 107 characters.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        port, log, staged = free_port(), Path(name, "log.txt"), Path(name, "staged")
        command = [python_of(target.place), "-m", f"{target.package}.serve"]
        command += ["--port", port, "--model", model.resolve()]
        command += ["--folder", staged] if target.stages else []
        how = {"log": log, "is_ready": lambda: is_up(target, port), "seconds": TO_START}
        how |= {"cwd": ROOT, "env": env}
        how["start_new_session"] = True  # a group: what it starts stops with it
        with started(*command, **how) as process:
            try:
                yield Server(port, process, log, staged)
            finally:
                # Not all at once: Ray Serve needs its other processes to stop.
                process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(TO_STOP)
                if hasattr(os, "killpg"):  # not on Windows
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
