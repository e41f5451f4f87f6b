"""Tables, plates, cutlery and side things, shared by all dishes."""

import numpy as np

from going_modular.practice.drawing import Scene
from going_modular.practice.shapes import (
    TURN,
    disc,
    oblong,
    sector,
    shade,
    tones,
)

WOODS = [
    ("#5d3a1e", "#8f6038", "#b98a58"), ("#3a2618", "#553822", "#745033"),
    ("#a8865c", "#cdb088", "#e8d3b0"), ("#7d7468", "#a39a8c", "#c9c2b6"),
]  # fmt: skip
CLOTHS = ["#f3efe6", "#c9423a", "#3d6aa3", "#5c8f63", "#d9c9a8", "#6b7078", "#e3b04b"]
STONES = [("#d8d5d0", "#efedea", "#ffffff"), ("#23262a", "#33373c", "#4a4f55")]
CHINA = ["#f7f5f0", "#f3ead8", "#dfe8ee", "#3b4046", "#5d7f8c", "#c7b299", "#f7f5f0"]
STEEL = ("#8d949a", "#c2c8cd", "#eef1f3")
GREENS = ("#1f4d1c", "#3f8130", "#74b04e")
RED_FRUIT = ("#9c1410", "#d42a1c", "#f0583c")
CREAM = ("#e5d6ae", "#f6ecd0", "#fffaf0")
GOLD = ("#c98a2a", "#e9b84e", "#f9dc86")
CHOPSTICKS = {  # how often each dish is served with them
    "pizza": 0.06, "steak": 0.12, "sushi": 0.6, "fried_eggs": 0.06, "noodles": 0.3,
    "pancakes": 0.06, "salad": 0.12, "soup": 0.2,
}  # fmt: skip


def lay_table(s: Scene) -> None:
    """Cover the picture with wooden planks, a cloth or stone."""
    kind = s.pick(["wood", "wood", "cloth", "check", "stone"])
    turn = s.between(-0.6, 0.6)
    if kind == "wood":
        s.backdrop(s.pick(WOODS), grain="streak", fine=s.between(0.4, 0.7), turn=-turn)
        with s.at(turn=turn + TURN / 4):
            for x in np.arange(-4, 4, s.between(0.45, 0.8)):
                s.line([(x, -4), (x, 4)], 0.02, "#2a1a10")
    elif kind == "stone":
        s.backdrop(s.pick(STONES), grain="smooth", fine=0.5)
    else:
        colour = s.pick(CLOTHS)
        s.backdrop(tones(colour, 0.06), grain="speckle", fine=0.6)
        if kind == "check":
            with s.at(turn=turn):
                weave(s, shade(colour, 0.72 if colour < "#e" else 0.85))


def weave(s: Scene, colour: str) -> None:
    """Draw the stripes of a checked cloth."""
    step = s.between(0.3, 0.5)
    half = step / 4
    down = [
        [(x - half, -4), (x + half, -4), (x + half, 4), (x - half, 4)]
        for x in np.arange(-4, 4, step)
    ]
    for stripes in (np.array(down), np.array(down)[..., ::-1]):
        s.stain(stripes, colour, alpha=0.55, soft=0)


def lay_ware(s: Scene, kind: str) -> float:
    """Draw what the dish lies on and return how high its surface is."""
    if kind == "round":
        return lay_plate(s)
    if kind == "board":
        shape = oblong(s.between(1.25, 1.5), s.between(1.02, 1.2), power=9)
        palette = s.pick([*WOODS, STONES[1]])
        grain = "speckle" if palette == STONES[1] else "streak"
        s.shadow(shape, 0.12)
        s.lump(shape, palette, height=0.09, plump=0.02, grain=grain, fine=0.6)
        return 0.09
    card = ("#a9804f", "#c39a66", "#d8b483")
    floor = np.array([(-1.12, -1.12), (1.12, -1.12), (1.12, 1.12), (-1.12, 1.12)])
    lid = np.array([(-1.17, -1.17), (1.17, -1.17), (1.12, -1.7), (-1.12, -1.7)])
    s.shadow(floor * 1.05, 0.25)
    s.lump(floor * 1.05, card, height=0.16, grain="speckle")
    s.lump(lid, tuple(shade(c, 0.9) for c in card), z=np.array([0.16, 0.16, 1.2, 1.2]))
    s.stain(floor, "#5c4022", alpha=0.55, soft=0.05, z=0.16)
    s.lump(floor * 0.97, card, z=0.08, grain="speckle")
    return 0.08


