"""Sushi: nigiri, rolls and boats."""

import numpy as np

from going_modular.practice.drawing import Scene
from going_modular.practice.shapes import TURN, blob, disc, oblong, shade, tones
from going_modular.practice.table import dip_bowl, gloss

RICE = ("#d3cfc4", "#f4f1ea", "#ffffff")
NORI = ("#0b120e", "#18241c", "#2d3c30")
SALMON = ("#e8622a", "#f88a4c", "#ffb07a")
CUCUMBER = ("#6e9c3c", "#b8d67c", "#e0efb4")
AVOCADO = ("#4f8a34", "#86b84e", "#c4dc86")
TUNA = ("#a81e2c", "#cf3a44", "#e86a6a")
OMELETTE = ("#e0a41e", "#f5cc4a", "#ffe68a")
FILLINGS = [SALMON, TUNA, AVOCADO, CUCUMBER, OMELETTE]
FISH = [
    (SALMON, "#ffe0c8"), (SALMON, "#ffe0c8"),
    (("#9c1828", "#c2303c", "#dc5a5e"), "#e88a88"),
    (("#f0d6c8", "#faeae0", "#ffffff"), "#e8b4a4"),
]  # fmt: skip


def sushi(s: Scene) -> None:
    """Serve nigiri, rolls or a mixed board, with wasabi and ginger."""
    pieces = s.pick([[nigiri], [maki], [uramaki], [nigiri, maki], [nigiri, uramaki],
                     [nigiri, maki, gunkan], [maki, uramaki, gunkan]])  # fmt: skip
    with s.at(turn=s.rng.normal(0, 0.25), size=s.between(0.95, 1.1)):
        for row, y in enumerate((-0.62, 0.02, 0.64)):
            make = pieces[row % len(pieces)]
            style = make(s)
            wide = 0.42 if make is nigiri else 0.45
            count = s.pick([2, 3] if row == 2 else [4, 4, 3])
            for i in range(count):
                x = (i - 1.5) * wide + s.rng.normal(0, 0.015)
                with s.at(x, y + s.rng.normal(0, 0.015), turn=s.rng.normal(0, 0.06)):
                    style()
            if row == 2:
                with s.at(0.62, y + 0.02):
                    s.pick([wasabi_and_ginger, wasabi_and_ginger, soy])(s)


def nigiri(s: Scene):
    """Choose a topping and return what draws a nigiri that lies along the y axis."""
    kind = s.pick(["fish", "fish", "fish", "shrimp", "egg"])
    palette, stripe = s.pick(FISH)

    def draw() -> None:
        rice = oblong(0.15, 0.27, power=3)
        s.shadow(rice * 1.05, 0.16, alpha=0.6)
        s.lump(rice, RICE, height=0.13, plump=0.06, grain="speckle", fine=0.4)
        with s.at(z=0.13):
            if kind == "shrimp":
                shrimp(s)
            elif kind == "egg":
                egg(s)
            else:
                fish(s, palette, stripe)

    return draw


def fish(s: Scene, palette, stripe: str) -> None:
    """Lay a slice of raw fish over the rice."""
    slab = oblong(0.175, 0.32, power=3.2)
    s.lump(slab, palette, height=0.05, plump=0.06)
    with s.inside(slab, z=0.05):
        x = np.linspace(-0.2, 0.2, 8)
        low = np.stack([x, 1.6 * x * x + 0.3 * x], axis=1)
        band = np.vstack([low, low[::-1] + (0, 0.018)])
        bands = [band + (0, y) for y in np.arange(-0.4, 0.4, 0.095)]
        s.stain(np.array(bands), stripe, alpha=0.85, soft=0.004, z=0.05)
    shine = oblong(0.03, 0.17)
    shift = s.light * s.pixels(0.07)
    s.stain(shine, "#ffffff", alpha=0.45, soft=0.02, z=0.06, shift=shift)


def shrimp(s: Scene) -> None:
    """Lay a cooked shrimp over the rice."""
    for side in (-0.07, 0.07):
        with s.at(side, -0.36, turn=-side * 4):
            s.lump(oblong(0.05, 0.12), tones("#d8401c"), z=0.03, plump=0.03)
    body = oblong(0.15, 0.3)
    s.lump(body, ("#f6c8a8", "#fde6d6", "#fffaf4"), height=0.06, plump=0.07)
    with s.inside(body, z=0.06):
        places = [(x, y) for x in (-0.09, 0.09) for y in np.arange(-0.3, 0.3, 0.1)]
        marks = np.array([oblong(0.08, 0.028) + place for place in places])
        s.stain(marks, "#f0703a", alpha=0.9, soft=0.012, z=0.06)
        s.stain(oblong(0.01, 0.28), "#d86a48", alpha=0.7, soft=0.008, z=0.06)


