"""The app beside its twin on PyTorch: starts, sizes, memory, answers."""

import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Sequence
from functools import partial
from importlib.metadata import distributions
from operator import eq
from pathlib import Path

import gradio_client  # noqa: F401, so that no app's start waits for this import
import psutil

from benchmarks.making import OURS, TORCH_PACKAGES, TWIN, make_all
from benchmarks.plan import ROOT, Bench, in_turns, progress
from benchmarks.report import Part, goal
from going_modular.app_process import connected, run_demo

ENVIRONMENTS = ROOT / "build" / "benchmark"
MARK = "installed.txt"  # written last: says what is in a complete environment
CUDA_FOLDERS = ("nvidia", "triton")
PACKAGES = ("gradio", "onnxruntime", *TORCH_PACKAGES)
GOAL_START, GOAL_ENVIRONMENT = 0.60, 0.10
ASKED = 3  # pictures that both apps are asked about
SECONDS = 60  # longest wait for an answer


def measure(bench: Bench) -> Part:
    """Start both apps in turns, several times, and ask them about some pictures."""
    apps = make_all(bench).apps
    files = [file for file, _ in bench.test_pictures(ASKED)]
    made = {}
    if bench.plan.own_environments:
        made = {name: environment_for(app) for name, app in apps.items()}
    ways = {
        name: partial(
            _start, app, str(_python(made[name])) if made else sys.executable, files
        )
        for name, app in apps.items()
    }
    rounds = range(bench.plan.rounds)
    starts = in_turns("starting both apps", ways, rounds, turn=1, warm_up=0)
    seconds = [own.seconds.median() for own in starts.values()]
    answers = [own.answers.iloc[-1] for own in starts.values()]
    rows = [
        _row("from start to first answer, median s", seconds, 2),
        _row("the same, slowest, s", [own.seconds.max() for own in starts.values()], 2),
        _row("resident memory after it, median MB",
             [own.megabytes.median() for own in starts.values()], 0),
        _row("the app's folder, MB", [megabytes(app) for app in apps.values()], 1),
    ]  # fmt: skip
    goals = [_goal("first answer", "time", GOAL_START, seconds)]
    if made:
        sizes = [megabytes(environment) for environment in made.values()]
        lean = [megabytes(e) - cuda_megabytes(e) for e in made.values()]
        rows.append(_row("installed environment, MB", sizes, 0))
        rows.append(_row("the same without CUDA's libraries and Triton, MB", lean, 0))
        goals.append(_goal("environment", "size", GOAL_ENVIRONMENT, sizes))
    return {
        "goals": goals,
        "rounds": bench.plan.rounds,
        "packages": {name: _versions(folder) for name, folder in made.items()},
        "asked": len(files),
        "said": dict(zip(apps, answers, strict=True)),
        "same": sum(map(eq, *answers)),
        "costs": rows,
    }


def _row(what: str, values: Sequence[float], digits: int) -> dict[str, object]:
    ours, theirs = (round(float(value), digits or None) for value in values)
    share = f"{values[0] / values[1]:.0%}"
    return {"": what, OURS: ours, TWIN: theirs, "ours of theirs": share}


def _goal(what: str, cost: str, limit: float, values: Sequence[float]) -> dict:
    share = values[0] / values[1]
    text = f"the app's {what} in at most {limit:.0%} of the {cost}"
    return goal(f"{text} of the same app on PyTorch", f"{share:.1%}", share <= limit)


def _start(app: Path, python: str, pictures: Sequence[Path], _: int) -> dict:
    """Start an app, ask it for a first answer and then for more, and stop it."""
    began = time.perf_counter()
    with run_demo(app, python=python) as running, connected(running.url) as ask:
        answers = [ask(pictures[0], SECONDS)]
        seconds = time.perf_counter() - began
        parent = psutil.Process(running.process.pid)
        family = [parent, *parent.children(recursive=True)]
        memory = sum(process.memory_info().rss for process in family) / 1e6
        answers += [ask(picture, SECONDS) for picture in pictures[1:]]
    labels = [scores["label"] for scores, _ in answers]
    return {"seconds": seconds, "megabytes": memory, "answers": labels}


def environment_for(folder: Path) -> Path:
    """An environment with what an app's requirements.txt names, and nothing else.

    It is kept between runs, and made anew when the requirements have changed.

    Args:
        folder: The app; its name is the environment's.
    """
    requirements = folder / "requirements.txt"
    environment = ENVIRONMENTS / folder.name
    mark, wanted = environment / MARK, requirements.read_text("utf-8")
    if mark.is_file() and mark.read_text("utf-8") == wanted:
        return environment
    progress(f"installing {wanted.split()} into {environment}; kept for later runs")
    shutil.rmtree(environment, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    pip = [_python(environment), "-m", "pip", "install", "-q"]
    subprocess.run([*pip, "-r", requirements], check=True)
    mark.write_text(wanted, "utf-8")
    return environment


def _inside(environment: Path, what: str) -> Path:
    """Where an environment has its programs ("scripts") or its packages ("purelib")."""
    return Path(sysconfig.get_path(what, "venv", {"base": str(environment)}))


def _python(environment: Path) -> Path:
    return _inside(environment, "scripts") / "python"


def _versions(environment: Path) -> str:
    """The packages that matter, as installed."""
    found = distributions(path=[str(_inside(environment, "purelib"))])
    known = {package.name: package.version for package in found}
    return ", ".join(f"{name} {known[name]}" for name in PACKAGES if name in known)


def megabytes(folder: Path) -> float:
    """Size of all files under a folder, in 10^6 bytes; links count as links."""
    files = (file for file in folder.rglob("*") if file.is_symlink() or file.is_file())
    return sum(file.lstat().st_size for file in files) / 1e6


def cuda_megabytes(environment: Path) -> float:
    """How much of an environment is for NVIDIA's GPUs alone."""
    packages = _inside(environment, "purelib")
    return sum(megabytes(packages / name) for name in CUDA_FOLDERS)