def lay_plate(s: Scene) -> float:
    """Draw a round plate, sometimes with a coloured rim."""
    colour, radius = s.pick(CHINA), s.between(1.22, 1.42)
    china = tones(colour, 0.03)
    s.shadow(disc(radius * 0.95), 0.16)
    s.lump(disc(radius), china, z=0.03, height=0.05, plump=0.04, grain="plain")
    if s.chance(0.4):
        s.lump(disc(radius * 0.97), tones(s.pick(CLOTHS), 0.05), z=0.08, grain="plain")
        s.lump(disc(radius * 0.92), china, z=0.08, grain="plain")
    s.stain(disc(radius * 0.8), "#000000", alpha=0.16, soft=0.04, z=0.08)
    s.lump(disc(radius * 0.78), china, z=0.06, plump=0.02, grain="plain")
    return 0.06


def lay_cutlery(s: Scene, class_name: str) -> None:
    """Lay chopsticks or knife and fork beside the plate, whichever suits more often."""
    if s.chance(CHOPSTICKS[class_name]):
        side = s.pick([-1, 1])
        with s.at(0, side * s.between(1.3, 1.6), turn=s.rng.normal(0, 0.25)):
            draw_chopsticks(s)
    elif s.chance(0.45):
        for side, draw in ((-1, draw_fork), (1, draw_knife)):
            with s.at(side * 1.62, 0, turn=s.rng.normal(0, 0.12)):
                draw(s)


def draw_chopsticks(s: Scene) -> None:
    """Draw a pair of chopsticks along the x axis."""
    black, red = ("#1d1512", "#33241d", "#55392c"), ("#7c2018", "#a32c20", "#c44a3a")
    palette = s.pick([black, red, WOODS[0]])
    for y, turn in ((-0.06, 0.02), (0.06, -0.02)):
        with s.at(0, y, turn=turn):
            stick = np.array([(-1.5, -0.04), (1.5, -0.02), (1.5, 0.02), (-1.5, 0.04)])
            s.shadow(stick, 0.07)
            s.lump(stick, palette, z=0.03, height=0.04, plump=0.015)


def draw_fork(s: Scene) -> None:
    """Draw a fork that points up the picture."""
    s.shadow(oblong(0.05, 0.8), 0.05)
    for x in (-0.09, -0.03, 0.03, 0.09):
        s.line([(x, -0.8), (x, -0.4)], 0.03, "#c9ced3")
    body = [(-0.11, -0.48), (0.11, -0.48), (0.04, -0.2), (0.05, 0.8), (-0.05, 0.8),
            (-0.04, -0.2)]  # fmt: skip
    s.lump(body, STEEL, z=0.02, plump=0.02, grain="plain")


def draw_knife(s: Scene) -> None:
    """Draw a knife that points up the picture."""
    s.shadow(oblong(0.06, 0.8), 0.05)
    blade = [(-0.06, 0.1), (-0.07, -0.6), (0.0, -0.85), (0.06, -0.6), (0.05, 0.1)]
    s.lump(blade, STEEL, z=0.02, plump=0.02, grain="plain")
    s.lump(oblong(0.06, 0.4, power=6) + (0, 0.45), WOODS[1], height=0.05, plump=0.03)


