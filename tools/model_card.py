"""Write the model card, models/README.md, from what the committed model file says."""

from pathlib import Path

from jinja2 import StrictUndefined, Template

from going_modular.app.model import Predictor
from going_modular.evaluation import HOPED_AUROC, HOPED_AWAY, say_count
from going_modular.files import atomic_write

MODELS = Path(__file__).resolve().parents[1] / "models"
MODEL, CARD = MODELS / "foodvision_mini.onnx", MODELS / "README.md"
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


def write_card() -> None:
    """Write the card of the committed model, all or nothing."""
    with atomic_write(CARD) as part:
        part.write_text(describe(MODEL), "utf-8", newline="\n")


if __name__ == "__main__":
    write_card()
