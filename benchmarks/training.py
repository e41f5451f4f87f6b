"""How long training takes: the whole network every epoch, or features stored once."""

import time
from functools import partial

from torch import nn

from benchmarks.plan import SEED, Bench, in_turns
from benchmarks.report import Part, goal
from going_modular import engine
from going_modular.datasets import make_loader
from going_modular.model_builder import CONTENDERS
from going_modular.notebook_tools import set_seeds

SETTINGS = engine.Settings()
BATCH_SIZE = 8  # pictures whose features are stored together
BY_SLUG = {contender.slug: contender for contender in CONTENDERS}
EFFNETB2, LITE2 = BY_SLUG["effnetb2"], BY_SLUG["effnet_lite2"]
USUAL = f"the usual way: the whole network in each of {SETTINGS.epochs} epochs"
OURS = f"ours: features stored once, then {SETTINGS.epochs} epochs of the head"


def measure(bench: Bench) -> Part:
    """Train both ways, several times, in turns."""
    ways = {way: partial(_train, bench, way) for way in (USUAL, OURS)}
    rounds = range(bench.plan.rounds)
    runs = in_turns("training both ways", ways, rounds, turn=1, warm_up=0)
    seconds = {way: run.seconds.median() for way, run in runs.items()}
    return {
        "goals": [goal("training", seconds[USUAL] / seconds[OURS])],
        "on": bench.pictures.label,
        "rounds": bench.plan.rounds,
        "lr": SETTINGS.lr,
        "step": SETTINGS.batch_size,
        "batch_size": BATCH_SIZE,
        "ways": [
            {
                "way": way,
                "median s": round(seconds[way], 1),
                "test pictures right": run.right[0],
                "times faster": round(seconds[USUAL] / seconds[way], 1),
            }
            for way, run in runs.items()
        ],
    }


def _train(bench: Bench, way: str, _: int) -> dict[str, object]:
    """Train EffNet-Lite2's head on the training pictures.

    The usual way decodes every picture in every epoch and sends it through the whole
    network. The base's weights are frozen, but like everywhere else `train()` puts its
    BatchNorm layers into training mode.
    """
    set_seeds(SEED)
    built = LITE2.build(len(bench.class_names))
    base, head = built.model.base, built.model.head
    train_data, test_data = bench.datasets(built.transform)
    start, how = time.perf_counter(), {"batch_size": SETTINGS.batch_size, "seed": SEED}
    if way == OURS:
        loader = make_loader(train_data, batch_size=BATCH_SIZE)
        loader = engine.feature_loader(engine.store_features(base, loader), **how)
        engine.train(head, loader, settings=SETTINGS)
    else:
        network, loader = nn.Sequential(base, head), make_loader(train_data, **how)
        engine.train(network, loader, settings=SETTINGS)
    seconds = time.perf_counter() - start
    score = engine.evaluate(built.model, make_loader(test_data))
    return {"seconds": seconds, "right": f"{score.right} of {score.total}"}
