"""Drawn practice pictures for tests, and plates with a bite in Food-101's format."""

import colorsys
import io
import json
import random
import shutil
from pathlib import Path

from PIL import Image, ImageDraw

from going_modular.drawn import CLASS_NAMES, MARKER, drawn_files, drawn_pictures

# What the app, the browser's page and every server have to answer.
GOLDEN = Path(__file__).with_name("golden.json")
MADE_UP = [f"dish_{number:02}" for number in range(98)]
# Classes: as many as Food-101 has.
NAMES = ["apple_pie", *MADE_UP, "grilled_cheese_sandwich", "waffles"]
COUNTS = {"train": 6, "test": 3}  # of each class


def as_bytes(image: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def drawn_image(name: str, number: int, size: tuple | None = None) -> Image.Image:
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
        golden["file"] = as_bytes(image, "PNG")
    return pictures


def copy_few(folder: Path, train: int, test: int, names=CLASS_NAMES) -> Path:
    """Copy the first pictures of each dish into train/ and test/, with the marker."""
    for split, count in (("train", train), ("test", test)):
        for name in names:
            (folder / split / name).mkdir(parents=True)
            for file in drawn_files(name, split)[:count]:
                shutil.copyfile(file, folder / split / name / file.name)
    shutil.copyfile(drawn_pictures() / "dishes" / MARKER, folder / MARKER)
    return folder


def plate(label: int, seed: int) -> Image.Image:
    """A class is a colour of the plate and a place of the bite; the seed moves both."""
    numbers = random.Random(1000 * label + seed)
    hue = (label % 25) / 25 + numbers.uniform(-0.005, 0.005)
    colour = colorsys.hsv_to_rgb(hue % 1, 0.9, 0.9)
    picture = Image.new("RGB", (64, 48), "white")
    pen = ImageDraw.Draw(picture)
    pen.ellipse((4, 2, 60, 46), fill=tuple(round(255 * part) for part in colour))
    left, top = 16 + 16 * (label // 25 % 3), 12 + 12 * (label // 75)
    left, top = left + numbers.randint(-2, 2), top + numbers.randint(-2, 2)
    pen.rectangle((left, top, left + 9, top + 9), fill="black")
    return picture


def write_dishes(folder: Path, counts: dict[str, int] = COUNTS, *, dishes: int) -> Path:
    """Write `images/` and `meta/` of so many dishes, picked evenly from `NAMES`."""
    labels = [number * len(NAMES) // dishes for number in range(dishes)]
    (folder / "meta").mkdir(parents=True)
    start = 0
    for half, count in counts.items():
        listing = {NAMES[label]: [] for label in labels}
        for label in labels:
            (folder / "images" / NAMES[label]).mkdir(parents=True, exist_ok=True)
            for seed in range(start, start + count):
                name = f"{NAMES[label]}/{100_000 + 7 * seed}"
                plate(label, seed).save(folder / "images" / f"{name}.jpg", quality=90)
                listing[NAMES[label]].append(name)
        (folder / "meta" / f"{half}.json").write_text(json.dumps(listing))
        start += count
    return folder
