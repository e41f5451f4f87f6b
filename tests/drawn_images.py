"""Drawn practice pictures for tests: one as an image, or a few as a folder."""

import io
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from going_modular.drawn import CLASS_NAMES, MARKER, drawn_files, drawn_pictures

# What the app, the browser's page and every server have to answer.
GOLDEN = Path(__file__).with_name("golden.json")


def drawn_image(
    name: str, number: int, size: tuple[int, int] | None = None
) -> Image.Image:
    """A picture of a dish, the test pictures first; stretched to a size, if given."""
    file = [*drawn_files(name, "test"), *drawn_files(name, "train")][number]
    with Image.open(file) as picture:
        return picture.resize(size) if size else picture.copy()


def golden_pictures() -> list[dict]:
    """Pictures that are drawn or of one colour, as PNG "file"s, and their answers."""
    pictures = json.loads(GOLDEN.read_text("utf-8"))["pictures"]
    for golden in pictures:
        first, *rest = golden["picture"]
        if isinstance(first, str):
            image = drawn_image(first, *rest, (400, 380))
        else:
            image = Image.new("RGB", (400, 300), (first, *rest))
        file = io.BytesIO()
        image.save(file, "PNG")
        golden["file"] = file.getvalue()
    return pictures


def copy_few(
    folder: Path, train: int, test: int, names: Sequence[str] = CLASS_NAMES
) -> Path:
    """Copy the first pictures of each dish into train/ and test/, with the marker."""
    for split, count in (("train", train), ("test", test)):
        for name in names:
            (folder / split / name).mkdir(parents=True)
            for file in drawn_files(name, split)[:count]:
                shutil.copyfile(file, folder / split / name / file.name)
    shutil.copyfile(drawn_pictures() / "dishes" / MARKER, folder / MARKER)
    return folder
