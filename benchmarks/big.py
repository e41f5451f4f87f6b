"""What FoodVision Big costs: features of Food-101's photos, and its head."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch.utils.data import TensorDataset

from benchmarks.plan import SEED, Bench, progress
from benchmarks.report import Goal, Section, Table
from going_modular.datasets import load_picture, make_loader
from going_modular.engine import Settings, feature_loader, store_features, train
from going_modular.extractor import OnnxExtractor, export_extractor, seconds_a_photo
from going_modular.food101 import (
    ALL_PHOTOS,
    CLASSES,
    DOWNLOAD_GB,
    SHARE,
    count_of,
)
from going_modular.model_builder import CONTENDERS, Built

GOAL_MINUTES = 60
CHOSEN = "EffNet-Lite2"  # what the lesson's rule chooses
PART = sum(count_of(SHARE).values())
SETTINGS = Settings(batch_size=128, label_smoothing=0.1)


@dataclass(frozen=True)
class Cost:
    """Milliseconds a photo, file to features: one number a round.

    Attributes:
        ours: ONNX Runtime.
        usual: PyTorch, in batches.
        features: Numbers a photo.
    """

    ours: list[float]
    usual: list[float]
    features: int

    @property
    def milliseconds(self) -> float:
        return statistics.median(self.ours)

    def minutes(self, photos: int) -> float:
        """How long so many photos take, one after the other."""
        return photos * self.milliseconds / 60_000


def measure(bench: Bench) -> Section:
    """Time every contender on the same photos, in turns, and the training of a head."""
    train_data, _ = bench.datasets()
    some = train_data.samples[:: max(1, len(train_data) // bench.plan.feature_photos)]
    photos = [Path(file) for file, _ in some][: bench.plan.feature_photos]
    costs = _costs(bench, photos)
    progress("training heads of FoodVision Big's size")
    heads = {name: _head_seconds(bench, cost.features) for name, cost in costs.items()}
    total = costs[CHOSEN].minutes(PART) + heads[CHOSEN] / 60
    text = f"FoodVision Big on {PART:,} photos in at most {GOAL_MINUTES} minutes, "
    goal = Goal(
        f"{text}{CHOSEN}, download aside",
        f"{total:.1f} minutes (projected)",
        total <= GOAL_MINUTES,
    )
    return Section("6. FoodVision Big", [_table(bench, photos, costs, heads)], [goal])


def _costs(bench: Bench, photos: Sequence[Path]) -> dict[str, Cost]:
    ways = {}
    for contender in CONTENDERS:
        progress(f"exporting the base of {contender.name}")
        built = contender.build(CLASSES)
        file = bench.workdir / f"{contender.slug}_extractor.onnx"
        extract = OnnxExtractor(
            export_extractor(built, file), threads=bench.plan.threads
        )
        ways[contender.name] = built, extract
    ours, usual = ({name: [] for name in ways} for _ in range(2))
    for number in range(1, bench.plan.feature_rounds + 1):
        progress(
            f"features of every contender, {number} of {bench.plan.feature_rounds}"
        )
        for name, (built, extract) in ways.items():
            ours[name].append(1000 * seconds_a_photo(extract, photos))
            usual[name].append(_usual_way(bench, built, photos))
    sizes = {
        name: extract(photos[:1])[0].shape[1] for name, (_, extract) in ways.items()
    }
    return {name: Cost(ours[name], usual[name], sizes[name]) for name in ways}


def _usual_way(bench: Bench, built: Built, photos: Sequence[Path]) -> float:
    """Milliseconds a photo through PyTorch, in batches, as section 2 of the lesson."""
    data, _ = bench.datasets(built.transform)
    labels = dict(data.samples)
    data.samples = [(str(file), labels[str(file)]) for file in photos]
    start = time.perf_counter()
    store_features(built.model.base, make_loader(data, batch_size=8))
    return 1000 * (time.perf_counter() - start) / len(photos)


def _head_seconds(bench: Bench, features: int) -> float:
    """Train a head on random features: how long it takes does not depend on them."""
    generator = torch.Generator().manual_seed(SEED)
    rows = bench.plan.head_rows or count_of(SHARE)["train"]
    data = TensorDataset(
        torch.randn(rows, features, generator=generator),
        torch.randint(CLASSES, (rows,), generator=generator),
    )
    head = torch.nn.Linear(features, CLASSES)
    loader = feature_loader(data, batch_size=SETTINGS.batch_size, seed=SEED)
    start = time.perf_counter()
    train(head, loader, settings=SETTINGS)
    return time.perf_counter() - start


def _table(
    bench: Bench, photos: Sequence[Path], costs: dict[str, Cost], heads: dict
) -> Table:
    rows = [
        (
            name,
            f"{cost.milliseconds:.1f}",
            f"{min(cost.ours):.1f} to {max(cost.ours):.1f}",
            f"{statistics.median(cost.usual):.1f}",
            f"{cost.minutes(PART):.1f}",
            f"{heads[name]:.0f}",
            f"{cost.minutes(ALL_PHOTOS):.0f}",
        )
        for name, cost in costs.items()
    ]
    over = [name for name, cost in costs.items() if cost.minutes(PART) > GOAL_MINUTES]
    head_rows = bench.plan.head_rows or count_of(SHARE)["train"]
    return Table(
        f"From a photo's file to its features, {bench.plan.threads} threads, measured "
        f"on {len(photos)} pictures ({bench.pictures.label}), and what follows for "
        f"{SHARE:.0%} of Food-101 and for all of it:",
        (
            "contender",
            "ms a photo",
            "range ms",
            "the same in PyTorch",
            f"{PART:,} photos, minutes",
            "head, s",
            f"{ALL_PHOTOS:,} photos, minutes",
        ),
        rows,
        (
            f"Median of {bench.plan.feature_rounds} rounds, contenders in turns: ONNX "
            "Runtime, one photo a thread, opening it included. PyTorch: batches of 8.",
            f"{_size_note(photos)} Food-101's photos have at most 512 pixels a side; "
            "the lesson's photos are some of them, so nothing is scaled.",
            f"The head: {SETTINGS.epochs} epochs over {head_rows:,} rows of random "
            f"features, {CLASSES} classes, steps of {SETTINGS.batch_size}.",
            f"Minutes are projections, photos times cost, without the download "
            f"({DOWNLOAD_GB:.0f} GB). Over {GOAL_MINUTES} minutes for {PART:,} photos: "
            f"{', '.join(over) or 'none'}.",
        ),
    )


def _size_note(photos: Sequence[Path]) -> str:
    opening, pixels = [], []
    for photo in photos:
        with Image.open(photo) as opened:
            pixels.append(opened.width * opened.height)
        start = time.perf_counter()
        load_picture(photo)
        opening.append(1000 * (time.perf_counter() - start))
    return (
        f"The pictures have {statistics.median(pixels) / 1e6:.2f} megapixels (median); "
        f"opening one takes {statistics.median(opening):.1f} ms."
    )
