"""How gates do with dishes they have never met: the lesson's, and others tried."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch.nn import functional as F
from torch.utils.data import TensorDataset

from benchmarks.plan import ROOT, SEED, Bench, progress
from benchmarks.report import Goal, Part
from benchmarks.training import LITE2
from going_modular import engine, gate
from going_modular.datasets import make_loader
from going_modular.drawn import drawn_pictures
from going_modular.evaluation import HOPED_AUROC, HOPED_AWAY, MOST_OURS_AWAY
from going_modular.model_builder import Built
from going_modular.notebook_tools import set_seeds
from going_modular.ood_data import (
    StoredFeatures,
    find_other_dishes,
    find_strangers,
    from_folder,
)
from going_modular.stored_features import Extractor

SETTINGS = engine.Settings(lr=1e-2, weight_decay=1e-2)  # what the lesson chooses
BATCH_SIZE = 4
# What a gate listens to, in standard deviations of our own held-out pictures, added up;
# and whether what is hardly familiar is turned away whatever the others say.
WAYS = {
    "familiarity alone (the lesson's first gate)": (["knn_similarity"], False),
    "confidence alone": (["confidence"], False),
    "confidence and familiarity (no other dishes needed)": (
        ["confidence", "knn_similarity"],
        True,
    ),
    "a second head that has met other dishes": (["second head"], False),
    "the same, and familiarity as a floor": (["second head"], True),
    "all three": (["knn_similarity", "confidence", "second head"], True),
    "confidence and second head, familiarity as a floor (the lesson's gate)": (
        ["confidence", "second head"],
        True,
    ),
}
OURS = list(WAYS)[-1]


class Witness(NamedTuple):
    """Something that tells our pictures from strangers: the higher, the more ours.

    Attributes:
        held_out: Its scores of our training pictures, not seen before, (N,).
        ask: Gives the scores (M,) of features (M, D).
    """

    held_out: torch.Tensor
    ask: Callable[[torch.Tensor], torch.Tensor]

    def deviations(self, scores: torch.Tensor) -> torch.Tensor:
        middle, width = gate.middle_and_width(self.held_out)
        return (scores - middle) / width


class Judged(NamedTuple):
    """What one way did, all other dishes together, each by a gate without it."""

    away: int
    total: int
    auroc: float
    ours_away: list[int]
    far_away: list[int]


def measure(bench: Bench) -> Part:
    """Judge every way on every other dish."""
    progress("training a head, and gates that leave one dish out")
    built = LITE2.build(len(bench.class_names))
    train, test = (
        engine.store_features(
            built.model.base, make_loader(half, batch_size=BATCH_SIZE)
        )
        for half in bench.datasets(built.transform)
    )
    trial = engine.cross_validate(built.model.head, train, settings=SETTINGS)
    set_seeds(SEED)  # as the lesson does, so that this is the lesson's head
    head = engine.fresh_copy(built.model.head)
    engine.train(head, engine.feature_loader(train, seed=SEED), settings=SETTINGS)
    others = _others(bench, built)
    far = torch.from_numpy(Extractor(built)(list(find_strangers()))[0])
    right = trial.logits.argmax(dim=1) == train.tensors[1]
    asked = {"ours": test.tensors[0], "far": far}
    with torch.inference_mode():
        gates = {
            dish: witnesses(head, train, trial.logits, others.without(dish))
            for dish in others.names
        }
        judged = {
            name: judge(*way, gates, right, others, asked) for name, way in WAYS.items()
        }
        by_dish = {
            dish: judge(*WAYS[OURS], {dish: gates[dish]}, right, others, asked)
            for dish in others.names
        }
    facts = {
        "judged": judged,
        "others": others,
        "ours": len(test),
        "far": len(far),
        "by_dish": by_dish,
    }
    return facts, goals(judged[OURS], facts)


def _others(bench: Bench, built: Built) -> StoredFeatures:
    """The stored features of other dishes, or drawn ones on practice pictures."""
    if not bench.pictures.is_practice:
        names = bench.class_names
        return find_other_dishes(built, LITE2.slug, ROOT / "data", ours=names)
    folder = drawn_pictures() / "other_dishes"
    return from_folder(built, folder, is_practice=True, batch_size=BATCH_SIZE)


def witnesses(
    head: torch.nn.Module,
    train: TensorDataset,
    logits: torch.Tensor,
    met: StoredFeatures,
) -> dict[str, Witness]:
    """The three witnesses; the second head meets some other dishes."""
    rows, labels = train.tensors
    known, others = F.normalize(rows, dim=1), met.train.tensors[0]
    second = gate.fit_second_head(rows, labels, others)
    return {
        "knn_similarity": Witness(
            gate.knn_similarity(rows, known, leave_out_self=True),
            lambda asked: gate.knn_similarity(asked, known),
        ),
        "confidence": Witness(
            logits.amax(dim=1), lambda asked: head(asked).amax(dim=1)
        ),
        "second head": Witness(
            gate.held_out_second(rows, labels, others),
            lambda asked: second(gate.signed_sqrt(asked)).amax(dim=1),
        ),
    }


def judge(
    heard: list[str],
    has_floor: bool,
    gates: dict[str, dict[str, Witness]],
    right: torch.Tensor,
    others: StoredFeatures,
    asked: dict[str, torch.Tensor],
) -> Judged:
    """Let a gate a dish, which has not met it, judge the dish, ours, and far ones."""
    ranks = {"near": [], "ours": [], "far": []}
    for dish, own in gates.items():

        def rank(score, own=own):
            """Scores by a function of a witness, put together; the gate's line is 0."""
            total = sum(own[name].deviations(score(own[name])) for name in heard)
            alike = own["knn_similarity"].deviations(score(own["knn_similarity"]))
            return total - 1e3 * (alike < -gate.FLOOR) if has_floor else total

        ours = rank(lambda own: own.held_out)
        line = gate.threshold_at_tpr(ours[right] if right.any() else ours, gate.KEPT)
        for kind, rows in ({"near": others.test_of(dish)} | asked).items():
            ranks[kind].append(rank(lambda own, rows=rows: own.ask(rows)) - line)
    near = torch.cat(ranks["near"])
    return Judged(
        away=int((near < 0).sum()),
        total=len(near),
        auroc=gate.auroc(torch.cat(ranks["ours"]), near),
        ours_away=[int((one < 0).sum()) for one in ranks["ours"]],
        far_away=[int((one < 0).sum()) for one in ranks["far"]],
    )


def goals(judged: Judged, facts: dict) -> list[Goal]:
    """What the lesson hoped its gate would reach, the worst of the gates counting."""
    far, ours = min(judged.far_away), max(judged.ours_away)
    return [
        Goal(
            f"dishes never met: at least {HOPED_AWAY:.0%} turned away",
            f"{judged.away} of {judged.total}",
            judged.away >= HOPED_AWAY * judged.total,
        ),
        Goal(
            f"dishes never met, told from ours: AUROC at least {HOPED_AUROC:.2f}",
            f"{judged.auroc:.2f}",
            judged.auroc >= HOPED_AUROC,
        ),
        Goal(
            "no food: all turned away",
            f"{far} of {facts['far']}",
            far == facts["far"],
        ),
        Goal(
            f"our test pictures: at most {MOST_OURS_AWAY:.0%} turned away",
            f"{ours} of {facts['ours']}",
            ours <= MOST_OURS_AWAY * facts["ours"],
        ),
    ]