def scatter_sides(s: Scene) -> None:
    """Lay up to three small things on the table around the plate."""
    for angle in s.rng.uniform(0, TURN, s.rng.integers(0, 4)):
        radius = s.between(1.55, 1.9)
        with s.at(radius * np.cos(angle), radius * np.sin(angle), turn=angle):
            s.pick([tomato, lemon, sprig, leaf, dip_bowl, dip_bowl, tomato])(s)


def tomato(s: Scene) -> None:
    """Draw a cherry tomato."""
    s.shadow(disc(0.12), 0.1)
    s.lump(disc(0.13), RED_FRUIT, z=0.1, plump=0.07)
    for angle in np.linspace(0, TURN, 5, endpoint=False):
        tip = 0.07 * np.array([np.cos(angle), np.sin(angle)])
        s.line([(0, 0), tip], 0.02, "#3a7a2c", z=0.13)
    gloss(s, 0.13, z=0.12)


def lemon(s: Scene) -> None:
    """Draw a slice of lemon."""
    s.shadow(disc(0.18), 0.05)
    s.lump(disc(0.19), tones("#f0c62c"), height=0.05, plump=0.02)
    s.lump(disc(0.165), tones("#fdf6cf", 0.02), z=0.05)
    for angle in np.linspace(0, TURN, 8, endpoint=False):
        wedge = sector(s.rng, 0.14, angle + 0.1, angle + TURN / 8 - 0.1)
        s.lump(wedge * 0.98, ("#eab92a", "#f6d84e", "#fdeb8d"), z=0.05)


def leaf(s: Scene, size: float = 0.2) -> None:
    """Draw a basil leaf."""
    t = np.linspace(0, 1, 16)
    curve = np.stack([t * 2 - 1, 0.5 * np.sin(np.pi * t) ** 0.8], axis=1) * size
    shape = np.vstack([curve, curve[::-1] * (1, -1)])
    s.shadow(shape, 0.03)
    s.lump(shape, GREENS, z=0.02, plump=0.03)
    s.line([(-size * 0.8, 0), (size * 0.7, 0)], 0.012, "#9cc97a", z=0.02)


def sprig(s: Scene) -> None:
    """Draw a sprig of rosemary along the x axis."""
    stem = np.stack([np.linspace(-0.3, 0.3, 12)] * 2, axis=1) * (1, 0)
    stem[:, 1] = 0.05 * np.sin(stem[:, 0] * 5)
    s.shadow(oblong(0.3, 0.06), 0.03)
    s.line(stem, 0.025, "#5b5a2c", z=0.04)
    for i, (x, y) in enumerate(np.repeat(stem, 3, axis=0)):
        side = 0.1 if i % 2 else -0.1
        tip = (x + 0.07 + s.between(-0.02, 0.02), y + side * s.between(0.6, 1.1))
        s.line([(x, y), tip], 0.024, s.pick(["#2f5a2a", "#4a7b3c", "#6d9a55"]), z=0.04)


def dip_bowl(s: Scene, sauce: str = "") -> None:
    """Draw a small bowl of sauce."""
    china = tones(s.pick(CHINA), 0.04)
    sauce = sauce or s.pick(["#2b130a", "#b3261a", "#f1e6c4", "#4d7a2c", "#5a3018"])
    s.shadow(disc(0.26), 0.14)
    s.lump(disc(0.28), china, height=0.13, plump=0.03, grain="plain")
    s.lump(disc(0.23), tones(sauce, 0.12), z=0.11, plump=0.02)
    gloss(s, 0.22, z=0.12)


def gloss(s: Scene, radius: float, *, z: float, alpha: float = 0.6) -> None:
    """Put a small highlight on the side of something round that faces the lamp."""
    shift = s.light * s.pixels(radius) * 0.45
    s.stain(disc(radius * 0.2), "#ffffff", alpha=alpha, soft=0.012, z=z, shift=shift)
