"""Start a server of this folder, and ask it about pictures.

This needs nothing but Python, so it runs in every place's environment.
"""

import base64
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from deploy import DEFAULT_MODEL, ROOT

HOST = "127.0.0.1"
SECONDS = 60  # longest wait for an answer
TO_START = 300  # for a start: Ray brings up one process after another
TO_STOP = 40  # from asking a server to stop to ending it
BOUNDARY = "a-plate-of-food-f0a1b2c3d4e5f6"
FORM_HEAD = 'Content-Disposition: form-data; name="picture"; filename="plate.jpg"'
PLACES = tomllib.loads(Path(__file__).with_name("places.toml").read_text("utf-8"))
# Environment variables that would lead a server astray: Vertex AI's, and Python's.
ASTRAY = ("AIP_", "PYTHONSAFEPATH", "PYTHONWARNINGS", "PYTHONINSPECT")


@dataclass(frozen=True)
class Target:
    """A server, and how it is asked: places.toml explains each."""

    package: str
    name: str
    health: str
    predict: str
    sends: str = "bytes"
    packages: str = "fastapi uvicorn onnxruntime"
    stages: bool = False
    archive: str = ""
    environment: str = ""

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

    def unpack(self, answer: Any) -> dict[str, Any]:
        """Find the answer for the picture in what the server's JSON says."""
        return answer["predictions"][0] if self.sends == "instances" else answer


TARGETS = {
    place: Target(f"deploy.{place}", **facts)
    for place, facts in PLACES.items()
    if "predict" in facts
}


class Client:
    """A connection that is kept, as a program's would be."""

    def __init__(self, port: int) -> None:
        self._connection = HTTPConnection(HOST, port, timeout=SECONDS)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def send(
        self, method: str, path: str, body: Any = None, kind: str | None = None
    ) -> tuple[int, str]:
        """Send one request and return the status and the text of its answer."""
        headers = {} if kind is None else {"Content-Type": kind}
        self._connection.request(method, path, body, headers)
        reply = self._connection.getresponse()
        return reply.status, reply.read().decode()

    def ask(self, target: Target, picture: bytes) -> dict[str, Any]:
        """Ask about a picture file; anything but an answer is a RuntimeError."""
        status, text = self.send("POST", target.predict, *target.pack(picture))
        if status != 200:
            raise RuntimeError(f"{target.name} answered {status}: {text[:300]}")
        return target.unpack(json.loads(text))


@dataclass(frozen=True)
class Server:
    """A server that answers."""

    port: int
    process: subprocess.Popen | None = None  # what it starts is in its group
    log: Path | None = None  # a file with all that it prints
    staged: Path | None = None  # the folder that a target that stages has filled


def free_ports(number: int) -> list[int]:
    """Ports of this machine that nobody uses now."""
    with contextlib.ExitStack() as stack:
        free = [socket.create_server((HOST, 0)) for _ in range(number)]
        return [stack.enter_context(each).getsockname()[1] for each in free]


def free_port() -> int:
    """A port of this machine that nobody uses now."""
    return free_ports(1)[0]


@contextlib.contextmanager
def running(
    target: Target,
    *,
    model: Path = DEFAULT_MODEL,
    python: str | Path = sys.executable,
    environment: dict | None = None,
) -> Iterator[Server]:
    """Run a target's server, as its README says, for as long as a with-block.

    `python` has the target's packages, and the variables of `environment` are set. A
    server that does not start is a RuntimeError.
    """
    # What is meant for this Python is not for another one.
    astray = ASTRAY if python == sys.executable else ("AIP_", "PYTHON")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(astray)}
    kept |= {"PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    # A short name: one of TorchServe's sockets has it in its own, of 107 characters.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        port, log, staged = free_port(), Path(name, "log.txt"), Path(name, "staged")
        command = [python, "-m", f"{target.package}.serve", "--port", port]
        command += ["--model", model.resolve()]
        command += ["--folder", staged] if target.stages else []
        with log.open("wb") as out:
            process = subprocess.Popen(
                list(map(str, command)),
                cwd=ROOT,
                env=kept | (environment or {}),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a group: what it starts stops with it
            )
        server = Server(port, process, log, staged)
        try:
            wait(target, server)
            yield server
        finally:
            # Not all at once: Ray Serve needs its other processes in order to stop.
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(TO_STOP)
            if hasattr(os, "killpg"):  # not on Windows
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            process.kill()
            process.wait()


def wait(target: Target, server: Server) -> None:
    """Wait until a server answers; if it does not, a RuntimeError has what it said."""
    end = time.monotonic() + TO_START
    while time.monotonic() < end and server.process.poll() is None:
        with contextlib.suppress(OSError), Client(server.port) as client:
            if client.send("GET", target.health)[0] == 200:
                return
        time.sleep(0.05)
    said = server.log.read_text("utf-8", "replace")[-2000:]
    raise RuntimeError(f"{target.name} did not start:\n{said}")
