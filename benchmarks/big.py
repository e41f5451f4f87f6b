"""What FoodVision Big costs: features of Food-101's photos, and its head."""

import statistics
import time

import torch
from torch.utils.data import TensorDataset

from benchmarks.plan import SEED, Bench, progress
from benchmarks.report import Part, goal
from benchmarks.training import BATCH_SIZE, LITE2
from going_modular.big import food101
from going_modular.big.features import seconds_a_photo
from going_modular.engine import Settings, feature_loader, train
from going_modular.stored_features import Extractor

PHOTOS = 60  # that features are made of, at most
PART, ALL = sum(food101.count_of().values()), food101.ALL_PHOTOS
SETTINGS = Settings(batch_size=128, label_smoothing=0.1)


def measure(bench: Bench) -> Part:
    """Time the features of some photos, and the training of a head."""
    progress("features of photos, and a head of FoodVision Big's size")
    photos = [file for file, _ in bench.test_pictures(PHOTOS)]
    built = LITE2.build(food101.CLASSES)
    extract = Extractor(built, batch_size=BATCH_SIZE)
    rounds = range(bench.plan.rounds)
    each = statistics.median(seconds_a_photo(extract, photos) for _ in rounds)
    head = _head_seconds(built.model.head[-1])
    total = (PART * each + head) / 60
    row = {
        "contender": LITE2.name,
        "ms a photo": round(1000 * each, 1),
        f"{PART:,} photos, minutes": round(PART * each / 60, 1),
        "head, s": round(head),
        f"{ALL:,} photos, minutes": round(ALL * each / 60),
    }
    return {
        "goals": [goal("big", total, photos=PART, contender=LITE2.name)],
        "on": bench.pictures.label,
        "photos": len(photos),
        "threads": bench.plan.threads,
        "rounds": bench.plan.rounds,
        "costs": [row],
    }


def _head_seconds(head: torch.nn.Linear) -> float:
    """Train a head on random features: how long it takes does not depend on them."""
    rows = food101.count_of()["train"]
    features, labels = torch.randn(rows, head.in_features), torch.arange(rows)
    data = TensorDataset(features, labels % head.out_features)
    loader = feature_loader(data, batch_size=SETTINGS.batch_size, seed=SEED)
    start = time.perf_counter()
    train(head, loader, settings=SETTINGS)
    return time.perf_counter() - start
