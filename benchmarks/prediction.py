"""How long one prediction takes, from the bytes of a JPEG to probabilities."""

import statistics
import time
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from benchmarks.making import Made
from benchmarks.peak import measured_peaks
from benchmarks.plan import SEED, TURN, Bench, progress
from benchmarks.prediction_tables import (
    GRAIN,
    JPEG_QUALITY,
    MEGAPIXELS,
    big_table,
    goals,
    networks_table,
    predictions_table,
)
from benchmarks.report import Section
from benchmarks.routes import Route, decode, make_routes
from going_modular.predictions import WARM_UP

# Threads of a runtime look for work for a moment after it is done; wait until they
# sleep, so that no answer is held up by the one before.
PAUSE = 0.005  # seconds


def measure(bench: Bench, made: Made) -> Section:
    """Time all routes in turns: whole predictions, networks alone, big pictures."""
    _, test_data = bench.datasets()
    pictures = [
        (Path(file).read_bytes(), test_data.classes[label])
        for file, label in test_data.samples
    ]
    routes = make_routes(bench, made, pictures[0][0])
    progress("predicting, all routes in turns")
    answers = predict_in_turns(routes, pictures, bench.plan.prediction_rounds)
    progress("timing the networks alone, and the machine's peak")
    alone = networks_in_turns(routes, bench.plan.network_runs)
    peaks = measured_peaks(bench.plan.peak_side)
    progress("predicting big pictures")
    big = big_pictures_in_turns([routes[0], routes[-1]], pictures[0][0], bench)
    return Section(
        "2. One prediction, from JPEG bytes to probabilities",
        [
            predictions_table(bench, routes, answers),
            networks_table(bench, routes, alone, peaks),
            big_table(big),
        ],
        goals(routes, answers, big),
    )


def predict_in_turns(
    routes: Sequence[Route], pictures: Sequence[tuple[bytes, str]], rounds: int
) -> pd.DataFrame:
    """Predict all pictures by every route, in turns, each going first as often.

    A turn begins with a warm-up that is not counted: right after another network, a
    route finds caches filled with the other's weights and its threads asleep, which no
    program that runs one network meets.

    Returns:
        A row a prediction: route, round, ms, right.
    """
    rows = []
    for number in range(rounds):
        for start in range(0, len(pictures), TURN):
            now = pictures[start : start + TURN]
            for route in _rotated(routes, number + start // TURN):
                for data, _ in now[:WARM_UP]:
                    _timed(route.predict, data)
                for data, truth in now:
                    ms, guess = _timed(route.predict, data)
                    rows.append((route.name, number, ms, guess == truth))
    return pd.DataFrame(rows, columns=["route", "round", "ms", "right"])


def networks_in_turns(routes: Sequence[Route], runs: int) -> dict[str, float]:
    """Median milliseconds of each route's network alone, in turns as above."""
    collected = {route.name: [] for route in routes}
    for start in range(0, runs, TURN):
        for route in _rotated(routes, start // TURN):
            for _ in range(WARM_UP):
                _timed(route.network)
            for _ in range(min(TURN, runs - start)):
                collected[route.name].append(_timed(route.network)[0])
    return {name: statistics.median(ms) for name, ms in collected.items()}


def big_pictures_in_turns(
    routes: Sequence[Route], data: bytes, bench: Bench
) -> pd.DataFrame:
    """Median milliseconds: a row a size, beginning with the picture as it is."""
    sizes = {_size_name(data): data}
    for megapixels in MEGAPIXELS:
        larger = enlarge(data, megapixels)
        sizes[f"{megapixels} megapixels, {_size_name(larger)}"] = larger
    rows = []
    for _ in range(bench.plan.big_repeats):
        for size, content in sizes.items():
            for route in routes:
                _timed(route.predict, content)  # a warm-up, as above
                rows.append((size, route.name, _timed(route.predict, content)[0]))
    table = pd.DataFrame(rows, columns=["size", "route", "ms"])
    medians = table.pivot_table("ms", "size", "route", aggfunc="median", sort=False)
    return medians[[route.name for route in routes]]


def enlarge(data: bytes, megapixels: float) -> bytes:
    """The same picture with so many million pixels and a sensor's grain, as a JPEG."""
    picture = decode(data)
    factor = (megapixels * 1e6 / (picture.width * picture.height)) ** 0.5
    size = round(picture.width * factor), round(picture.height * factor)
    pixels = np.asarray(picture.resize(size, Image.Resampling.BICUBIC), np.float32)
    grain = np.random.default_rng(SEED).standard_normal((*size[::-1], 1), np.float32)
    pixels = (pixels + GRAIN * grain).clip(0, 255).astype(np.uint8)
    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=JPEG_QUALITY)
    return file.getvalue()


def _size_name(data: bytes) -> str:
    width, height = Image.open(BytesIO(data)).size
    return f"{width} x {height}, {len(data) / 1e6:.2f} MB"


def _rotated(routes: Sequence[Route], turn: int) -> list[Route]:
    first = turn % len(routes)
    return [*routes[first:], *routes[:first]]


def _timed(function: Callable, *arguments) -> tuple[float, object]:
    time.sleep(PAUSE)
    start = time.perf_counter()
    result = function(*arguments)
    return 1000 * (time.perf_counter() - start), result
