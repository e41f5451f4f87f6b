"""How long one prediction takes, from the bytes of a JPEG to probabilities."""

import statistics
import time
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path

import pandas as pd
from PIL import Image

from benchmarks.making import Made
from benchmarks.peak import measured_peaks
from benchmarks.plan import Bench, progress
from benchmarks.prediction_tables import (
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

# Threads of the route before still look for work for a moment; wait until they sleep.
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
    """Predict picture by picture, every route in turn, each going first as often.

    Returns:
        A row a prediction: route, round, ms, right.
    """
    for data, _ in pictures[:WARM_UP]:
        for route in routes:
            route.predict(data)
    rows = []
    for number in range(rounds):
        for place, (data, truth) in enumerate(pictures):
            for route in _rotated(routes, place):
                ms, guess = _timed(route.predict, data)
                rows.append((route.name, number, ms, guess == truth))
    return pd.DataFrame(rows, columns=["route", "round", "ms", "right"])


def networks_in_turns(routes: Sequence[Route], runs: int) -> dict[str, float]:
    """Median milliseconds of each route's network alone, after a warm-up."""
    collected = {route.name: [] for route in routes}
    for run in range(WARM_UP + runs):
        for route in _rotated(routes, run):
            ms, _ = _timed(route.network)
            if run >= WARM_UP:
                collected[route.name].append(ms)
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
                rows.append((size, route.name, _timed(route.predict, content)[0]))
    table = pd.DataFrame(rows, columns=["size", "route", "ms"])
    medians = table.pivot_table("ms", "size", "route", aggfunc="median", sort=False)
    return medians[[route.name for route in routes]]


def enlarge(data: bytes, megapixels: float) -> bytes:
    """The same picture with so many million pixels, as a JPEG."""
    picture = decode(data)
    factor = (megapixels * 1e6 / (picture.width * picture.height)) ** 0.5
    size = round(picture.width * factor), round(picture.height * factor)
    file = BytesIO()
    picture.resize(size, Image.Resampling.BICUBIC).save(
        file, "JPEG", quality=JPEG_QUALITY
    )
    return file.getvalue()


def _size_name(data: bytes) -> str:
    width, height = Image.open(BytesIO(data)).size
    return f"{width} x {height}"


def _rotated(routes: Sequence[Route], turn: int) -> list[Route]:
    first = turn % len(routes)
    return [*routes[first:], *routes[:first]]


def _timed(function: Callable, *arguments) -> tuple[float, object]:
    time.sleep(PAUSE)
    start = time.perf_counter()
    result = function(*arguments)
    return 1000 * (time.perf_counter() - start), result
