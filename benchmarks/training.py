"""How long training takes: the whole network every epoch, or features stored once."""

import time
from typing import NamedTuple

from torch import nn
from torch.utils.data import TensorDataset

from benchmarks.plan import SEED, Bench, in_turns
from benchmarks.report import Part, goal
from going_modular import engine
from going_modular.datasets import make_loader
from going_modular.model_builder import CONTENDERS, Built
from going_modular.notebook_tools import set_seeds

SETTINGS = engine.Settings()
BATCH_SIZE = 8  # pictures whose features are stored together
BY_SLUG = {contender.slug: contender for contender in CONTENDERS}
EFFNETB2, LITE2 = BY_SLUG["effnetb2"], BY_SLUG["effnet_lite2"]
USUAL = f"the usual way: the whole network in each of {SETTINGS.epochs} epochs"
OURS = f"ours: features stored once, then {SETTINGS.epochs} epochs of the head"


class Trained(NamedTuple):
    """One training: what came of it, its score on the test pictures, and seconds."""

    built: Built
    score: engine.Score
    seconds: float
    features: TensorDataset | None = None


def measure(bench: Bench) -> Part:
    """Train both ways, several times, in turns."""
    ways = {USUAL: lambda _: usual_way(bench), OURS: lambda _: our_way(bench)}
    rounds = range(bench.plan.rounds)
    runs = in_turns("training both ways", ways, rounds, turn=1, warm_up=0)
    usual, rows = None, []
    for way, run in runs.items():
        seconds = run.result.map(lambda trained: trained.seconds).median()
        usual, score = usual or seconds, run.result[0].score
        faster = usual / seconds
        rows.append(
            {
                "way": way,
                "median s": round(seconds, 1),
                "test pictures right": f"{score.right} of {score.total}",
                "times faster": round(faster, 1),
            }
        )
    return {
        "goals": [goal("training", faster)],
        "on": bench.pictures.label,
        "rounds": bench.plan.rounds,
        "lr": SETTINGS.lr,
        "step": SETTINGS.batch_size,
        "batch_size": BATCH_SIZE,
        "ways": rows,
    }


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


def our_way(bench: Bench) -> Trained:
    """Store the features of every picture once, then train the head on them."""
    set_seeds(SEED)
    built = LITE2.build(len(bench.class_names))
    train_data, test_data = bench.datasets(built.transform)
    start = time.perf_counter()
    loader = make_loader(train_data, batch_size=BATCH_SIZE)
    features = engine.store_features(built.model.base, loader)
    loader = engine.feature_loader(features, batch_size=SETTINGS.batch_size, seed=SEED)
    engine.train(built.model.head, loader, settings=SETTINGS)
    seconds = time.perf_counter() - start
    score = engine.evaluate(built.model, make_loader(test_data))
    return Trained(built, score, seconds, features)
