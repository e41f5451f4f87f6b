"""One file in browsers and in Python: answers, times, and a first visit."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmarks.browser import ask_page, chromium, open_pocket
from benchmarks.firefox import FIREFOX, firefox_page
from benchmarks.making import make_all
from benchmarks.plan import TURN, Bench, in_turns, progress
from benchmarks.profile import RUNS, profile
from benchmarks.report import Part, goal, speed, times
from benchmarks.visits import first_answers, megabytes_sent
from going_modular.app.model import Predictor
from going_modular.pocket.runtimes import LITE_RT, ORT_WEB
from going_modular.pocket.server import serve_folder
from going_modular.pocket.site import write_pocket

GOAL_RATE = 30  # answers a second
GOAL_TIMES = 3.5  # as fast as ONNX Runtime Web
GOAL_OF_PYTHON = 2.5  # times Python's time
GOAL_APART = 0.001  # of probabilities
GOAL_VISIT_MB = 10
GOAL_START = 0.5  # of the time of ONNX Runtime Web
EXAMPLES = 3  # pictures that the page offers to try
RELAXED, PLAIN, THREADS = "relaxed SIMD", "plain SIMD", "two threads"
ORT, FOX, PYTHON = ORT_WEB.title, "Firefox", "Python"
NO_RELAXED_SIMD = "WebAssembly.validate = () => false"  # all that the page asks it
FOUR_CORES = "Object.defineProperty(navigator, 'hardwareConcurrency', { value: 4 })"


class Way(NamedTuple):
    """A place where the model runs."""

    where: str
    runs: str  # on what, in its own words
    ask: Callable[[bytes], dict]  # as `ask_page`


def measure(bench: Bench) -> Part:
    """Ask all of them about every test picture, in turns; then visit the page anew."""
    model, files = make_all(bench).int8_file, [f for f, _ in bench.test_pictures()]
    examples = [file for file, _ in bench.test_pictures(EXAMPLES)]
    sites = {
        engine.title: write_pocket(
            model, bench.workdir / engine.code.name, examples=examples, engine=engine
        )
        for engine in (LITE_RT, ORT_WEB)
    }
    pictures = [file.read_bytes() for file in files]
    with _open_all(sites, Predictor(model, threads=1)) as ways:
        asked = {name: way.ask for name, way in ways.items()}
        said = in_turns("asking browsers and Python", asked, pictures)
    starts = first_answers(sites, pictures[0], bench.plan.rounds)
    progress("counting the bytes of a first visit, and profiling ONNX Runtime Web")
    alike = {name: _compare(own, said[PYTHON]) for name, own in said.items()}
    # Milliseconds are by their own clocks: the way to the page does not count.
    ms = {name: own.milliseconds for name, own in said.items()}
    megabytes = {name: megabytes_sent(site) for name, site in sites.items()}
    return {
        "goals": [
            *_speed_goals(ms),
            _alike_goal(alike.values(), len(files)),
            *_visit_goals(starts, megabytes[LITE_RT.title]),
        ],
        "on": bench.pictures.label,
        "pictures": len(files),
        "turn": TURN,
        "ways": [
            {
                "where": way.where,
                "what runs it": way.runs,
                **speed(ms[name]),
                "times Python's": round(ms[name].median() / ms[PYTHON].median(), 1),
                "same class as Python": f"{alike[name][0]} of {len(files)}",
                "probabilities apart": round(alike[name][1], 4),
            }
            for name, way in ways.items()
        ],
        "runs": RUNS,
        "steps": profile(sites[ORT_WEB.title]),
        "visits": [
            {
                "what runs it": name,
                "first answer, median s": round(own.seconds.median(), 2),
                "fastest s": round(own.seconds.min(), 2),
                "slowest s": round(own.seconds.max(), 2),
                "visits": len(own),
                "loaded MB": round(megabytes[name], 1),
            }
            for name, own in starts.items()
        ],
    }


@contextmanager
def _open_all(
    sites: Mapping[str, Path], predictor: Predictor
) -> Iterator[dict[str, Way]]:
    """All that are asked, by name; Firefox only where it is installed."""
    with ExitStack() as stack:
        browser = stack.enter_context(chromium())
        served = [serve_folder(site, isolated=False) for site in sites.values()]
        lite, ort = (stack.enter_context(server).url for server in served)
        shared = stack.enter_context(serve_folder(sites[LITE_RT.title])).url
        asked = {
            RELAXED: (lite, ""),
            PLAIN: (lite, NO_RELAXED_SIMD),
            ORT: (ort, ""),
            THREADS: (shared, FOUR_CORES),
        }
        ways = {PYTHON: _python(predictor)}
        for name, (url, first) in asked.items():
            page = open_pocket(browser.new_page(), url, first=first)
            ways[name] = _page(page, f"Chromium {browser.version.partition('.')[0]}")
        if FIREFOX:
            page = stack.enter_context(firefox_page(lite))
            version = page.evaluate("parseInt(navigator.userAgent.split('/').pop())")
            ways[FOX] = _page(page, f"Firefox {version}")
        yield ways


def _page(page, where: str) -> Way:
    """The browser demo, in a Playwright page or in Firefox."""
    runs = page.inner_text("#runs")
    return Way(where, runs, lambda picture: ask_page(page, picture))


def _python(predictor: Predictor) -> Way:
    def ask(picture: bytes) -> dict:
        answer = predictor.predict(BytesIO(picture))
        probabilities = [answer.probabilities[n] for n in predictor.about.class_names]
        return {"probabilities": probabilities, "milliseconds": 1000 * answer.seconds}

    return Way("Python", "the app's own Predictor, 1 thread", ask)


def _compare(theirs: pd.DataFrame, ours: pd.DataFrame) -> tuple[int, float]:
    """How many answers name the same class, and how far probabilities are apart."""
    one, other = (np.array(said.probabilities.tolist()) for said in (theirs, ours))
    same = one.argmax(axis=1) == other.argmax(axis=1)
    return int(same.sum()), float(np.abs(one - other).max())


def _speed_goals(ms: Mapping[str, pd.Series]) -> list[dict[str, str]]:
    """What LiteRT with relaxed SIMD, on one thread, is to reach."""
    lite, ort, python = (ms[name].median() for name in (RELAXED, ORT, PYTHON))
    rate, faster, slower = 1000 / lite, ort / lite, lite / python
    often = f"the browser demo on one thread: at least {GOAL_RATE} answers a second"
    fast = f"the same: at least {GOAL_TIMES} times as fast as on {ORT}"
    near = f"the same: at most {GOAL_OF_PYTHON} times Python's time"
    return [
        goal(often, f"{rate:.1f}", rate >= GOAL_RATE),
        goal(fast, times(faster), faster >= GOAL_TIMES),
        goal(near, times(slower), slower <= GOAL_OF_PYTHON),
    ]


def _alike_goal(alike: Collection[tuple[int, float]], total: int) -> dict[str, str]:
    """Whether every browser answers as Python does: the worst of them counts."""
    same, apart = min(n for n, _ in alike), max(far for _, far in alike)
    text = "browsers name the same class as Python for every test picture, "
    text += f"probabilities within {GOAL_APART}"
    measured = f"{same} of {total}, at most {apart:.4f} apart"
    return goal(text, measured, same == total and apart <= GOAL_APART)


def _visit_goals(
    starts: Mapping[str, pd.DataFrame], megabytes: float
) -> list[dict[str, str]]:
    ours, theirs = (own.seconds.median() for own in starts.values())
    small = f"the browser demo's first visit loads at most {GOAL_VISIT_MB} MB"
    soon = f"its first answer comes in at most {GOAL_START:.0%} of the time on {ORT}"
    return [
        goal(small, f"{megabytes:.1f} MB", megabytes <= GOAL_VISIT_MB),
        goal(soon, f"{ours / theirs:.1%}", ours / theirs <= GOAL_START),
    ]