def egg(s: Scene) -> None:
    """Lay a slice of omelette over the rice, held by a band of seaweed."""
    slab = oblong(0.17, 0.31, power=7)
    s.lump(slab, ("#e8b030", "#f8d45c", "#fde68c"), height=0.09, plump=0.03)
    s.lump(oblong(0.18, 0.05, power=9), NORI, z=0.01, height=0.09, plump=0.02)


def maki(s: Scene):
    """Choose a filling and return what draws a roll with seaweed outside."""
    fillings = [s.pick(FILLINGS) for _ in range(s.pick([1, 1, 2, 3]))]

    def draw() -> None:
        s.shadow(disc(0.2), 0.2, alpha=0.6)
        s.lump(disc(0.2), NORI, height=0.2, plump=0.02, grain="speckle")
        s.lump(blob(s.rng, 0.175, wobble=0.03), RICE, z=0.2, plump=0.03,
               grain="speckle", fine=0.4)  # fmt: skip
        fill_roll(s, fillings, 0.2)

    return draw


def uramaki(s: Scene):
    """Choose what is in and on it; return what draws a roll with rice outside."""
    fillings = [s.pick(FILLINGS) for _ in range(s.pick([2, 2, 3]))]
    coat = s.pick(
        [("#e8d9b0", "#2a241c"), ("#f07a24", "#ff9c4a"), ("#f4f1ea", "#d8c08a")]
    )

    def draw() -> None:
        s.shadow(disc(0.22), 0.2, alpha=0.6)
        s.lump(blob(s.rng, 0.22, wobble=0.03), RICE, height=0.19, plump=0.05,
               grain="speckle", fine=0.4)  # fmt: skip
        for colour in coat:
            angle = s.rng.uniform(0, TURN, (14, 1, 1))
            spots = np.concatenate([np.cos(angle), np.sin(angle)], axis=2)
            spots = spots * s.rng.uniform(0.18, 0.212, (14, 1, 1)) + disc(0.017)
            z = s.rng.uniform(0.08, 0.19, (14, 1))
            s.stain(spots, colour, alpha=1, soft=0.003, z=z)
        s.lump(disc(0.145), NORI, z=0.19)
        s.lump(disc(0.128), RICE, z=0.19, grain="speckle")
        fill_roll(s, fillings, 0.19)

    return draw


def fill_roll(s: Scene, fillings, z: float) -> None:
    """Draw the fillings in the middle of a roll."""
    spread = 0.0 if len(fillings) == 1 else 0.05
    for i, palette in enumerate(fillings):
        angle = i * TURN / len(fillings) + 0.5
        spot = spread * np.array([np.cos(angle), np.sin(angle)])
        bit = blob(s.rng, 0.085 if len(fillings) == 1 else 0.055, wobble=0.06)
        s.lump(bit + spot, palette, z=z, plump=0.025)


def gunkan(s: Scene):
    """Return what draws a boat of seaweed and rice with roe on top."""
    colour = s.pick(["#f06a1c", "#f06a1c", "#e03418", "#f2a51e"])

    def draw() -> None:
        boat = oblong(0.17, 0.27)
        s.shadow(boat, 0.2, alpha=0.6)
        s.lump(boat, NORI, height=0.22, plump=0.02, grain="speckle")
        s.lump(boat * 0.88, tones(shade(colour, 0.6)), z=0.2)
        spots = s.rng.uniform(-1, 1, (34, 2))
        for x, y in sorted(spots[np.hypot(*spots.T) < 1], key=lambda spot: spot[1]):
            with s.at(x * 0.13, y * 0.22):
                s.lump(disc(0.042), tones(colour, 0.2), z=0.23, plump=0.02)
                gloss(s, 0.042, z=0.23, alpha=0.9)

    return draw


def wasabi_and_ginger(s: Scene) -> None:
    """Draw a blob of wasabi and a few slices of pickled ginger."""
    heap = blob(s.rng, 0.12)
    s.shadow(heap, 0.06)
    s.lump(heap, ("#7da03c", "#a5c45c", "#c6dc86"), height=0.05, plump=0.06)
    for x, y in s.rng.normal(0, 0.06, (6, 2)):
        slip = blob(s.rng, 0.1, wobble=0.25) + (x - 0.05, y + 0.27)
        s.lump(slip, ("#f0a8a0", "#f8cfc4", "#fff0ea"), z=0.03, plump=0.03)


def soy(s: Scene) -> None:
    """Draw a bowl of soy sauce."""
    dip_bowl(s, "#2b130a")
