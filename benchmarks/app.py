"""The app beside its twin on PyTorch: starts, sizes, answers."""

import re
import shutil
import sys
import time
from collections.abc import Sequence
from functools import partial
from operator import eq
from pathlib import Path

import gradio_client  # noqa: F401, so that no app's start waits for this import
import numpy as np
import torch

from benchmarks.plan import MODEL, ROOT, Bench, goal, in_turns, progress
from deploy.reference import read_about, read_deployable
from going_modular.app_process import connected, run, run_demo
from going_modular.demo_folder import APP, TEXTS, copy_app

OURS, TWIN = "ONNX int8", "PyTorch"
ENVIRONMENTS = ROOT / "build" / "benchmark"
CUDA = ("lib/*/site-packages/nvidia/", "lib/*/site-packages/triton/")
ASKED = 3  # pictures that both apps are asked about
SECONDS = 60  # longest wait for an answer


def measure(bench: Bench) -> dict:
    """Start both apps in turns, several times, and ask them about some pictures."""
    apps, homes = _lay_out(bench.workdir), [Path(sys.prefix)] * 2
    if bench.plan.own_environments:
        homes = [environment_for(app) for app in apps.values()]
    files = [file for file, _ in bench.test_pictures(ASKED)]
    places = zip(apps.items(), homes, strict=True)
    ways = {name: partial(_start, app, home, files) for (name, app), home in places}
    rounds = range(bench.plan.rounds)
    starts = in_turns("starting both apps", ways, rounds, turn=1, warm_up=0).values()
    sizes = [megabytes(home) for home in homes]
    cuda = [sum(megabytes(home, folder) for folder in CUDA) for home in homes]
    costs = {
        "from start to first answer, median s": [own.s.median() for own in starts],
        "installed environment, MB": sizes,
        "the same without CUDA's libraries and Triton, MB": np.subtract(sizes, cuda),
    }
    start, environment, _ = (ours / theirs for ours, theirs in costs.values())
    answers = [own.answers.iloc[-1] for own in starts]
    return {
        "goals": [goal("app_start", start), goal("app_environment", environment)],
        "rounds": bench.plan.rounds,
        "asked": len(files),
        "said": dict(zip(apps, answers, strict=True)),
        "same": sum(map(eq, *answers)),
        "costs": [_row(what, *both) for what, both in costs.items()],
    }


def _row(what: str, *both: float) -> dict[str, object]:
    ours, theirs = (round(float(cost), 2 if cost < 100 else None) for cost in both)
    share = f"{both[0] / both[1]:.0%}"
    return {"": what, OURS: ours, TWIN: theirs, "ours of theirs": share}


def _lay_out(folder: Path) -> dict[str, Path]:
    """The app with the committed model, and the same with PyTorch as its runtime."""
    ours, twin = (copy_app(APP, folder / name, TEXTS) for name in ("app", "twin"))
    shutil.copyfile(MODEL, ours / MODEL.name)
    runtime = Path(__file__).with_name("twin_runtime.py")
    shutil.copyfile(runtime, twin / "onnxruntime.py")
    model, about = read_deployable(MODEL).model, read_about(MODEL).to_metadata()
    weights = model.base.state_dict() | model.head[-1].state_dict(prefix="classifier.")
    # PyTorch's own kind of file; the app looks for a name that ends like that.
    torch.save({"weights": weights, "about": about}, twin / MODEL.name)
    course = (ROOT / "requirements.txt").read_text("utf-8")
    needed = "\n".join(re.findall(r"^(?:torch|torchvision|timm)\b.*", course, re.M))
    file = twin / "requirements.txt"
    text = re.sub(r"^onnxruntime.*", needed, file.read_text("utf-8"), flags=re.M)
    file.write_text(text, "utf-8")
    return {OURS: ours, TWIN: twin}


def _start(app: Path, home: Path, pictures: Sequence[Path], _: int) -> dict:
    python, began = str(home / "bin" / "python"), time.perf_counter()
    with run_demo(app, python=python) as running, connected(running.url) as ask:
        answers = [ask(pictures[0], SECONDS)]
        seconds = time.perf_counter() - began
        answers += [ask(picture, SECONDS) for picture in pictures[1:]]
    return {"s": seconds, "answers": [scores["label"] for scores, _ in answers]}


def environment_for(app: Path) -> Path:
    """A new environment with what an app's requirements.txt names, and nothing else."""
    home, requirements = ENVIRONMENTS / app.name, app / "requirements.txt"
    progress(f"installing {requirements.read_text('utf-8').split()} into {home}")
    run(sys.executable, "-m", "venv", "--clear", home)
    run(home / "bin" / "python", "-m", "pip", "install", "-q", "-r", requirements)
    return home


def megabytes(home: Path, folder: str = "") -> float:
    """Size of all files in a folder of an environment, in 10^6 bytes."""
    files = (file for file in home.glob(f"{folder}**/*") if not file.is_dir())
    return sum(file.lstat().st_size for file in files) / 1e6
