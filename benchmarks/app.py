"""The app beside its twin: starts, sizes, answers; and the app with many clients."""

import json
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.metadata import distributions
from operator import eq, sub
from pathlib import Path

import pandas as pd
import psutil
import requests

from benchmarks.making import OURS, TORCH_PACKAGES, make_all
from benchmarks.plan import ROOT, Bench, in_turns, progress
from benchmarks.report import Goal, Part
from going_modular.app_process import run_demo

ENVIRONMENTS = ROOT / "build" / "benchmark"
MARK = "installed.txt"  # written last: says what is in a complete environment
CUDA_FOLDERS = ("nvidia", "triton")
PACKAGES = ("gradio", "onnxruntime", *TORCH_PACKAGES)
GOAL_START, GOAL_ENVIRONMENT = 0.60, 0.10
ASKED = 3  # pictures that both apps are asked about
CLIENTS = (1, 4, 16, 64)
SENT = 12  # different pictures that clients send
PATIENCE = 0.1  # seconds from being refused to asking again
SECONDS = 60  # longest wait for a reply
QUEUE_IS_FULL = 503
ANSWER = re.compile(r"^event: complete\ndata: (.*)$", re.MULTILINE)


class Refused(RuntimeError):
    """The app's queue is full."""


def measure(bench: Bench) -> Part:
    """Start both apps in turns, several times, and ask them about some pictures."""
    apps, asked = make_all(bench).apps, bench.test_pictures(ASKED)
    files = [file.read_bytes() for file, _ in asked]
    ways = {
        name: partial(_start, app, python_for(bench, app), files)
        for name, app in apps.items()
    }
    rounds = range(bench.plan.rounds)
    starts = in_turns("starting both apps", ways, rounds, turn=1, warm_up=0)
    seconds = [own.seconds.median() for own in starts.values()]
    answers = [own.answers.iloc[-1] for own in starts.values()]
    facts = {
        "starts": starts,
        "seconds": seconds,
        "memory": [own.megabytes.median() for own in starts.values()],
        "folders": [megabytes(app) for app in apps.values()],
        "said": list(zip(asked, *answers, strict=True)),
        "same": sum(map(eq, *answers)),
        "installed": [],
    }
    goals = [_goal("first answer", "time", GOAL_START, seconds)]
    if bench.plan.own_environments:
        made = [environment_for(app) for app in apps.values()]
        facts["installed"] = sizes = [megabytes(environment) for environment in made]
        facts["lean"] = list(map(sub, sizes, map(cuda_megabytes, made)))
        facts["packages"] = dict(zip(apps, map(_versions, made), strict=True))
        goals.append(_goal("environment", "size", GOAL_ENVIRONMENT, sizes))
    return facts, goals


def _start(app: Path, python: str, pictures: Sequence[bytes], _: int) -> dict:
    """Start an app, ask it for a first answer and then for more, and stop it."""
    began = time.perf_counter()
    with new_session() as session, run_demo(app, python=python) as running:
        answers = [ask(session, running.url, pictures[0])]
        seconds = time.perf_counter() - began
        parent = psutil.Process(running.process.pid)
        family = [parent, *parent.children(recursive=True)]
        memory = sum(process.memory_info().rss for process in family) / 1e6
        answers += [ask(session, running.url, data) for data in pictures[1:]]
    return {"seconds": seconds, "megabytes": memory, "answers": answers}


def _versions(environment: Path) -> str:
    """The packages that matter, as installed."""
    found = distributions(path=[str(_inside(environment, "purelib"))])
    known = {package.name: package.version for package in found}
    return ", ".join(f"{name} {known[name]}" for name in PACKAGES if name in known)


def _goal(what: str, cost: str, limit: float, values: Sequence[float]) -> Goal:
    share = values[0] / values[1]
    text = f"the app's {what} in at most {limit:.0%} of the {cost}"
    return Goal(f"{text} of the same app on PyTorch", f"{share:.1%}", share <= limit)


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
    pip = [_inside(environment, "scripts") / "python", "-m", "pip", "install", "-q"]
    subprocess.run([*pip, "-r", requirements], check=True)
    mark.write_text(wanted, "utf-8")
    return environment


def _inside(environment: Path, what: str) -> Path:
    """Where an environment has its programs ("scripts") or its packages ("purelib")."""
    return Path(sysconfig.get_path(what, "venv", {"base": str(environment)}))


