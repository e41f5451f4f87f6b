"""Start a place's server, ask a place about photos, write down what it said."""

import argparse
import base64
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from http.client import HTTPConnection
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from deploy import DEFAULT_MODEL, ENVIRONMENTS, ROOT, free_ports
from going_modular.app_process import HOST, less_astray, run, started

SECONDS = 60  # longest wait for an answer
TO_START = 300  # for a start: Ray brings up one process after another
TO_STOP = 40  # from asking a server to stop to ending it
WARM_UPS = 5  # a runtime's first answers take longer
BOUNDARY = "a-plate-of-food-f0a1b2c3d4e5f6"
FORM_HEAD = 'Content-Disposition: form-data; name="picture"; filename="plate.jpg"'
PLACES = tomllib.loads(Path(__file__).with_name("places.toml").read_text("utf-8"))
VERSIONS = """import sys
from importlib.metadata import version
print(*map(version, sys.argv[1:]))"""
KEPT = ("probabilities", "knn_similarity", "in_distribution_score")


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


TARGETS = {p: Target(p, **facts) for p, facts in PLACES.items() if "predict" in facts}


class Client(contextlib.AbstractContextManager):
    """A connection that is kept, as a program's would be."""

    def __init__(self, port: int) -> None:
        self._connection = HTTPConnection(HOST, port, timeout=SECONDS)

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def send(self, method: str, path: str, body=None, kind="") -> tuple[int, str]:
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


def python_of(place: str) -> Path:
    """The Python that has a place's packages."""
    if not (environment := PLACES.get(place, {}).get("environment")):
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
    """Run a target's server, with `environment`'s variables set, for a with-block.

    A server that does not start is a LessonError with what it said.
    """
    env = {k: v for k, v in less_astray().items() if not k.startswith("AIP_")}
    env |= {"PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    env |= environment or {}
    # A short name: one of TorchServe's sockets has it in its own, of 107 characters.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        port, log, staged = *free_ports(1), Path(name, "log.txt"), Path(name, "staged")
        command = [python_of(target.place), "-m", f"deploy.{target.place}.serve"]
        command += ["--port", port, "--model", model.resolve()]
        command += ["--folder", staged] if target.stages else []
        how = {"log": log, "is_ready": lambda: is_up(target, port), "seconds": TO_START}
        how |= {"cwd": ROOT, "env": env, "start_new_session": True}  # stops as a group
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


@dataclass(frozen=True)
class TargetResult:
    """One place, or one file of it, asked about some photos."""

    target: str  # its name
    versions: dict[str, str]  # of the packages that matter, by name
    file_bytes: int  # of the model's file
    # One a photo: "probabilities" by class, mostly both scores. None if not run here.
    answers: list[dict[str, Any]]
    median_ms: float | None  # from a photo's bytes to its answer, one at a time
    precision: str = "int8"  # of the convolutions' weights, or "fp32"
    note: str = ""  # what else a reader of the table must know


def read_trials(file: Path) -> list[TargetResult]:
    """Read what `main` wrote."""
    return [TargetResult(**plain) for plain in json.loads(file.read_text("utf-8"))]


def versions_of(packages: str, python: str | Path = sys.executable) -> dict[str, str]:
    """The version of each package of a text that a Python has."""
    names = packages.split()
    return dict(zip(names, run(python, "-c", VERSIONS, *names).split(), strict=True))


def ask_all(name: str, ask: Callable, photos: list[Path], **facts) -> TargetResult:
    """Ask about each photo's bytes, one at a time; the first beforehand, to warm up."""
    contents, answers, seconds = [photo.read_bytes() for photo in photos], [], []
    for content in contents[:WARM_UPS]:
        ask(content)
    for content in contents:
        start = time.perf_counter()
        answer = ask(content)
        seconds.append(time.perf_counter() - start)
        answers.append({key: answer[key] for key in KEPT if key in answer})
    median_ms = 1000 * statistics.median(seconds)
    return TargetResult(name, answers=answers, median_ms=median_ms, **facts)


def try_server(place: str, model: Path, photos: list[Path]) -> TargetResult:
    """Start a place's server and ask it about photos."""
    target = TARGETS[place]
    with running(target, model=model) as server, Client(server.port) as client:
        file = server.staged / target.archive if target.archive else model
        versions = versions_of(target.packages, python_of(place))
        facts = {"versions": versions, "file_bytes": file.stat().st_size}
        return ask_all(target.name, lambda p: client.ask(target, p), photos, **facts)


def main() -> None:
    """Read the command line, ask, write the answers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("place", choices=[*PLACES, "reference"], help="whom to ask")
    parser.add_argument("photos", type=Path, help="a JSON file: a list of paths")
    parser.add_argument("out", type=Path, help="the JSON file to write")
    args = parser.parse_args()
    photos = [Path(name) for name in json.loads(args.photos.read_text("utf-8"))]
    if args.place in TARGETS:
        trials = [try_server(args.place, DEFAULT_MODEL, photos)]
    else:
        name = PLACES.get(args.place, {}).get("module", args.place)
        trials = import_module(f"deploy.{name}").try_all(DEFAULT_MODEL, photos)
    plain = [asdict(trial) for trial in trials]
    args.out.write_text(json.dumps(plain, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
