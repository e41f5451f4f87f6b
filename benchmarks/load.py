"""How many requests a second the app answers, and how long each waits."""

import statistics
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import requests

from benchmarks.asking import Refused, ask, new_session
from benchmarks.making import Made
from benchmarks.plan import Bench, progress
from benchmarks.report import Section, Table
from benchmarks.serving import make_app
from going_modular.running import run_demo

CLIENTS = (1, 4, 16, 64)
PICTURES = 12  # different ones that are sent
WARM_UP_REQUESTS = 5
PATIENCE = 0.1  # seconds from being refused to asking again


@dataclass
class Tally:
    """What some clients met together.

    Attributes:
        waits: Seconds from sending a picture to its answer, for each answer.
        refused: Requests turned away because the queue was full.
        failed: Requests that ended in any other way.
        seconds: How long it all took.
    """

    waits: list[float] = field(default_factory=list)
    refused: int = 0
    failed: int = 0
    seconds: float = 0.0

    @property
    def asked(self) -> int:
        return len(self.waits) + self.refused + self.failed

    @property
    def per_second(self) -> float:
        return len(self.waits) / self.seconds


def measure(bench: Bench, made: Made) -> Section:
    """Let more and more clients ask the same running app, several rounds."""
    app = make_app(bench, "ONNX int8", made.app)
    samples = bench.datasets()[1].samples
    step = max(1, len(samples) // PICTURES)
    pictures = [Path(file).read_bytes() for file, _ in samples[::step]]
    tallies = {clients: [] for clients in CLIENTS}
    with run_demo(app.folder, python=app.python) as running:
        with new_session() as session:
            for _ in range(WARM_UP_REQUESTS):
                ask(session, running.url, pictures[0])
        for number in range(bench.plan.load_rounds):
            for clients in CLIENTS:
                progress(f"{clients} clients, round {number + 1}")
                tally = let_ask(bench, running.url, pictures, clients)
                tallies[clients].append(tally)
    return Section("4. Many clients at once", [_table(bench, tallies)])


def let_ask(bench: Bench, url: str, pictures: Sequence[bytes], clients: int) -> Tally:
    """Let clients ask at the same time, each again as soon as it has its answer."""
    tally, lock = Tally(), threading.Lock()
    left = bench.plan.load_requests
    everyone = threading.Barrier(clients + 1)

    def may_ask() -> bool:
        nonlocal left
        with lock:
            left -= 1
            return left >= 0 and time.perf_counter() < deadline

    def client(number: int) -> None:
        with new_session() as session:
            everyone.wait()
            while may_ask():
                number += 1
                _ask_once(session, url, pictures[number % len(pictures)], tally, lock)

    threads = [threading.Thread(target=client, args=(n,)) for n in range(clients)]
    for thread in threads:
        thread.start()
    began = time.perf_counter()
    deadline = began + bench.plan.load_seconds
    everyone.wait()
    for thread in threads:
        thread.join()
    tally.seconds = time.perf_counter() - began
    return tally


def _ask_once(
    session: requests.Session,
    url: str,
    picture: bytes,
    tally: Tally,
    lock: threading.Lock,
) -> None:
    start = time.perf_counter()
    try:
        ask(session, url, picture)
    except Refused:
        with lock:
            tally.refused += 1
        time.sleep(PATIENCE)
    except (requests.RequestException, RuntimeError):
        with lock:
            tally.failed += 1
        time.sleep(PATIENCE)
    else:
        with lock:
            tally.waits.append(time.perf_counter() - start)


def _table(bench: Bench, tallies: dict[int, list[Tally]]) -> Table:
    rows = []
    for clients, rounds in tallies.items():
        waits = 1000 * np.array([wait for tally in rounds for wait in tally.waits])
        asked = sum(tally.asked for tally in rounds)
        rows.append(
            (
                str(clients),
                f"{statistics.median(tally.per_second for tally in rounds):.0f}",
                f"{np.median(waits):.0f}" if len(waits) else "-",
                f"{np.quantile(waits, 0.95):.0f}" if len(waits) else "-",
                f"{len(waits)} of {asked}",
                str(sum(tally.refused for tally in rounds)),
                str(sum(tally.failed for tally in rounds)),
            )
        )
    return Table(
        "The int8 app, asked over HTTP by clients on the same machine, which share its "
        f"cores; {bench.plan.load_seconds:g} s each, rounds: {bench.plan.load_rounds}:",
        (
            "clients",
            "answers a second",
            "median ms",
            "95th pct ms",
            "answered",
            "refused",
            "failed",
        ),
        rows,
        (
            "Every client sends a picture, waits for the answer and sends the next. A "
            "request is an upload, a call and reading the answer.",
            "Refused: the app keeps a limited queue and turns away who finds it full; "
            f"such a client asks again after {PATIENCE:g} s.",
        ),
    )