def python_for(bench: Bench, app: Path) -> str:
    """The Python that runs an app: of its own environment, if the plan says so."""
    if not bench.plan.own_environments:
        return sys.executable
    return str(_inside(environment_for(app), "scripts") / "python")


def megabytes(folder: Path) -> float:
    """Size of all files under a folder, in 10^6 bytes; links count as links."""
    files = (file for file in folder.rglob("*") if file.is_symlink() or file.is_file())
    return sum(file.lstat().st_size for file in files) / 1e6


def cuda_megabytes(environment: Path) -> float:
    """How much of an environment is for NVIDIA's GPUs alone."""
    packages = _inside(environment, "purelib")
    return sum(megabytes(packages / name) for name in CUDA_FOLDERS)


def new_session() -> requests.Session:
    """A client's connection to an app on this machine, past any proxy."""
    session = requests.Session()
    session.trust_env = False
    return session


def ask(session: requests.Session, url: str, data: bytes) -> str:
    """Send a JPEG file to an app's /predict: upload, call, read the likeliest class.

    Raises:
        Refused: If the app's queue is full.
        RuntimeError: If the app answers with an error.
        requests.RequestException: If it cannot be reached.
    """
    upload, call = f"{url}gradio_api/upload", f"{url}gradio_api/call/predict"
    files = {"files": ("plate.jpg", data, "image/jpeg")}
    uploaded = session.post(upload, files=files, timeout=SECONDS)
    uploaded.raise_for_status()
    picture = {"path": uploaded.json()[0], "meta": {"_type": "gradio.FileData"}}
    called = session.post(call, json={"data": [picture]}, timeout=SECONDS)
    if called.status_code == QUEUE_IS_FULL:
        raise Refused
    called.raise_for_status()
    stream = session.get(f"{call}/{called.json()['event_id']}", timeout=SECONDS)
    stream.raise_for_status()
    if not (answer := ANSWER.search(stream.text)):
        raise RuntimeError(f"the app answered: {stream.text[:500]}")
    return json.loads(answer[1])[0]["label"]


def measure_load(bench: Bench) -> Part:
    """Let more and more clients ask the same running app, several rounds."""
    app, rounds = make_all(bench).apps[OURS], range(bench.plan.rounds)
    pictures = [file.read_bytes() for file, _ in bench.test_pictures(SENT)]
    with run_demo(app, python=python_for(bench, app)) as running:
        _let_ask(bench, running.url, pictures, 1, 0)  # a warm-up
        ways = {
            f"{clients}": partial(_let_ask, bench, running.url, pictures, clients)
            for clients in CLIENTS
        }
        runs = in_turns("many clients at once", ways, rounds, turn=1, warm_up=0)
    return {clients: _met(own) for clients, own in runs.items()}, []


def _let_ask(
    bench: Bench, url: str, pictures: Sequence[bytes], clients: int, _: int
) -> pd.DataFrame:
    """Let clients ask at once, each again as soon as it has its answer.

    Returns:
        A row a request: how it ended, and ms.
    """
    deadline = time.perf_counter() + bench.plan.load_seconds

    def client(number: int) -> list[tuple[str, float]]:
        met = []
        with new_session() as session:
            while (start := time.perf_counter()) < deadline:
                number, end = number + 1, "answered"
                try:
                    ask(session, url, pictures[number % len(pictures)])
                except Refused:
                    end = "refused"
                except (requests.RequestException, RuntimeError):
                    end = "failed"
                met.append((end, 1000 * (time.perf_counter() - start)))
                if end != "answered":
                    time.sleep(PATIENCE)
        return met

    with ThreadPoolExecutor(clients) as pool:
        met = sum(pool.map(client, range(clients)), [])
    return pd.DataFrame(met, columns=["end", "ms"])


def _met(rounds: pd.DataFrame) -> dict[str, object]:
    """What so many clients met."""
    met = pd.concat(rounds.result.tolist())
    answered = rounds.result.map(lambda one: (one.end == "answered").sum())
    return {
        "rate": (1000 * answered / rounds.ms).median(),
        "waits": met.ms[met.end == "answered"],
        "asked": len(met),
        "refused": (met.end == "refused").sum(),
        "failed": (met.end == "failed").sum(),
    }
