"""How gates do with dishes they have never met: the lesson's, and others tried."""

from collections.abc import Mapping

import pandas as pd
import torch
from torch.nn import functional as F
from torch.utils.data import TensorDataset

from benchmarks.networks import LITE2
from benchmarks.plan import ROOT, Bench, goal, progress
from going_modular import gate
from going_modular.companion import train_head
from going_modular.datasets import find_strangers
from going_modular.engine import HEAD, cross_validate
from going_modular.stored_features import Extractor, find_features, find_other_dishes

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


def measure(bench: Bench) -> dict:
    """Judge every way on every other dish, each by a gate that has not met it."""
    progress("training a head, and gates that leave one dish out")
    built = LITE2.build(len(bench.class_names))
    photos = find_features(built, LITE2.slug, ROOT / "data", what="photos")
    others = find_other_dishes(built, LITE2.slug, ROOT / "data", ours=photos.names)
    head = train_head(built, photos)
    cv = cross_validate(head, photos.train, settings=HEAD)
    right = cv.logits.argmax(dim=1) == photos.train.tensors[1]
    dishes = others.names[: bench.plan.taught]
    far = torch.from_numpy(Extractor(built)(list(find_strangers()))[0])
    ranks = []
    for dish in dishes:
        asked = {"near": others.test_of(dish), "ours": photos.test.tensors[0]}
        met = others.without(dish).train.tensors[0]
        scores = _listen(head, photos.train, cv.logits, met, {**asked, "far": far})
        for way, (heard, has_floor) in WAYS.items():
            own = {k: _rank(each, heard, has_floor) for k, each in scores.items()}
            line = gate.threshold_at_tpr(own.pop("held out")[right], gate.KEPT)
            ranks.append({"way": way, **{k: rank - line for k, rank in own.items()}})
    table = pd.DataFrame(ranks)
    total = {kind: len(table[kind][0]) for kind in ("near", "ours", "far")}
    total["near"] = sum(len(others.test_of(dish)) for dish in dishes)
    rows = []
    for way, own in table.groupby("way", sort=False):  # the lesson's is the last
        away = own[[*total]].map(lambda rank: int((rank < 0).sum()))
        auroc = gate.auroc(torch.cat([*own.ours]), torch.cat([*own.near]))
        near, least, most = away.near.sum(), away.min(), away.max()
        rows.append(
            {
                "what the gate listens to": way,
                "never met, turned away": f"{near} of {total['near']}",
                "AUROC": round(auroc, 2),
                "ours, turned away": f"{least.ours} to {most.ours} of {total['ours']}",
                "no food, turned away": f"{least.far} to {most.far} of {total['far']}",
            }
        )
    worst = {"near": near, "far": least.far, "ours": most.ours}  # gate of the lesson's
    near, far, ours = (
        goal(f"gate_{kind}", n / total[kind], away=n, total=total[kind])
        for kind, n in worst.items()
    )
    return {
        "goals": [near, goal("gate_auroc", auroc), far, ours],
        "ways": rows,
        "on": photos.label,
        "label": others.label,
        "names": ", ".join(dishes),
        "total": total,
        "kept": gate.KEPT,
    }


@torch.inference_mode()
def _listen(
    head: torch.nn.Module,
    train: TensorDataset,
    logits: torch.Tensor,
    met: torch.Tensor,
    asked: Mapping[str, torch.Tensor],
) -> dict[str, torch.Tensor]:
    """What the three witnesses say: the higher, the more a picture is one of ours.

    `logits` (N, C) are of our training pictures, by heads that had not seen them; `met`
    are features (M, D) of other dishes for the second head, `asked` those of others by
    kind. Returns by kind, and "held out" for our training pictures, scores (K, 3) in
    standard deviations of these.
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


def _rank(deviations: torch.Tensor, heard: list[int], has_floor: bool) -> torch.Tensor:
    """One number a picture, (K,), from the witnesses that are heard."""
    total = deviations[:, heard].sum(dim=1)
    return total - 1e3 * (deviations[:, LIKE] < -gate.FLOOR) if has_floor else total
