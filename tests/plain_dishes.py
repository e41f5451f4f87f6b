"""A tree in Food-101's format for tests: coloured plates with a bite."""

import colorsys
import json
import random
from pathlib import Path

from PIL import Image, ImageDraw

MADE_UP = [f"dish_{number:02}" for number in range(98)]
# As many as it has.
NAMES = ["apple_pie", *MADE_UP, "grilled_cheese_sandwich", "waffles"]
COUNTS = {"train": 6, "test": 3}  # of each class


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
