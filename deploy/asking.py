"""Start a server of this folder, ask it about pictures, and write down what it said."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from importlib.metadata import version
from pathlib import Path
from typing import Any

from deploy import DEFAULT_MODEL, ROOT
from deploy.trial import TargetResult, ask_all, kept, main

HOST = "127.0.0.1"
SECONDS = 60  # longest wait for an answer
TO_START = 300  # for a start: Ray brings up one process after another
PACKAGES = ("fastapi", "uvicorn", "onnxruntime")
BOUNDARY = "a-plate-of-food-f0a1b2c3d4e5f6"


@dataclass(frozen=True)
class Target:
    """A server, and how it is asked.

    Attributes:
        name: For people.
        package: Its module `serve` is started.
        health: Where it says that it is up.
        predict: Where it is asked.
        pack: Makes a request's body and content type from a picture file's bytes.
        unpack: Finds the answer in its JSON.
        packages: Those whose versions matter.
    """

    name: str
    package: str
    health: str
    predict: str
    pack: Callable[[bytes], tuple[bytes, str]]
    unpack: Callable[[Any], dict[str, Any]]
    packages: tuple[str, ...] = PACKAGES


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
        """Ask about a picture file.

        Raises:
            RuntimeError: If the answer is none; says what it is.
        """
        status, text = self.send("POST", target.predict, *target.pack(picture))
        if status != 200:
            raise RuntimeError(f"{target.name} answered {status}: {text[:300]}")
        return target.unpack(json.loads(text))


def as_form(picture: bytes, field: str = "picture") -> tuple[bytes, str]:
    """Put a picture file into a form, as a browser does."""
    head = (
        f"--{BOUNDARY}\r\nContent-Disposition: form-data; "
        f'name="{field}"; filename="plate.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    )
    body = head.encode() + picture + f"\r\n--{BOUNDARY}--\r\n".encode()
    return body, f"multipart/form-data; boundary={BOUNDARY}"


@dataclass(frozen=True)
class Server:
    """A server that answers."""

    port: int
    process: subprocess.Popen
    log: Path


def free_port() -> int:
    """A port of this machine that nobody uses now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def running(
    target: Target, *, model: Path = DEFAULT_MODEL, environment: dict | None = None
) -> Iterator[Server]:
    """Run a target's server, as its README says, for as long as a with-block.

    Args:
        target: Whose server.
        model: The file that it answers with.
        environment: Variables that are set for it.

    Raises:
        RuntimeError: If it does not answer; ends with what it printed.
    """
    port = free_port()
    command = [sys.executable, "-m", f"{target.package}.serve", "--port", str(port)]
    kept = {k: v for k, v in os.environ.items() if not k.startswith("AIP_")}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        log = Path(folder, "log.txt")
        with log.open("wb") as out:
            process = subprocess.Popen(
                [*command, "--model", str(model)],
                cwd=ROOT,
                env={**kept, "PYTHONUNBUFFERED": "1", **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        try:
            _wait(target, Server(port, process, log))
            yield Server(port, process, log)
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(target: Target, server: Server) -> None:
    end = time.monotonic() + TO_START
    while time.monotonic() < end and server.process.poll() is None:
        with contextlib.suppress(OSError), Client(server.port) as client:
            if client.send("GET", target.health)[0] == 200:
                return
        time.sleep(0.05)
    said = server.log.read_text("utf-8", "replace")[-2000:]
    raise RuntimeError(f"{target.name} did not start:\n{said}")


def try_target(target: Target, photos: list[Path]) -> TargetResult:
    """Start a target's server and ask it about photos, one at a time."""
    with running(target) as server, Client(server.port) as client:
        answers, median_ms = ask_all(
            lambda body: kept(client.ask(target, body)), photos
        )
    versions = {name: version(name) for name in target.packages}
    size = DEFAULT_MODEL.stat().st_size
    return TargetResult(target.name, versions, size, answers, median_ms)


def try_it(target: Target) -> None:
    """The command of a target's `try_it`."""
    main(
        lambda photos: [try_target(target, photos)],
        f"Ask {target.name} about pictures.",
    )


def as_it_is(answer: Any) -> dict[str, Any]:
    """For targets whose JSON is the answer."""
    return answer
