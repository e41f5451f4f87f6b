"""A miniature Food-101, in its own format: practice, drawn here.

Its dishes are coloured plates with a bite. They stand in for 5 GB of photos where the
steps are to be tried, and say nothing about real food.
"""

import colorsys
import json
import random
import shutil
from pathlib import Path

from PIL import Image, ImageDraw

from going_modular.files import FileError, atomic_write
from going_modular.practice.pictures import MARKER

NAMES = """
apple_pie baby_back_ribs baklava beef_carpaccio beef_tartare beet_salad beignets
bibimbap bread_pudding breakfast_burrito bruschetta caesar_salad cannoli caprese_salad
carrot_cake ceviche cheese_plate cheesecake chicken_curry chicken_quesadilla
chicken_wings chocolate_cake chocolate_mousse churros clam_chowder club_sandwich
crab_cakes creme_brulee croque_madame cup_cakes deviled_eggs donuts dumplings edamame
eggs_benedict escargots falafel filet_mignon fish_and_chips foie_gras french_fries
french_onion_soup french_toast fried_calamari fried_rice frozen_yogurt garlic_bread
gnocchi greek_salad grilled_cheese_sandwich grilled_salmon guacamole gyoza hamburger
hot_and_sour_soup hot_dog huevos_rancheros hummus ice_cream lasagna lobster_bisque
lobster_roll_sandwich macaroni_and_cheese macarons miso_soup mussels nachos omelette
onion_rings oysters pad_thai paella pancakes panna_cotta peking_duck pho pizza pork_chop
poutine prime_rib pulled_pork_sandwich ramen ravioli red_velvet_cake risotto samosa
sashimi scallops seaweed_salad shrimp_and_grits spaghetti_bolognese spaghetti_carbonara
spring_rolls steak strawberry_shortcake sushi tacos takoyaki tiramisu tuna_tartare
waffles
"""
CLASS_NAMES = sorted(NAMES.split())
DISHES = 25  # of those, unless told otherwise: all steps, sooner done
COUNTS = {"train": 6, "test": 3}  # of each class
SIZE = (64, 48)
DRAWING_VERSION = 2  # raise it when the drawing changes, so old folders are redrawn
# All that this version and the first, which had no marker, ever wrote.
DRAWN = (MARKER, "meta/*", "images/*/10????.jpg", "food-101-features/features-*.npy")


def draw_dish(label: int, seed: int) -> Image.Image:
    """A class is a colour of the plate and a place of the bite; the seed moves both."""
    numbers = random.Random(1000 * label + seed)
    hue = (label % 25) / 25 + numbers.uniform(-0.005, 0.005)
    plate = colorsys.hsv_to_rgb(hue % 1, 0.9, 0.9)
    picture = Image.new("RGB", SIZE, "white")
    pen = ImageDraw.Draw(picture)
    pen.ellipse((4, 2, 60, 46), fill=tuple(round(255 * part) for part in plate))
    left, top = 16 + 16 * (label // 25 % 3), 12 + 12 * (label // 75)
    left, top = left + numbers.randint(-2, 2), top + numbers.randint(-2, 2)
    pen.rectangle((left, top, left + 9, top + 9), fill="black")
    return picture


def draw_food101(
    folder: Path, counts: dict[str, int] = COUNTS, *, dishes: int = DISHES
) -> Path:
    """Draw `images/` and `meta/`, as in Food-101, and the marker file.

    All or nothing. A complete folder of the same dishes and counts is kept.

    Args:
        folder: Where they go; drawn anew if another miniature is there.
        counts: Pictures of each class, in each half.
        dishes: Classes, picked evenly from Food-101's.

    Returns:
        `folder`.

    Raises:
        FileError: If it cannot be written, of which nothing is kept then; or if
            `folder` holds anything that was not drawn here.
        ValueError: If the dishes are fewer than two or more than Food-101's.
    """
    if not 2 <= dishes <= len(CLASS_NAMES):
        raise ValueError(f"dishes must be 2 to {len(CLASS_NAMES)}, not {dishes}")
    folder = Path(folder)
    labels = [number * len(CLASS_NAMES) // dishes for number in range(dishes)]
    listed, note = _listed(labels, counts), _marker_text(counts, dishes)
    if not _is_complete(folder, listed, note):
        _check_replaceable(folder)
        with atomic_write(folder, "Drawing the practice dishes") as part:
            _draw(part, listed)
            (part / MARKER).write_text(note, encoding="utf-8")
            if folder.exists() and not _is_complete(folder, listed, note):
                shutil.rmtree(folder)
    return folder


def _listed(
    labels: list[int], counts: dict[str, int]
) -> dict[str, dict[str, list[str]]]:
    """What meta/ says: each half's classes and their pictures."""
    listed, start = {}, 0
    for half, count in counts.items():
        ids = [100_000 + 7 * number for number in range(start, start + count)]
        names = [CLASS_NAMES[label] for label in labels]
        listed[half] = {name: [f"{name}/{own}" for own in ids] for name in names}
        start += count
    return listed


def _draw(folder: Path, listed: dict[str, dict[str, list[str]]]) -> None:
    meta = folder / "meta"
    meta.mkdir(parents=True)
    for half, classes in listed.items():
        for class_name, names in classes.items():
            (folder / "images" / class_name).mkdir(parents=True, exist_ok=True)
            for name in names:
                seed = (int(name.split("/")[1]) - 100_000) // 7
                picture = draw_dish(CLASS_NAMES.index(class_name), seed)
                picture.save(folder / "images" / f"{name}.jpg", quality=90)
        (meta / f"{half}.json").write_text(json.dumps(classes), encoding="utf-8")


def _marker_text(counts: dict[str, int], dishes: int) -> str:
    """What the marker file says; it tells one miniature from another."""
    return (
        "These pictures are drawn by going_modular/practice/food101.py.\n"
        "They are no photos: scores on them say nothing about real food.\n"
        f"dishes: {dishes}, of each: {counts}, drawing version: {DRAWING_VERSION}\n"
    )


def _is_complete(
    folder: Path, listed: dict[str, dict[str, list[str]]], note: str
) -> bool:
    """Whether the folder holds exactly this miniature."""
    marker = folder / MARKER
    if not marker.is_file() or marker.read_text(encoding="utf-8") != note:
        return False
    files = [folder / "meta" / f"{half}.json" for half in listed]
    for classes in listed.values():
        names = (name for names in classes.values() for name in names)
        files += [folder / "images" / f"{name}.jpg" for name in names]
    return all(file.is_file() for file in files)


def _check_replaceable(folder: Path) -> None:
    """Refuse to replace a folder with anything in it that was not drawn here."""
    if folder.exists() and not folder.is_dir():
        raise FileError(f"{folder} is a file. Move it and run this again.")
    for path in sorted(folder.rglob("*")) if folder.exists() else []:
        if path.is_file() and not any(path.match(drawn) for drawn in DRAWN):
            raise FileError(
                f"{folder} holds {path.relative_to(folder)}, which was not drawn here. "
                "Move it, or choose another folder, and run this again."
            )
