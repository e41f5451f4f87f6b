"""How long the app takes to its first answer, and what it needs, beside its twin."""

import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.asking import ask, new_session
from benchmarks.environments import (
    cuda_megabytes,
    environment_for,
    megabytes,
    python_of,
)
from benchmarks.making import TORCH_PACKAGES, Made
from benchmarks.plan import Bench, progress
from benchmarks.report import Goal, Section, Table
from going_modular.packaging import list_folder
from going_modular.running import run_demo

GOAL_START, GOAL_ENVIRONMENT = 0.60, 0.10
NOT_MEASURED = "not measured"
VERSIONS = """
import importlib.metadata as m
import sys
known = {d.name.lower() for d in m.distributions()}
print(", ".join(f"{n} {m.version(n)}" for n in sys.argv[1:] if n in known))
"""


@dataclass(frozen=True)
class App:
    """One of the two apps.

    Attributes:
        name: For the table.
        folder: Its files.
        environment: Where its packages are; None uses this very Python.
    """

    name: str
    folder: Path
    environment: Path | None

    @property
    def python(self) -> str:
        return python_of(self.environment) if self.environment else sys.executable


@dataclass(frozen=True)
class Start:
    """One start: seconds to the first answer, resident memory, and the answer."""

    seconds: float
    megabytes: float
    answer: str


def make_app(bench: Bench, name: str, folder: Path) -> App:
    """An app and, if the plan says so, an environment of its own."""
    own = bench.plan.own_environments
    return App(name, folder, environment_for(folder) if own else None)


def measure(bench: Bench, made: Made) -> Section:
    """Start both apps in turns, several times."""
    ours = make_app(bench, "ONNX int8", made.app)
    twin = make_app(bench, "PyTorch", made.twin)
    file, _ = bench.datasets()[1].samples[0]
    picture = Path(file).read_bytes()
    starts = {ours.name: [], twin.name: []}
    for number in range(bench.plan.starts):
        progress(f"starting both apps, {number + 1} of {bench.plan.starts}")
        for app in (ours, twin) if number % 2 == 0 else (twin, ours):
            starts[app.name].append(start(app, picture))
    return _section(bench, ours, twin, starts)


def start(app: App, picture: bytes) -> Start:
    """Start an app, ask it for one answer, and stop it."""
    with new_session() as session:
        began = time.perf_counter()
        with run_demo(app.folder, python=app.python) as running:
            answer = ask(session, running.url, picture)
            seconds = time.perf_counter() - began
            return Start(seconds, resident_megabytes(running.process.pid), answer)


def resident_megabytes(pid: int) -> float:
    """Resident memory of a process and those it started, in 10^6 bytes."""
    parent = psutil.Process(pid)
    family = [parent, *parent.children(recursive=True)]
    return sum(process.memory_info().rss for process in family) / 1e6


def _section(bench: Bench, ours: App, twin: App, starts: dict[str, list]) -> Section:
    seconds, memory, sizes, answers = [], [], [], []
    for app in (ours, twin):
        runs = starts[app.name]
        seconds.append(statistics.median(run.seconds for run in runs))
        memory.append(statistics.median(run.megabytes for run in runs))
        sizes.append(float(list_folder(app.folder).bytes.sum()) / 1e6)
        answers.append(runs[-1].answer)
    spread = [
        f"{min(run.seconds for run in runs):.1f} to "
        f"{max(run.seconds for run in runs):.1f}"
        for runs in starts.values()
    ]
    rows = [
        _row("from start to first answer, median s", seconds, 2),
        ("the same, range s", *spread, ""),
        _row("resident memory after it, median MB", memory),
        _row("the app's folder, MB", sizes, 1),
    ]
    goals = [_goal("the app's first answer", "time", GOAL_START, seconds)]
    notes = [
        "From `python app.py` to the first answer over HTTP (upload, call, read); "
        f"starts of each, in turns: {bench.plan.starts}. The twin is the same page "
        "around a `model.py` that answers with EffNet-Lite2 in PyTorch.",
        f"For the same picture they said {answers[0]} and {answers[1]}.",
    ]
    if ours.environment and twin.environment:
        installed = [megabytes(app.environment) for app in (ours, twin)]
        cuda = [cuda_megabytes(app.environment) for app in (ours, twin)]
        rows.append(_row("installed environment, MB", installed))
        lean = [total - part for total, part in zip(installed, cuda, strict=True)]
        rows.append(_row("the same without CUDA's libraries and Triton, MB", lean))
        text = "the app's environment"
        goals.append(_goal(text, "size", GOAL_ENVIRONMENT, installed))
        notes.append(f"Installed: {_versions(ours)}; {_versions(twin)}.")
    else:
        rows.append(("installed environment, MB", NOT_MEASURED, NOT_MEASURED, ""))
        notes.append("Both ran in the environment of the benchmark itself.")
    head = ("", ours.name, twin.name, "ours of theirs")
    return Section("3. The app", [Table("", head, rows, notes)], goals)


def _row(name: str, values: list[float], digits: int = 0) -> tuple[str, ...]:
    ours, theirs = values
    cells = (f"{value:,.{digits}f}" for value in values)
    return (name, *cells, f"{ours / theirs:.0%}" if theirs else "")


def _goal(text: str, what: str, limit: float, values: list[float]) -> Goal:
    share = values[0] / values[1]
    text = f"{text} in at most {limit:.0%} of the {what} of the same app on PyTorch"
    return Goal(text, f"{share:.1%}", share <= limit)


def _versions(app: App) -> str:
    """The packages that matter, as installed for an app."""
    names = ("gradio", "onnxruntime", *TORCH_PACKAGES)
    command = [app.python, "-c", VERSIONS, *names]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return f"{app.name}: {done.stdout.strip()}"
