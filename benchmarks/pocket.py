"""One file in browsers and in Python: answers, times, and a first visit."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from io import BytesIO
from typing import NamedTuple

import numpy as np
import pandas as pd
from playwright.sync_api import Browser, Request

from benchmarks.browser import READY_MS, ask_page, chromium, open_pocket
from benchmarks.firefox import FIREFOX, firefox_page
from benchmarks.plan import MODEL, TURN, Bench, in_turns
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
    """A place where the model runs, and what it runs on in its own words."""

    where: str
    runs: str
    ask: Callable[[bytes], dict]  # from a file's bytes to what `ask_page` returns


def measure(bench: Bench) -> Part:
    """Ask all of them about every test picture, in turns; then visit the page anew."""
    plan, predictor = bench.plan, Predictor(MODEL, threads=1)
    python = Way(PYTHON, "the app's own Predictor, 1 thread", _asking(predictor))
    lite_site, ort_site = (bench.write_site(engine) for engine in (LITE_RT, ORT_WEB))
    pictures = [file.read_bytes() for file, _ in bench.test_pictures()]
    with (
        serve_folder(lite_site, isolated=False) as lite,
        serve_folder(lite_site) as shared,
        serve_folder(ort_site, isolated=False) as ort,
        chromium() as browser,
    ):
        asked = {
            RELAXED: (lite.url, ""),
            PLAIN: (lite.url, NO_RELAXED_SIMD),
            ORT: (ort.url, ""),
            THREADS: (shared.url, FOUR_CORES),
        }
        with _open_all(browser, asked) as pages:
            ways = {PYTHON: python, **pages}
            asks = {name: way.ask for name, way in ways.items()}
            said = in_turns("asking browsers and Python", asks, pictures)
        sites = {LITE: lite.url, ORT: ort.url}
        asks = {name: partial(_visit, browser, url) for name, url in sites.items()}
        starts = plan.rounds * plan.starts * pictures[:1]
        runs = in_turns("first visits", asks, starts, turn=1, warm_up=0)
        steps = profile(browser, ort.url)
    visits = {name: run.median() for name, run in runs.items()}
    # Milliseconds are by their own clocks: the way to the page does not count.
    ms = {name: own.milliseconds for name, own in said.items()}
    same, apart = _compare(said)
    return {
        "goals": [
            goal("rate", 1000 / ms[RELAXED].median()),
            goal("against_ort", ms[ORT].median() / ms[RELAXED].median()),
            goal("against_python", ms[RELAXED].median() / ms[PYTHON].median()),
            goal("alike", apart.max(), same=same.min(), total=len(pictures)),
            goal("visit_size", visits[LITE].megabytes),
            goal("visit_start", visits[LITE].seconds / visits[ORT].seconds),
        ],
        "on": bench.pictures.label,
        "pictures": len(pictures),
        "turn": TURN,
        "ways": [
            {
                "where": way.where,
                "what runs it": way.runs,
                **speed(ms[name]),
                "times Python's": round(ms[name].median() / ms[PYTHON].median(), 1),
                "same class as Python": f"{same[name]} of {len(pictures)}",
                "probabilities apart": round(apart[name], 4),
            }
            for name, way in ways.items()
        ],
        "runs": RUNS,
        "steps": steps,
        "visited": len(starts),
        "visits": [
            {
                "what runs it": name,
                "first answer, median s": round(own.seconds, 2),
                "loaded MB": round(own.megabytes, 1),
            }
            for name, own in visits.items()
        ],
    }


def _asking(predictor: Predictor) -> Callable[[bytes], dict]:
    def ask(picture: bytes) -> dict:
        answer = predictor.predict(BytesIO(picture))
        scores = [answer.probabilities[name] for name in predictor.about.class_names]
        return {"probabilities": scores, "milliseconds": 1000 * answer.seconds}

    return ask


@contextmanager
def _open_all(
    browser: Browser, asked: Mapping[str, tuple[str, str]]
) -> Iterator[dict[str, Way]]:
    """The page in Chromium's tabs, by name; and in Firefox where it is installed."""
    ways, chromium_version = {}, browser.version.partition(".")[0]
    with ExitStack() as stack:
        for name, (url, first) in asked.items():
            context = stack.enter_context(browser.new_context())
            page = open_pocket(context.new_page(), url, first=first)
            ways[name] = _page(page, f"Chromium {chromium_version}")
        if FIREFOX:
            page = stack.enter_context(firefox_page(asked[RELAXED][0]))
            version = page.evaluate("parseInt(navigator.userAgent.split('/').pop())")
            ways["Firefox"] = _page(page, f"Firefox {version}")
        yield ways


def _page(page, where: str) -> Way:
    """The browser demo, in a Playwright page or in Firefox."""
    return Way(where, page.inner_text("#runs"), partial(ask_page, page))


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
        sizes = pd.DataFrame([request.sizes() for request in loaded])
    size = sizes.responseHeadersSize.sum() + sizes.responseBodySize.sum()
    return {"seconds": seconds, "megabytes": size / 1e6}


def _compare(said: Mapping[str, pd.DataFrame]) -> tuple[pd.Series, pd.Series]:
    """How many answers name Python's class, and how far apart probabilities are."""
    found = {name: np.stack(own.probabilities) for name, own in said.items()}
    best = {name: scores.argmax(axis=1) for name, scores in found.items()}
    same = {name: int((own == best[PYTHON]).sum()) for name, own in best.items()}
    apart = {name: np.abs(own - found[PYTHON]).max() for name, own in found.items()}
    return pd.Series(same), pd.Series(apart)
