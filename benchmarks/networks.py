"""Networks in Python: training, one prediction, FoodVision Big's cost, and gates."""

import time
from collections.abc import Mapping
from functools import partial
from io import BytesIO

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import TensorDataset

from benchmarks import plan
from benchmarks.plan import SEED, Bench, goal, in_turns, progress, speed
from going_modular import engine, gate
from going_modular.app.model import Predictor
from going_modular.big import food101
from going_modular.big.features import seconds_a_photo
from going_modular.companion import train_head
from going_modular.datasets import find_strangers, make_loader
from going_modular.model_builder import CONTENDERS
from going_modular.notebook_tools import set_seeds
from going_modular.predictions import WARM_UP
from going_modular.stored_features import Extractor, find_features, find_other_dishes

BY_SLUG = {contender.slug: contender for contender in CONTENDERS}
EFFNETB2, LITE2 = BY_SLUG["effnetb2"], BY_SLUG["effnet_lite2"]
SETTINGS = engine.Settings()
BATCH_SIZE = 8  # pictures whose features are stored together
ALL_ANEW = f"the usual way: the whole network in each of {SETTINGS.epochs} epochs"
STORED = f"ours: features stored once, then {SETTINGS.epochs} epochs of the head"
USUAL = "the usual way: EffNetB2, PyTorch"
OURS = "EffNet-Lite2, ONNX int8, as in the app"
GRAIN = 4  # standard deviation of the added brightness, of 255
BIG_SETTINGS = engine.Settings(batch_size=128, label_smoothing=0.1)
BIG_PHOTOS = 60  # that features are made of, at most
LIKE, SURE, SECOND = range(3)  # knn_similarity, confidence, the second head
LESSONS = "confidence and second head, familiarity as a floor (the lesson's gate)"
# What a gate listens to, in standard deviations of our own held-out pictures, added up;
# and whether what is hardly familiar is turned away whatever the others say.
WAYS = {
    "familiarity alone (the lesson's first gate)": ([LIKE], False),
    "confidence alone": ([SURE], False),
    "confidence and familiarity (no other dishes needed)": ([SURE, LIKE], True),
    "a second head that has met other dishes": ([SECOND], False),
    "the same, and familiarity as a floor": ([SECOND], True),
    "all three": ([LIKE, SURE, SECOND], True),
    LESSONS: ([SURE, SECOND], True),
}
PART, ALL = sum(food101.count_of().values()), food101.ALL_PHOTOS


def training(bench: Bench) -> dict:
    """Train the usual way and with features stored once, several times, in turns."""
    ways = {way: partial(_train, bench, way) for way in (ALL_ANEW, STORED)}
    rounds = range(bench.plan.rounds)
    runs = in_turns("training both ways", ways, rounds, turn=1, warm_up=0)
    seconds = {way: run.seconds.median() for way, run in runs.items()}
    return {
        "goals": [goal("training", seconds[ALL_ANEW] / seconds[STORED])],
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
                "times faster": round(seconds[ALL_ANEW] / seconds[way], 1),
            }
            for way, run in runs.items()
        ],
    }


def _train(bench: Bench, way: str, _: int) -> dict[str, object]:
    """Train EffNet-Lite2's head on the training pictures, its base frozen."""
    set_seeds(SEED)
    built = LITE2.build(len(bench.class_names))
    base, head = built.model.base, built.model.head
    train_data, test_data = bench.datasets(built.transform)
    start, how = time.perf_counter(), {"batch_size": SETTINGS.batch_size, "seed": SEED}
    if way == STORED:
        loader = make_loader(train_data, batch_size=BATCH_SIZE)
        loader = engine.feature_loader(engine.store_features(base, loader), **how)
        engine.train(head, loader, settings=SETTINGS)
    else:
        network, loader = nn.Sequential(base, head), make_loader(train_data, **how)
        engine.train(network, loader, settings=SETTINGS)
    seconds = time.perf_counter() - start
    score = engine.evaluate(built.model, make_loader(test_data))
    return {"seconds": seconds, "right": f"{score.right} of {score.total}"}


