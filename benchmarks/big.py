"""What FoodVision Big costs: features of Food-101's photos, and its head."""

import time

import torch
from torch.utils.data import TensorDataset

from benchmarks.plan import SEED, Bench, in_turns, progress
from benchmarks.report import Part, goal
from benchmarks.training import BATCH_SIZE, LITE2
from going_modular.big import food101
from going_modular.big.features import seconds_a_photo
from going_modular.engine import Settings, feature_loader, train
from going_modular.model_builder import CONTENDERS
from going_modular.stored_features import Extractor

GOAL_MINUTES = 60
CHOSEN = LITE2.name  # what the lesson's rule chooses
PHOTOS = 60  # that every contender gets the features of, at most
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
    progress("training heads of FoodVision Big's size")
    rows, totals = [], {}
    for name, own in runs.items():
        ms, head = own.result.median(), _head_seconds(built[name].model.head[-1])
        totals[name] = PART * ms / 60_000 + head / 60
        rows.append(
            {
                "contender": name,
                "ms a photo": round(ms, 1),
                f"{PART:,} photos, minutes": round(PART * ms / 60_000, 1),
                "head, s": round(head),
                f"{food101.ALL_PHOTOS:,} photos, minutes": round(
                    food101.ALL_PHOTOS * ms / 60_000
                ),
            }
        )
    text = f"FoodVision Big on {PART:,} photos in at most {GOAL_MINUTES} minutes, "
    text += f"{CHOSEN}, download aside"
    total = totals[CHOSEN]
    return {
        "goals": [
            goal(text, f"{total:.1f} minutes (projected)", total <= GOAL_MINUTES)
        ],
        "on": bench.pictures.label,
        "photos": len(photos),
        "threads": bench.plan.threads,
        "rounds": bench.plan.rounds,
        "costs": rows,
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
