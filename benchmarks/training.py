"""How long training takes: the whole network every epoch, or features stored once."""

import time
from typing import NamedTuple

from torch import nn
from torch.utils.data import TensorDataset

from benchmarks.plan import SEED, Bench, in_turns, progress
from benchmarks.report import Goal, Part, times
from going_modular import engine
from going_modular.datasets import make_loader
from going_modular.model_builder import CONTENDERS, Built, Contender
from going_modular.notebook_tools import set_seeds

GOAL_TIMES = 10
SETTINGS = engine.Settings()
BY_SLUG = {contender.slug: contender for contender in CONTENDERS}
EFFNETB2, LITE2 = BY_SLUG["effnetb2"], BY_SLUG["effnet_lite2"]
USUAL = f"the usual way: the whole network in each of {SETTINGS.epochs} epochs"
OURS = f"ours: features stored once, then {SETTINGS.epochs} epochs of the head"


class Trained(NamedTuple):
    """One training: what came of it, its score on the test pictures, and seconds."""

    built: Built
    score: engine.Score
    training: float
    storing: float = 0.0
    features: TensorDataset | None = None


def measure(bench: Bench) -> Part:
    """Train both ways, several times, in turns; then every contender our way."""
    costs, choosing = _batch_costs(bench)
    batch_size = min(costs, key=costs.get)
    ways = {
        USUAL: lambda _: usual_way(bench),
        OURS: lambda _: our_way(bench, LITE2, batch_size),
    }
    rounds = range(bench.plan.rounds)
    runs = in_turns("training both ways", ways, rounds, turn=1, warm_up=0)
    for own in runs.values():
        own["seconds"] = [run.storing + run.training for run in own.result]
    usual, ours = (own.seconds.median() for own in runs.values())
    progress("storing features for every contender")
    facts = {
        "costs": costs,
        "choosing": choosing,
        "batch_size": batch_size,
        "runs": runs,
        "usual": usual,
        "ours": ours,
        "every": {c.name: our_way(bench, c, batch_size) for c in CONTENDERS},
    }
    text = f"training at least {GOAL_TIMES} times faster than the usual way"
    goal = Goal(text, times(usual / ours), usual / ours >= GOAL_TIMES)
    return facts, [goal]


def _batch_costs(bench: Bench) -> tuple[dict[int, float], float]:
    """Milliseconds a picture by batch size, and the seconds it took to find out."""
    progress("choosing the batch size for storing features")
    built, start = LITE2.build(2), time.perf_counter()
    base, size = built.model.base, built.preprocess.size
    costs = {
        batch_size: engine.milliseconds_a_picture(base, batch_size, size=size)
        for batch_size in bench.plan.batch_sizes
    }
    return costs, time.perf_counter() - start


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
    loader = make_loader(train_data, batch_size=SETTINGS.batch_size, seed=SEED)
    engine.train(network, loader, settings=SETTINGS)
    seconds = time.perf_counter() - start
    return Trained(built, engine.evaluate(network, make_loader(test_data)), seconds)


def our_way(bench: Bench, contender: Contender, batch_size: int) -> Trained:
    """Store the features of every picture once, then train the head on them."""
    set_seeds(SEED)
    built = contender.build(len(bench.class_names))
    train_data, test_data = bench.datasets(built.transform)
    start = time.perf_counter()
    loader = make_loader(train_data, batch_size=batch_size)
    features = engine.store_features(built.model.base, loader)
    stored = time.perf_counter()
    loader = engine.feature_loader(features, batch_size=SETTINGS.batch_size, seed=SEED)
    engine.train(built.model.head, loader, settings=SETTINGS)
    end = time.perf_counter()
    score = engine.evaluate(built.model, make_loader(test_data))
    return Trained(built, score, end - stored, stored - start, features)
