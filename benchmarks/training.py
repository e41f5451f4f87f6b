"""How long training takes: the whole network every epoch, or features stored once."""

import statistics
import time
from dataclasses import dataclass

from torch import nn

from benchmarks.plan import SEED, Bench, progress
from benchmarks.report import Goal, Section, Table, count, times
from going_modular.datasets import make_loader
from going_modular.engine import (
    Score,
    Settings,
    evaluate,
    feature_loader,
    milliseconds_a_picture,
    store_features,
    train,
)
from going_modular.model_builder import CONTENDERS, Contender
from going_modular.utils import set_seeds

GOAL_TIMES = 10
LITE2 = next(c for c in CONTENDERS if c.name == "EffNet-Lite2")


@dataclass(frozen=True)
class Trained:
    """One training: its cost in seconds and its score on the test pictures."""

    storing: float
    training: float
    score: Score
    pretrained: bool = True

    @property
    def seconds(self) -> float:
        return self.storing + self.training


def measure(bench: Bench) -> Section:
    """Train both ways, several times, in turns; then every contender our way."""
    batch_size, costs, choosing = choose_batch_size(bench)
    usual, ours = [], []
    for repeat in range(1, bench.plan.training_repeats + 1):
        of = f"{repeat} of {bench.plan.training_repeats}"
        progress(f"training the usual way, {of}")
        usual.append(usual_way(bench))
        progress(f"training our way, {of}")
        ours.append(our_way(bench, LITE2, batch_size))
    progress("storing features for every contender")
    every = {c.name: our_way(bench, c, batch_size) for c in CONTENDERS}
    return Section(
        "1. Training",
        [
            _both_ways(bench, usual, ours, batch_size, choosing),
            _contenders(bench, every, batch_size),
            Table(
                "What a picture costs in batches of different sizes, EffNet-Lite2 in "
                "channels_last, without decoding:",
                ("batch size", *map(str, costs)),
                [("ms a picture", *(f"{cost:.1f}" for cost in costs.values()))],
            ),
        ],
        [_goal(usual, ours)],
    )


def choose_batch_size(bench: Bench) -> tuple[int, dict[int, float], float]:
    """The fastest batch size, milliseconds a picture by size, and seconds it took."""
    progress("choosing the batch size for storing features")
    built = LITE2.build(2)
    start = time.perf_counter()
    costs = {
        size: milliseconds_a_picture(
            built.model.base,
            size,
            size=built.preprocess.size,
            pictures=bench.plan.batch_pictures,
        )
        for size in bench.plan.batch_sizes
    }
    return min(costs, key=costs.get), costs, time.perf_counter() - start


def usual_way(bench: Bench) -> Trained:
    """Every epoch decodes every picture and sends it through the whole network.

    The base's weights are frozen, but like everywhere else `train()` puts its
    BatchNorm layers into training mode.
    """
    set_seeds(SEED)
    built = LITE2.build(len(bench.class_names))
    train_data, test_data = bench.datasets(built.transform)
    network = nn.Sequential(built.model.base, built.model.head)
    start = time.perf_counter()
    loader = make_loader(train_data, batch_size=32, seed=SEED)
    train(network, loader, settings=Settings(epochs=bench.plan.epochs))
    seconds = time.perf_counter() - start
    return Trained(0.0, seconds, evaluate(network, make_loader(test_data)))


def our_way(bench: Bench, contender: Contender, batch_size: int) -> Trained:
    """Store the features of every picture once, then train the head on them."""
    set_seeds(SEED)
    built = contender.build(len(bench.class_names))
    train_data, test_data = bench.datasets(built.transform)
    start = time.perf_counter()
    loader = make_loader(train_data, batch_size=batch_size)
    features = store_features(built.model.base, loader)
    stored = time.perf_counter()
    settings = Settings(epochs=bench.plan.epochs)
    train(built.model.head, feature_loader(features, seed=SEED), settings=settings)
    end = time.perf_counter()
    score = evaluate(built.model, make_loader(test_data))
    return Trained(stored - start, end - stored, score, built.pretrained)


def _median(runs: list[Trained]) -> float:
    return statistics.median(run.seconds for run in runs)


def _goal(usual: list[Trained], ours: list[Trained]) -> Goal:
    ratio = _median(usual) / _median(ours)
    text = f"training at least {GOAL_TIMES} times faster than the usual way"
    return Goal(text, times(ratio), ratio >= GOAL_TIMES)


def _both_ways(
    bench: Bench,
    usual: list[Trained],
    ours: list[Trained],
    batch_size: int,
    choosing: float,
) -> Table:
    epochs = bench.plan.epochs
    names = {
        f"the usual way: the whole network in each of {epochs} epochs": usual,
        f"ours: features stored once, then {epochs} epochs of the head": ours,
    }
    rows = [
        (
            name,
            f"{_median(runs):.1f}",
            f"{min(r.seconds for r in runs):.1f} to {max(r.seconds for r in runs):.1f}",
            count(runs[-1].score.right, runs[-1].score.total),
            times(_median(usual) / _median(runs)),
        )
        for name, runs in names.items()
    ]
    with_choice = times(_median(usual) / (_median(ours) + choosing))
    return Table(
        f"EffNet-Lite2 on {bench.pictures.label}, both ways in turns, repeats: "
        f"{len(ours)}; Adam, learning rate {Settings().lr:g}, steps of "
        f"{Settings().batch_size} pictures:",
        ("way", "median s", "range s", "test pictures right", "faster"),
        rows,
        (
            "The usual way: `model.train()`, contiguous tensors, batches of 32, every "
            "picture decoded in every epoch. Neither way's time includes testing.",
            f"Ours stores features in channels_last, in batches of {batch_size}. "
            f"Choosing that size took {choosing:.1f} s, once; with it: {with_choice}.",
        ),
    )


def _contenders(bench: Bench, every: dict[str, Trained], batch_size: int) -> Table:
    pictures = len(bench.datasets()[0])
    rows = [
        (
            name,
            f"{run.storing:.1f}",
            f"{pictures / run.storing:.0f}",
            f"{run.training:.2f}",
            count(run.score.right, run.score.total, counted=run.pretrained),
        )
        for name, run in every.items()
    ]
    rows.append(
        (
            "all three",
            f"{sum(run.storing for run in every.values()):.1f}",
            "",
            f"{sum(run.training for run in every.values()):.2f}",
            "",
        )
    )
    return Table(
        f"Storing the features of {pictures} pictures ({bench.pictures.label}) in "
        f"batches of {batch_size}, decoding included, and training the head on them:",
        (
            "contender",
            "storing s",
            "pictures a second",
            f"head, {bench.plan.epochs} epochs, s",
            "test pictures right",
        ),
        rows,
    )
