"""The same file in a browser and in Python, picture by picture: answers and times."""

import statistics
from io import BytesIO
from pathlib import Path

import numpy as np

from benchmarks.browser import CHROMIUM, ask_page, pocket_page
from benchmarks.making import ONNX_NAME, Made
from benchmarks.plan import TURN, Bench, progress
from benchmarks.report import Goal, Section, Table
from going_modular.npm import npm_program
from going_modular.pocket import MODEL, list_files, write_pocket
from going_modular.pocket_server import serve_folder
from going_modular.predictions import WARM_UP
from going_modular.utils import load_module

FIRST_VISIT_MB = 20
CLOSE = 0.02  # probabilities may differ by so much
BROWSER, PYTHON = "Chromium, WebAssembly", "Python, the app's own Predictor"


def measure(bench: Bench, made: Made) -> Section:
    """Ask both about every test picture, in turns."""
    if CHROMIUM is None or npm_program() is None:
        raise SystemExit(
            "The browser demo is measured in chromium, and put together with npm. "
            "Install both, or leave it out with --only."
        )
    progress("asking the browser demo and Python, in turns")
    site = write_pocket(made.app / ONNX_NAME, bench.workdir / "pocket")
    megabytes = sum(list_files(site)["files"].values()) / 1e6
    # On one thread, as the page.
    predictor = load_module(made.app / "model.py").Predictor(site / MODEL, threads=1)
    pictures = [Path(file).read_bytes() for file, _ in bench.datasets()[1].samples]
    answers, times = {BROWSER: [], PYTHON: []}, {BROWSER: [], PYTHON: []}
    with serve_folder(site) as served, pocket_page(served.url) as page:
        ways = {
            BROWSER: lambda picture: _ask_browser(page, picture),
            PYTHON: lambda picture: _ask_python(predictor, picture),
        }
        for start in range(0, len(pictures), TURN):
            now = pictures[start : start + TURN]
            for name, ask in ways.items():
                for picture in now[:WARM_UP]:
                    ask(picture)
                for picture in now:
                    probabilities, milliseconds = ask(picture)
                    answers[name].append(probabilities)
                    times[name].append(milliseconds)
        threads = page.inner_text("#threads")
    browser, python = (np.array(answers[name]) for name in (BROWSER, PYTHON))
    same = int((browser.argmax(axis=1) == python.argmax(axis=1)).sum())
    apart = float(np.abs(browser - python).max())
    agreed = f"{same} of {len(pictures)}, at most {apart:.4f} apart"
    goals = [
        Goal(
            "browser and Python answer alike for all photos but one at most, "
            f"probabilities within {CLOSE}",
            agreed,
            same >= len(pictures) - 1 and apart <= CLOSE,
        ),
        Goal(
            f"the browser demo's first visit loads at most {FIRST_VISIT_MB} MB",
            f"{megabytes:.1f} MB",
            megabytes <= FIRST_VISIT_MB,
        ),
    ]
    return Section("5. FoodVision Pocket", [_table(times, threads, agreed)], goals)


def _ask_browser(page, picture: bytes) -> tuple[list[float], float]:
    answer = ask_page(page, picture)
    return answer["probabilities"], answer["milliseconds"]


def _ask_python(predictor, picture: bytes) -> tuple[list[float], float]:
    answer = predictor.predict(BytesIO(picture))
    probabilities = [answer.probabilities[name] for name in predictor.class_names]
    return probabilities, 1000 * answer.seconds


def _table(times: dict[str, list[float]], threads: str, agreed: str) -> Table:
    rows = []
    for name, spent in times.items():
        median = statistics.median(spent)
        ratio = median / statistics.median(times[PYTHON])
        rows.append(
            (
                name,
                f"{median:.1f}",
                f"{np.percentile(spent, 95):.1f}",
                f"{1000 / median:.0f}",
                f"{ratio:.1f}",
            )
        )
    return Table(
        "The same int8 file, from a JPEG's bytes to probabilities, one thread each:",
        ("where", "median ms", "95th percentile ms", "a second", "against Python"),
        rows,
        (
            f"Same answer: {agreed}.",
            f"In turns of {TURN} test pictures. The page said: {threads}. It uses half "
            "of the cores, and more than one only where there are more than two.",
        ),
    )
