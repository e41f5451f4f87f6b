"""One file in browsers and in Python: answers, times, and a first visit."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from playwright.sync_api import Browser, Request

from benchmarks.browser import READY_MS, ask_page, chromium, open_pocket
from benchmarks.firefox import FIREFOX, firefox_page
from benchmarks.making import make_all, write_site
from benchmarks.plan import TURN, Bench, in_turns
from benchmarks.profile import RUNS, profile
from benchmarks.report import Part, goal, speed
from going_modular.app.model import Predictor
from pocket.runtimes import LITE_RT, ORT_WEB
from pocket.server import serve_folder

LITE, ORT, PYTHON = LITE_RT.title, ORT_WEB.title, "Python"
RELAXED, PLAIN, THREADS = "relaxed SIMD", "plain SIMD", "two threads"
NO_RELAXED_SIMD = "WebAssembly.validate = () => false"  # all that the page asks it
FOUR_CORES = "Object.defineProperty(navigator, 'hardwareConcurrency', { value: 4 })"


class Way(NamedTuple):
    """A place where the model runs, what it runs on in its own words, and who is asked.

    `ask` takes a file's bytes and returns what `ask_page` does.
    """

    where: str
    runs: str
    ask: Callable[[bytes], dict]


def measure(bench: Bench) -> Part:
    """Ask all of them about every test picture, in turns; then visit the page anew."""
    model = make_all(bench).int8_file
    sites = {engine.title: write_site(bench, engine) for engine in (LITE_RT, ORT_WEB)}
    pictures = [file.read_bytes() for file, _ in bench.test_pictures()]
    with chromium() as browser:
        with _open_all(browser, sites, Predictor(model, threads=1)) as ways:
            asked = {name: way.ask for name, way in ways.items()}
            said = in_turns("asking browsers and Python", asked, pictures)
        visits = _visit_all(browser, sites, pictures[0], bench.plan)
        steps = profile(browser, sites[ORT])
    alike = {name: _compare(own, said[PYTHON]) for name, own in said.items()}
    # Milliseconds are by their own clocks: the way to the page does not count.
    ms = {name: own.milliseconds for name, own in said.items()}
    return {
        "goals": _goals(ms, alike.values(), len(pictures), visits),
        "on": bench.pictures.label,
        "pictures": len(pictures),
        "turn": TURN,
        "ways": [
            {
                "where": way.where,
                "what runs it": way.runs,
                **speed(ms[name]),
                "times Python's": round(ms[name].median() / ms[PYTHON].median(), 1),
                "same class as Python": f"{alike[name][0]} of {len(pictures)}",
                "probabilities apart": round(alike[name][1], 4),
            }
            for name, way in ways.items()
        ],
        "runs": RUNS,
        "steps": steps,
        "visited": bench.plan.rounds * bench.plan.starts,
        "visits": [
            {
                "what runs it": name,
                "first answer, median s": round(own.seconds.median(), 2),
                "loaded MB": round(own.megabytes.median(), 1),
            }
            for name, own in visits.items()
        ],
    }


@contextmanager
def _open_all(
    browser: Browser, sites: Mapping[str, Path], predictor: Predictor
) -> Iterator[dict[str, Way]]:
    """All that are asked, by name; Firefox only where it is installed."""
    with ExitStack() as stack:
        lite, ort = (
            stack.enter_context(serve_folder(sites[name], isolated=False)).url
            for name in (LITE, ORT)
        )
        shared = stack.enter_context(serve_folder(sites[LITE])).url
        asked = {
            RELAXED: (lite, ""),
            PLAIN: (lite, NO_RELAXED_SIMD),
            ORT: (ort, ""),
            THREADS: (shared, FOUR_CORES),
        }
        ways = {PYTHON: _python(predictor)}
        for name, (url, first) in asked.items():
            context = stack.enter_context(browser.new_context())
            page = open_pocket(context.new_page(), url, first=first)
            ways[name] = _page(page, f"Chromium {browser.version.partition('.')[0]}")
        if FIREFOX:
            page = stack.enter_context(firefox_page(lite))
            version = page.evaluate("parseInt(navigator.userAgent.split('/').pop())")
            ways["Firefox"] = _page(page, f"Firefox {version}")
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


def _visit_all(
    browser: Browser, sites: Mapping[str, Path], picture: bytes, plan
) -> dict[str, pd.DataFrame]:
    """Visit every site in turns, each time with nothing stored, and ask once."""
    with ExitStack() as stack:
        ways = {}
        for name, site in sites.items():
            url = stack.enter_context(serve_folder(site, isolated=False)).url
            ways[name] = lambda picture, url=url: _visit(browser, url, picture)
        starts = plan.starts * [picture]
        how = {"rounds": plan.rounds, "turn": 1, "warm_up": 0}
        return in_turns("first visits", ways, starts, **how)


def _visit(browser: Browser, url: str, picture: bytes) -> dict[str, float]:
    """Seconds to a first answer, and megabytes until it works without network."""
    loaded: list[Request] = []
    with browser.new_context() as context:
        context.on("requestfinished", lambda request: loaded.append(request))
        start = time.perf_counter()
        page = open_pocket(context.new_page(), url)
        ask_page(page, picture)
        seconds = time.perf_counter() - start
        page.locator("#offline").wait_for(timeout=READY_MS)
        sizes = [request.sizes() for request in loaded]
    kinds = ("responseHeadersSize", "responseBodySize")
    return {
        "seconds": seconds,
        "megabytes": sum(size[kind] for size in sizes for kind in kinds) / 1e6,
    }


def _compare(theirs: pd.DataFrame, ours: pd.DataFrame) -> tuple[int, float]:
    """How many answers name the same class, and how far probabilities are apart."""
    one, other = (np.array(said.probabilities.tolist()) for said in (theirs, ours))
    same = one.argmax(axis=1) == other.argmax(axis=1)
    return int(same.sum()), float(np.abs(one - other).max())


def _goals(
    ms: Mapping[str, pd.Series],
    alike: Collection[tuple[int, float]],
    total: int,
    visits: Mapping[str, pd.DataFrame],
) -> list[dict[str, str]]:
    """What LiteRT is to reach, on one thread with relaxed SIMD; and every browser."""
    lite, ort, python = (ms[name].median() for name in (RELAXED, ORT, PYTHON))
    same, apart = min(n for n, _ in alike), max(far for _, far in alike)
    first, theirs = (visits[name].seconds.median() for name in (LITE, ORT))
    return [
        goal("rate", 1000 / lite),
        goal("against_ort", ort / lite),
        goal("against_python", lite / python),
        goal("alike", apart, same=same, total=total),
        goal("visit_size", visits[LITE].megabytes.median()),
        goal("visit_start", first / theirs),
    ]
