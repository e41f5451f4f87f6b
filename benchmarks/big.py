"""What FoodVision Big costs: features of Food-101's photos, and its head."""

import statistics
import time

import torch
from PIL import Image
from torch.utils.data import TensorDataset

from benchmarks.plan import SEED, Bench, in_turns, progress
from benchmarks.report import Goal, Part
from benchmarks.training import LITE2
from going_modular.big import food101
from going_modular.big.features import seconds_a_photo
from going_modular.datasets import load_picture
from going_modular.engine import Settings, feature_loader, train
from going_modular.model_builder import CONTENDERS
from going_modular.stored_features import Extractor

GOAL_MINUTES = 60
CHOSEN = LITE2.name  # what the lesson's rule chooses
PHOTOS = 60  # that every contender gets the features of, at most
BATCH_SIZE = 8
PART = sum(food101.count_of().values())
ROWS = food101.count_of()["train"]
SETTINGS = Settings(batch_size=128, label_smoothing=0.1)


def measure(bench: Bench) -> Part:
    """Time every contender on the same photos, in turns, and the training of a head."""
    photos = [file for file, _ in bench.test_pictures(PHOTOS)]
    built = {c.name: c.build(food101.CLASSES) for c in CONTENDERS}
    extractors = {n: Extractor(own, batch_size=BATCH_SIZE) for n, own in built.items()}
    ways = {
        name: lambda _, extract=extract: 1000 * seconds_a_photo(extract, photos)
        for name, extract in extractors.items()
    }
    rounds = range(bench.plan.rounds)
    runs = in_turns("features of every contender", ways, rounds, turn=1, warm_up=0)
    costs = {name: own.result for name, own in runs.items()}
    minutes = {name: PART * ms.median() / 60_000 for name, ms in costs.items()}
    progress("training heads of FoodVision Big's size")
    heads = {name: _head_seconds(own.model.head[-1]) for name, own in built.items()}
    sizes = [Image.open(photo).size for photo in photos]
    opening = seconds_a_photo(lambda some: [load_picture(p) for p in some], photos)
    facts = {
        "photos": len(photos),
        "costs": costs,
        "minutes": minutes,
        "heads": heads,
        "megapixels": statistics.median(w * h for w, h in sizes) / 1e6,
        "opening": 1000 * opening,
        "over": [name for name in minutes if minutes[name] > GOAL_MINUTES],
    }
    text = f"FoodVision Big on {PART:,} photos in at most {GOAL_MINUTES} minutes, "
    text += f"{CHOSEN}, download aside"
    total = minutes[CHOSEN] + heads[CHOSEN] / 60
    goal = Goal(text, f"{total:.1f} minutes (projected)", total <= GOAL_MINUTES)
    return facts, [goal]


def _head_seconds(head: torch.nn.Linear) -> float:
    """Train a head on random features: how long it takes does not depend on them."""
    generator = torch.Generator().manual_seed(SEED)
    features = torch.randn(ROWS, head.in_features, generator=generator)
    labels = torch.randint(head.out_features, (ROWS,), generator=generator)
    data = TensorDataset(features, labels)
    loader = feature_loader(data, batch_size=SETTINGS.batch_size, seed=SEED)
    start = time.perf_counter()
    train(head, loader, settings=SETTINGS)
    return time.perf_counter() - start
