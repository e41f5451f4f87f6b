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
PART = sum(food101.count_of().values())
ROWS = food101.count_of()["train"]
SETTINGS = Settings(batch_size=128, label_smoothing=0.1)


def measure(bench: Bench) -> Part:
    """Time the features of some photos, and the training of a head."""
    progress("features of photos, and a head of FoodVision Big's size")
    photos = [file for file, _ in bench.test_pictures(PHOTOS)]
    built = LITE2.build(food101.CLASSES)
    extract = Extractor(built, batch_size=BATCH_SIZE)
    seconds = [seconds_a_photo(extract, photos) for _ in range(bench.plan.rounds)]
    each, head = statistics.median(seconds), _head_seconds(built.model.head[-1])
    total = (PART * each + head) / 60
    row = {
        "contender": LITE2.name,
        "ms a photo": round(1000 * each, 1),
        f"{PART:,} photos, minutes": round(PART * each / 60, 1),
        "head, s": round(head),
        f"{food101.ALL_PHOTOS:,} photos, minutes": round(
            food101.ALL_PHOTOS * each / 60
        ),
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
    generator = torch.Generator().manual_seed(SEED)
    features = torch.randn(ROWS, head.in_features, generator=generator)
    labels = torch.randint(head.out_features, (ROWS,), generator=generator)
    data = TensorDataset(features, labels)
    loader = feature_loader(data, batch_size=SETTINGS.batch_size, seed=SEED)
    start = time.perf_counter()
    train(head, loader, settings=SETTINGS)
    return time.perf_counter() - start
