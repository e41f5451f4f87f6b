"""Write the model card, models/README.md, from what the committed model file says.

Beside it, in gate_scores.json, stand the two scores that its gate gives test pictures.
"""

import json
import re
from pathlib import Path

import onnx
import torch
from jinja2 import StrictUndefined, Template
from onnx import numpy_helper

from going_modular.app.model import Predictor
from going_modular.companion import Mini, open_mini
from going_modular.datasets import find_strangers
from going_modular.evaluation import HOPED_AUROC, HOPED_AWAY, say_count
from going_modular.files import atomic_write
from going_modular.gate import leave_one_dish_out, make_gate

MODELS = Path(__file__).resolve().parents[1] / "models"
MODEL, CARD = MODELS / "foodvision_mini.onnx", MODELS / "README.md"
SCORES = MODELS / "gate_scores.json"
TEMPLATE = Path(__file__).with_suffix(".md.j2")


def describe(model: Path) -> str:
    """The card of a model file that has met other dishes, as Markdown."""
    about, template = Predictor(model).about, TEMPLATE.read_text("utf-8")
    near = about.gate["near"].values()
    strict = {"undefined": StrictUndefined, "keep_trailing_newline": True}
    return Template(template, **strict).render(
        about=about,
        gate=about.gate,
        near=[sum(counts) for counts in zip(*near, strict=True)],
        megabytes=model.stat().st_size / 1e6,
        count=say_count,
        hoped_auroc=HOPED_AUROC,
        hoped_away=HOPED_AWAY,
    )


def gate_scores(mini: Mini) -> dict[str, list]:
    """Pairs of knn_similarity and in_distribution_score, and both thresholds.

    They are of our test pictures, other dishes and no food. Other dishes are judged by
    gates that had not met them, whose thresholds differ a little: their scores are
    moved by as much.
    """
    (ours, logits), head = (mini.photos.train, mini.cv.logits), mini.built.model.head
    stored = {tensor.name: tensor for tensor in onnx.load(mini.file).graph.initializer}
    for name, weights in head.named_parameters():  # the file's own, not trained anew
        weights.data = torch.tensor(numpy_helper.to_array(stored[f"model.head.{name}"]))
    test, others = mini.photos.test.tensors[0], mini.others
    gate, thresholds = make_gate(*ours.tensors, logits, others.train.tensors[0])
    judged = leave_one_dish_out(ours, logits, others, head=head, test=test)
    line, dishes = thresholds.in_distribution_score, []
    with torch.inference_mode():
        for dish, result in judged.items():
            likeness, _ = gate(rows := others.test_of(dish), head(rows))
            rank = result.rank + (likeness < thresholds.knn_similarity)
            dishes += zip(likeness.tolist(), (rank + line).tolist(), strict=True)
        tests = torch.stack(gate(test, head(test)), dim=1).tolist()
    far = [mini.predictor.predict(file) for file in find_strangers()]
    return {
        "thresholds": [thresholds.knn_similarity, line],
        "ours": tests,
        "other dishes": dishes,
        "no food": [[a.knn_similarity, a.in_distribution_score] for a in far],
    }


def write_card() -> None:
    """Write the card of the committed model, and its scores, each all or nothing."""
    scores = json.dumps(gate_scores(open_mini(needs_others=True)))
    scores = re.sub(r"\d+\.\d+", lambda found: f"{float(found[0]):.4f}", scores)
    for file, text in ((CARD, describe(MODEL)), (SCORES, f"{scores}\n")):
        with atomic_write(file) as part:
            part.write_text(text, "utf-8", newline="\n")


if __name__ == "__main__":
    write_card()
