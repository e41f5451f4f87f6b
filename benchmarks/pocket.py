"""One file in browsers and in Python: answers, times, and a first visit."""

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from io import BytesIO

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
from pocket.stopwatch import ON_LITE_RT, ON_ORT_WEB

NO_RELAXED_SIMD = "WebAssembly.validate = () => false"  # all that the page asks it
FOUR_CORES = "Object.defineProperty(navigator, 'hardwareConcurrency', { value: 4 })"
# Where the model runs, and what it runs on in its own words.
Way = tuple[str, str]
PYTHON = "Python", "the app's own Predictor, 1 thread"


def measure(bench: Bench) -> Part:
    """Ask all of them about every test picture, in turns; then visit the page anew."""
    plan = bench.plan
    lite_site, ort_site = (bench.write_site(engine) for engine in (LITE_RT, ORT_WEB))
    pictures = [file.read_bytes() for file, _ in bench.test_pictures()]
    with (
        serve_folder(lite_site, isolated=False) as lite,
        serve_folder(lite_site) as shared,
        serve_folder(ort_site, isolated=False) as ort,
        chromium() as browser,
    ):
        tabs = [(lite.url, ""), (lite.url, NO_RELAXED_SIMD), (ort.url, "")]
        tabs.append((shared.url, FOUR_CORES))
        said = _ask_all(browser, tabs, pictures)
        sites = {LITE_RT.title: lite.url, ORT_WEB.title: ort.url}
        ways = {name: partial(_visit, browser, url) for name, url in sites.items()}
        starts = plan.rounds * plan.starts * pictures[:1]
        runs = in_turns("first visits", ways, starts, turn=1, warm_up=0)
        steps = profile(browser, ort.url)
    visits = {name: run.median() for name, run in runs.items()}
    lite, ort = visits.values()
    # Milliseconds are by their own clocks: the way to the page does not count.
    ms = {way: own.milliseconds.median() for way, own in said.items()}
    on_lite, on_ort = (ms[_place(browser), runs] for runs in (ON_LITE_RT, ON_ORT_WEB))
    same, apart = _compare(said)
    return {
        "goals": [
            goal("rate", 1000 / on_lite),
            goal("against_ort", on_ort / on_lite),
            goal("against_python", on_lite / ms[PYTHON]),
            goal("alike", max(apart), same=min(same), total=len(pictures)),
            goal("visit_size", lite.megabytes),
            goal("visit_start", lite.seconds / ort.seconds),
        ],
        "on": bench.pictures.label,
        "pictures": len(pictures),
        "turn": TURN,
        "ways": [
            {
                "where": way[0],
                "what runs it": way[1],
                **speed(said[way].milliseconds),
                "times Python's": round(ms[way] / ms[PYTHON], 1),
                "same class as Python": f"{right} of {len(pictures)}",
                "probabilities apart": round(far, 4),
            }
            for way, right, far in zip(said, same, apart, strict=True)
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


def _place(browser: Browser) -> str:
    return f"Chromium {browser.version.partition('.')[0]}"


def _ask_all(
    browser: Browser, tabs: Sequence[tuple[str, str]], pictures: Sequence[bytes]
) -> dict[Way, pd.DataFrame]:
    """What Python and every tab, of an address and what runs there first, says."""
    ways = {PYTHON: partial(_ask_python, Predictor(MODEL, threads=1))}
    with ExitStack() as stack:
        for url, first in tabs:
            context = stack.enter_context(browser.new_context())
            page = open_pocket(context.new_page(), url, first=first)
            ways[_place(browser), page.inner_text("#runs")] = partial(ask_page, page)
        if FIREFOX:  # where it is installed
            page = stack.enter_context(firefox_page(tabs[0][0]))
            version = page.evaluate("parseInt(navigator.userAgent.split('/').pop())")
            way = f"Firefox {version}", page.inner_text("#runs")
            ways[way] = partial(ask_page, page)
        return in_turns("asking browsers and Python", ways, pictures)


def _ask_python(predictor: Predictor, picture: bytes) -> dict[str, object]:
    answer = predictor.predict(BytesIO(picture))
    scores = [answer.probabilities[name] for name in predictor.about.class_names]
    return {"probabilities": scores, "milliseconds": 1000 * answer.seconds}


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


def _compare(said: Mapping[Way, pd.DataFrame]) -> tuple[list[int], list[float]]:
    """How many answers name Python's class, and how far apart probabilities are."""
    found = [np.stack(own.probabilities) for own in said.values()]
    best = [scores.argmax(axis=1) for scores in found]
    same = [int((own == best[0]).sum()) for own in best]
    return same, [float(np.abs(own - found[0]).max()) for own in found]
