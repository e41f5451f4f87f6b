"""Make one demo's folder out of another's: the same app around another model."""

import os
import textwrap
from pathlib import Path

from going_modular.packaging import DeployError

TEXTS = (
    ".gitattributes",
    "README.md",
    "app.py",
    "feedback.py",
    "model.py",
    "requirements.txt",
    "safety.py",
    "style.css",
)
COMMENT = "<!-- name your own dishes here -->\n"
DISHES = "whether it looks like **pizza, steak or\nsushi**"


def write_big_demo(mini: Path, folder: Path, *, dishes: int = 101) -> Path:
    """Write FoodVision Big's app, which is FoodVision Mini's under another name.

    The class names come from the model file, so nothing but names changes, and the
    sentence of the README that names the dishes.

    Args:
        mini: FoodVision Mini's folder.
        folder: Where Big's goes; a model file or examples in it stay.
        dishes: How many the model knows.

    Returns:
        `folder`.

    Raises:
        DeployError: If a file is missing, or the README no longer has that sentence.
    """
    if missing := [name for name in TEXTS if not (mini / name).is_file()]:
        raise DeployError(
            f"{mini} lacks {', '.join(missing)}: run the cells that write it"
        )
    texts = {name: (mini / name).read_text("utf-8") for name in TEXTS}
    if DISHES not in texts["README.md"]:
        raise DeployError(
            f"{mini / 'README.md'} no longer says {DISHES!r}: write what it says now "
            f"into {Path(__file__).name}, so that Big's README can say something else"
        )
    texts["README.md"] = _rename_dishes(texts["README.md"], dishes)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        text = text.replace("FoodVision Mini", "FoodVision Big")
        text = text.replace("foodvision_mini", "foodvision_big")
        part = folder / f".{name}.{os.getpid()}.part"
        part.write_text(text, "utf-8", newline="\n")
        os.replace(part, folder / name)
    return folder


def _rename_dishes(readme: str, dishes: int) -> str:
    paragraphs = readme.replace(COMMENT, "").split("\n\n")
    for number, text in enumerate(paragraphs):
        if DISHES in text:
            said = text.replace(DISHES, f"which of **{dishes} dishes** it looks like")
            paragraphs[number] = textwrap.fill(said, 88)
    return "\n\n".join(paragraphs)
