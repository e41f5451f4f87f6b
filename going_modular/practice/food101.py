"""A miniature Food-101 in the layout that torchvision reads: practice, drawn here.

Its 101 dishes are coloured plates with a bite. They stand in for 5 GB of photos where
the steps are to be tried, and say nothing about real food.
"""

import colorsys
import json
import random
from pathlib import Path

from PIL import Image, ImageDraw

from going_modular.files import whole

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
COUNTS = {"train": 6, "test": 3}  # of each class
SIZE = (64, 48)


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


def draw_food101(data_dir: Path, counts: dict[str, int] = COUNTS) -> Path:
    """Draw `food-101/`, as its archive unpacks, unless it is there already.

    Args:
        data_dir: Where it goes.
        counts: Pictures of each class, in each half.

    Returns:
        `data_dir`.

    Raises:
        FileError: If it cannot be written; nothing of it is kept then.
    """
    target = Path(data_dir) / "food-101"
    if not target.is_dir():
        with whole(target, "Drawing the practice dishes") as part:
            _draw(part, counts)
    return target.parent


def _draw(folder: Path, counts: dict[str, int]) -> None:
    meta = folder / "meta"
    meta.mkdir(parents=True)
    start = 0
    for half, count in counts.items():
        numbers = range(start, start + count)
        listed = {
            name: [f"{name}/{100_000 + 7 * number}" for number in numbers]
            for name in CLASS_NAMES
        }
        for label, names in enumerate(listed.values()):
            for seed, name in enumerate(names, start):
                file = folder / "images" / f"{name}.jpg"
                file.parent.mkdir(parents=True, exist_ok=True)
                draw_dish(label, seed).save(file, quality=90)
        (meta / f"{half}.json").write_text(json.dumps(listed))
        lines = [name for names in listed.values() for name in names]
        (meta / f"{half}.txt").write_text("\n".join(lines) + "\n")
        start += count
    (meta / "classes.txt").write_text("\n".join(CLASS_NAMES) + "\n")
    labels = [name.replace("_", " ").capitalize() for name in CLASS_NAMES]
    (meta / "labels.txt").write_text("\n".join(labels) + "\n")
