"""Start a server on this machine, ask it, stop it: for trials and tests.

This needs nothing but Python, so it runs in every target's environment.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from deploy.trial import ask_all, kept

# Never by way of a proxy, whatever the environment says: the server is on this machine.
DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def free_ports(number: int) -> list[int]:
    """Find ports of this machine that nobody listens on."""
    with contextlib.ExitStack() as stack:
        found = [stack.enter_context(socket.socket()) for _ in range(number)]
        for each in found:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in found]


@contextlib.contextmanager
def running(
    command: Sequence[str | Path],
    ready: str,
    log: Path,
    *,
    cwd: Path,
    env: Mapping[str, str],
    seconds: float = 300,
) -> Iterator[subprocess.Popen]:
    """Run a server for as long as the `with` lasts.

    Args:
        command: What starts it, in the foreground.
        ready: An address that answers 200 once the server can answer.
        log: A file for all that it prints.
        cwd: The folder to start it in.
        env: Its environment.
        seconds: How long it may take to start.

    Raises:
        RuntimeError: If it does not start; the message has the end of the log.
    """
    with log.open("w") as out:
        server = subprocess.Popen(
            list(map(str, command)),
            cwd=cwd,
            env=env,
            stdout=out,
            stderr=out,
            start_new_session=True,  # a group, so that what it starts stops with it
        )
    try:
        end = time.monotonic() + seconds
        while not is_ready(ready):
            if server.poll() is not None or time.monotonic() > end:
                tail = log.read_text(errors="replace")[-3000:]
                raise RuntimeError(f"The server did not start:\n{tail}")
            time.sleep(0.1)
        yield server
    finally:
        stop(server)


def environment(**settings: str) -> dict[str, str]:
    """Ours, without what would have Python look for modules elsewhere."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    return {**kept, "PYTHONDONTWRITEBYTECODE": "1", **settings}


def is_ready(url: str) -> bool:
    """Whether a GET of this address gets a 200."""
    try:
        with DIRECTLY.open(url, timeout=5) as response:
            return response.status == 200
    except OSError:
        return False


def stop(server: subprocess.Popen, *, seconds: float = 20) -> None:
    """Ask the server's whole group to stop, and insist after a while."""
    end = time.monotonic() + seconds
    with contextlib.suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGTERM)
        while time.monotonic() < end:
            server.poll()  # or it would stay in the group, as one that has ended
            os.killpg(server.pid, 0)  # raises once nobody is left
            time.sleep(0.05)
        os.killpg(server.pid, signal.SIGKILL)
    server.wait()


def post(url: str, body: bytes, kind: str = "image/jpeg") -> tuple[int, Any]:
    """Send bytes, and return the status and the JSON that came back."""
    request = urllib.request.Request(url, body, {"Content-Type": kind})
    try:
        with DIRECTLY.open(request, timeout=60) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def try_photos(url: str, photos: Sequence[str | Path]) -> tuple[list[dict], float]:
    """Ask about every photo, as `ask_all` does.

    Raises:
        SystemExit: If a photo is not answered.
    """

    def ask(body: bytes) -> dict:
        status, answer = post(url, body)
        if status != 200:
            raise SystemExit(f"{url}: {status}, {answer}")
        return kept(answer)

    return ask_all(ask, photos)
