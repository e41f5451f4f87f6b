"""How gates do with dishes they have never met: the lesson's, and others tried."""

from collections.abc import Mapping

import torch
from torch.nn import functional as F
from torch.utils.data import TensorDataset

from benchmarks.plan import ROOT, SEED, Bench, progress
from benchmarks.report import Part, goal
from benchmarks.training import BATCH_SIZE, LITE2
from going_modular import engine, gate
from going_modular.datasets import make_loader
from going_modular.evaluation import HOPED_AUROC, HOPED_AWAY, MOST_OURS_AWAY
from going_modular.notebook_tools import set_seeds
from going_modular.ood_data import find_other_dishes, find_strangers
from going_modular.stored_features import Extractor

SETTINGS = engine.Settings(lr=1e-2, weight_decay=1e-2)  # what the lesson chooses
LIKE, SURE, SECOND = "knn_similarity", "confidence", "second head"
# What a gate listens to, in standard deviations of our own held-out pictures, added up;
# and whether what is hardly familiar is turned away whatever the others say.
WAYS = {
    "familiarity alone (the lesson's first gate)": ([LIKE], False),
    "confidence alone": ([SURE], False),
    "confidence and familiarity (no other dishes needed)": ([SURE, LIKE], True),
    "a second head that has met other dishes": ([SECOND], False),
    "the same, and familiarity as a floor": ([SECOND], True),
    "all three": ([LIKE, SURE, SECOND], True),
    "confidence and second head, familiarity as a floor (the lesson's gate)": (
        [SURE, SECOND],
        True,
    ),
}


def measure(bench: Bench) -> Part:
    """Judge every way on every other dish, each by a gate that has not met it."""
    progress("training a head, and gates that leave one dish out")
    built = LITE2.build(len(bench.class_names))
    train, test = (
        engine.store_features(
            built.model.base, make_loader(half, batch_size=BATCH_SIZE)
        )
        for half in bench.datasets(built.transform)
    )
    logits = engine.cross_validate(built.model.head, train, settings=SETTINGS).logits
    right = logits.argmax(dim=1) == train.tensors[1]
    set_seeds(SEED)  # as the lesson does, so that this is the lesson's head
    head = engine.fresh_copy(built.model.head)
    engine.train(head, engine.feature_loader(train, seed=SEED), settings=SETTINGS)
    others = find_other_dishes(
        built,
        LITE2.slug,
        ROOT / "data",
        ours=bench.class_names,
        is_practice=bench.pictures.is_practice,
    )
    far = torch.from_numpy(Extractor(built)(list(find_strangers()))[0])
    asked = {"ours": test.tensors[0], "far": far}
    total = {"near": len(others.test), "ours": len(test), "far": len(far)}
    ranks = {way: {kind: [] for kind in total} for way in WAYS}
    for dish in others.names:
        met = others.without(dish).train.tensors[0]
        now = {"near": others.test_of(dish)} | asked
        deviations = listen(head, train, logits, met, now)
        for way, (heard, has_floor) in WAYS.items():
            held_out, *rows = (rank(d, heard, has_floor) for d in deviations.values())
            usable = held_out[right] if right.any() else held_out
            line = gate.threshold_at_tpr(usable, gate.KEPT)
            for kind, scores in zip(now, rows, strict=True):
                ranks[way][kind].append(scores - line)
    judged = {way: judge(kinds) for way, kinds in ranks.items()}
    *_, lessons = judged.values()
    return {
        "goals": goals(*lessons, total),
        "on": bench.pictures.label,
        "label": others.label,
        "names": ", ".join(others.names),
        "total": total,
        "kept": gate.KEPT,
        "ways": [
            {
                "what the gate listens to": way,
                "never met, turned away": f"{sum(away['near'])} of {total['near']}",
                "AUROC": round(auroc, 2),
                "ours, turned away": _span(away["ours"], total["ours"]),
                "no food, turned away": _span(away["far"], total["far"]),
            }
            for way, (away, auroc) in judged.items()
        ],
    }


def _span(counts: list[int], total: int) -> str:
    return f"{min(counts)} to {max(counts)} of {total}"


@torch.inference_mode()
def listen(
    head: torch.nn.Module,
    train: TensorDataset,
    logits: torch.Tensor,
    met: torch.Tensor,
    asked: Mapping[str, torch.Tensor],
) -> dict[str, dict[str, torch.Tensor]]:
    """What the three witnesses say: the higher, the more a picture is one of ours.

    Args:
        head: Ours, trained.
        train: Features (N, D) and labels of our training pictures.
        logits: Of the same by heads that had not seen them, (N, C).
        met: Features of other dishes that the second head meets, (M, D).
        asked: Features of others by their kind.

    Returns:
        Scores by kind, our held-out pictures first, and by witness, all in standard
        deviations of these first ones.
    """
    rows, labels = train.tensors
    known, second = F.normalize(rows, dim=1), gate.fit_second_head(rows, labels, met)
    held_out = {
        LIKE: gate.knn_similarity(rows, known, leave_out_self=True),
        SURE: logits.amax(dim=1),
        SECOND: gate.held_out_second(rows, labels, met),
    }
    scores = {"held out": held_out}
    for kind, features in asked.items():
        scores[kind] = {
            LIKE: gate.knn_similarity(features, known),
            SURE: head(features).amax(dim=1),
            SECOND: second(gate.signed_sqrt(features)).amax(dim=1),
        }
    scale = {name: gate.middle_and_width(own) for name, own in held_out.items()}
    return {
        kind: {n: (s - scale[n][0]) / scale[n][1] for n, s in own.items()}
        for kind, own in scores.items()
    }


def rank(
    deviations: Mapping[str, torch.Tensor], heard: list[str], has_floor: bool
) -> torch.Tensor:
    """One number a picture, (N,), from the witnesses that are heard."""
    total = sum(deviations[name] for name in heard)
    return total - 1e3 * (deviations[LIKE] < -gate.FLOOR) if has_floor else total


def judge(
    ranks: Mapping[str, list[torch.Tensor]],
) -> tuple[dict[str, list[int]], float]:
    """How many each gate turned away, by kind; the AUROC of all gates together."""
    away = {kind: [int((r < 0).sum()) for r in own] for kind, own in ranks.items()}
    return away, gate.auroc(torch.cat(ranks["ours"]), torch.cat(ranks["near"]))


def goals(
    away: Mapping[str, list[int]], auroc: float, total: Mapping[str, int]
) -> list[dict[str, str]]:
    """What the lesson hoped its gate would reach, the worst of the gates counting."""
    near, ours, far = sum(away["near"]), max(away["ours"]), min(away["far"])
    return [
        goal(
            f"dishes never met: at least {HOPED_AWAY:.0%} turned away",
            f"{near} of {total['near']}",
            near >= HOPED_AWAY * total["near"],
        ),
        goal(
            f"dishes never met, told from ours: AUROC at least {HOPED_AUROC:.2f}",
            f"{auroc:.2f}",
            auroc >= HOPED_AUROC,
        ),
        goal(
            "no food: all turned away", f"{far} of {total['far']}", far == total["far"]
        ),
        goal(
            f"our test pictures: at most {MOST_OURS_AWAY:.0%} turned away",
            f"{ours} of {total['ours']}",
            ours <= MOST_OURS_AWAY * total["ours"],
        ),
    ]