def prediction(bench: Bench) -> dict:
    """Time whole predictions, from a JPEG's bytes to a class, and big pictures."""
    files = [file.read_bytes() for file, _ in bench.test_pictures()]
    app = Predictor(plan.MODEL, threads=bench.plan.threads)
    usual = EFFNETB2.build(len(bench.class_names))
    network = usual.model.eval()  # a head that nothing has trained takes as long

    @torch.inference_mode()
    def the_usual_way(data: bytes) -> dict[str, int]:
        batch = usual.transform(_decode(data)).unsqueeze(0)
        return {"best": int(network(batch).softmax(dim=1)[0].argmax())}

    ways = {
        USUAL: the_usual_way,
        OURS: lambda data: {"best": app.predict(BytesIO(data)).best[0]},
    }
    runs = in_turns("predicting by both routes", ways, bench.plan.rounds * files)
    slow, fast = (run.ms.median() for run in runs.values())
    sizes = bench.plan.megapixels
    shown = {"": files[0]} | {f"{n} megapixels, ": _enlarge(files[0], n) for n in sizes}
    items = bench.plan.rounds * list(shown.values())
    both = in_turns("big pictures", ways, items, turn=1, warm_up=1).values()
    theirs, ours = (run.ms.groupby(run.index % len(shown)).median() for run in both)
    costs = [round(ms / ours[0], 1) for ms in ours]
    of_big = zip(sizes, costs[1:], strict=True)
    return {
        "goals": [
            goal("prediction", slow / fast),
            *(goal("big_picture", cost, megapixels=size) for size, cost in of_big),
        ],
        "on": bench.pictures.label,
        "predictions": bench.plan.rounds * len(files),
        "turn": plan.TURN,
        "warm_up": WARM_UP,
        "routes": [
            {"route": name, **speed(run.ms), "times faster": round(slow / middle, 1)}
            for (name, run), middle in zip(runs.items(), (slow, fast), strict=True)
        ],
        "big": [
            {
                "picture": "{}{} x {}, {:.2f} MB".format(
                    name, *Image.open(BytesIO(data)).size, len(data) / 1e6
                ),
                "the usual way, ms": round(theirs[place], 1),
                "app, ms": round(ours[place], 1),
                "app, times the first": costs[place],
            }
            for place, (name, data) in enumerate(shown.items())
        ],
    }


def _decode(data: bytes) -> Image.Image:
    return Image.open(BytesIO(data)).convert("RGB")


def _enlarge(data: bytes, megapixels: float) -> bytes:
    """The same picture with so many million pixels and a sensor's grain, as a JPEG."""
    picture = _decode(data)
    factor = (megapixels * 1e6 / (picture.width * picture.height)) ** 0.5
    size = round(picture.width * factor), round(picture.height * factor)
    pixels = np.asarray(picture.resize(size, Image.Resampling.BICUBIC), np.float32)
    grain = np.random.default_rng(SEED).standard_normal((*size[::-1], 1), np.float32)
    file, pixels = BytesIO(), (pixels + GRAIN * grain).clip(0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(file, "JPEG", quality=90)
    return file.getvalue()


def big(bench: Bench) -> dict:
    """Time the features of some photos, and a head of FoodVision Big's size."""
    progress("features of photos, and a head of FoodVision Big's size")
    photos = [file for file, _ in bench.test_pictures(BIG_PHOTOS)]
    built, rounds = LITE2.build(food101.CLASSES), bench.plan.rounds
    extract = Extractor(built, batch_size=BATCH_SIZE)
    each = float(np.median([seconds_a_photo(extract, photos) for _ in range(rounds)]))
    # On random features: how long a head takes does not depend on them.
    head, rows = built.model.head[-1], food101.count_of()["train"]
    labels = torch.arange(rows) % head.out_features
    data = TensorDataset(torch.randn(rows, head.in_features), labels)
    how = {"batch_size": BIG_SETTINGS.batch_size, "seed": SEED}
    start = time.perf_counter()
    engine.train(head, engine.feature_loader(data, **how), settings=BIG_SETTINGS)
    seconds = time.perf_counter() - start
    total = (PART * each + seconds) / 60
    row = {
        "contender": LITE2.name,
        "ms a photo": round(1000 * each, 1),
        f"{PART:,} photos, minutes": round(PART * each / 60, 1),
        "head, s": round(seconds),
        f"{ALL:,} photos, minutes": round(ALL * each / 60),
    }
    return {
        "goals": [goal("big", total, photos=PART, contender=LITE2.name)],
        "on": bench.pictures.label,
        "photos": len(photos),
        "threads": bench.plan.threads,
        "rounds": rounds,
        "costs": [row],
    }


def strangers(bench: Bench) -> dict:
    """Judge every way on every other dish, each by a gate that has not met it."""
    progress("training a head, and gates that leave one dish out")
    built = LITE2.build(len(bench.class_names))
    photos = find_features(built, LITE2.slug, plan.ROOT / "data", what="photos")
    others = find_other_dishes(built, LITE2.slug, plan.ROOT / "data", ours=photos.names)
    head = train_head(built, photos)
    cv = engine.cross_validate(head, photos.train, settings=engine.HEAD)
    right = cv.logits.argmax(dim=1) == photos.train.tensors[1]
    dishes = others.names[: bench.plan.taught]
    far = torch.from_numpy(Extractor(built)(list(find_strangers()))[0])
    ranks = []
    for dish in dishes:
        asked = {"near": others.test_of(dish), "ours": photos.test.tensors[0]}
        met = others.without(dish).train.tensors[0]
        scores = _listen(head, photos.train, cv.logits, met, {**asked, "far": far})
        for way, (heard, has_floor) in WAYS.items():
            own = {}
            for kind, each in scores.items():  # in standard deviations, (K, 3)
                low = has_floor & (each[:, LIKE] < -gate.FLOOR)
                own[kind] = each[:, heard].sum(dim=1) - 1e3 * low
            line = gate.threshold_at_tpr(own.pop("held out")[right], gate.KEPT)
            ranks.append({"way": way, **{k: rank - line for k, rank in own.items()}})
    table = pd.DataFrame(ranks)
    total = {kind: len(table[kind][0]) for kind in ("near", "ours", "far")}
    total["near"] = sum(len(others.test_of(dish)) for dish in dishes)
    rows = {}
    for way, own in table.groupby("way", sort=False):  # the lesson's is the last
        away = own[[*total]].map(lambda rank: int((rank < 0).sum()))
        auroc = gate.auroc(torch.cat([*own.ours]), torch.cat([*own.near]))
        near, least, most = away.near.sum(), away.min(), away.max()
        rows[way] = {
            "what the gate listens to": way,
            "never met, turned away": f"{near} of {total['near']}",
            "AUROC": round(auroc, 2),
            "ours, turned away": f"{least.ours} to {most.ours} of {total['ours']}",
            "no food, turned away": f"{least.far} to {most.far} of {total['far']}",
        }
    worst = {"near": near, "far": least.far, "ours": most.ours}  # gate of the lesson's
    near, far, ours = (
        goal(f"gate_{k}", n / total[k], away=n, total=total[k])
        for k, n in worst.items()
    )
    return {
        "goals": [near, goal("gate_auroc", auroc), far, ours],
        "ways": list(rows.values()),
        "on": photos.label,
        "label": others.label,
        "names": ", ".join(dishes),
        "total": total,
        "kept": gate.KEPT,
    }


@torch.inference_mode()
def _listen(
    head: nn.Module, train: TensorDataset, logits: Tensor, met: Tensor, asked: Mapping
) -> dict[str, Tensor]:
    """What the three witnesses say: the higher, the more a picture is one of ours.

    `logits` (N, C) are of heads that had not seen our training pictures; `met` are
    features (M, D) for the second head, `asked` those of others. Returns by kind, and
    "held out" for our training pictures, scores (K, 3) in their standard deviations.
    """
    rows, labels = train.tensors
    known, second = F.normalize(rows, dim=1), gate.fit_second_head(rows, labels, met)
    likeness = gate.knn_similarity(rows, known, leave_out_self=True)
    held_out = gate.held_out_second(rows, labels, met)
    scores = {"held out": [likeness, logits.amax(dim=1), held_out]}
    for kind, features in asked.items():
        seconds = second(gate.signed_sqrt(features))
        likeness = gate.knn_similarity(features, known)
        scores[kind] = [likeness, head(features).amax(dim=1), seconds.amax(dim=1)]
    scale = [gate.middle_and_width(own) for own in scores["held out"]]
    middle, width = torch.tensor(scale).T
    return {k: (torch.stack(own, dim=1) - middle) / width for k, own in scores.items()}
