"""Pizza: whole, with slices missing, or by the slice."""

import numpy as np

from going_modular.practice.drawing import Scene
from going_modular.practice.shapes import (
    TURN,
    blob,
    disc,
    oblong,
    sector,
    shade,
    tones,
)
from going_modular.practice.table import RED_FRUIT, leaf

CRUST = ("#96581f", "#cf9245", "#eec283")
SAUCE = ("#8e1d0e", "#b8301a", "#d2512c")
CHEESE = [
    ("#d88a2c", "#f1c25a", "#fae6a4"), ("#c9752a", "#eeb552", "#f8dc92"),
    ("#e3a648", "#f6d98a", "#fff3cc"), ("#bf3a1c", "#cf5426", "#e58a44"),
]  # fmt: skip


def pizza(s: Scene) -> None:
    """Serve a whole pizza, one with slices missing, or one or two slices."""
    look = s.pick(CHEESE), s.pick(TOPPINGS)
    start = s.between(0, TURN)
    roll = s.rng.random()
    with s.at(size=s.between(0.92, 1.08)):
        if roll < 0.45:
            pizza_part(s, start, start + TURN, *look)
        elif roll < 0.65:
            pizza_part(s, start, start + TURN - s.pick([1, 2, 3]) * TURN / 8, *look)
        elif roll < 0.8:
            for x, turn in ((-0.36, 0.12), (0.36, s.between(-0.25, 0.05))):
                with s.at(x, -0.85, turn=turn, size=1.65):
                    pizza_part(s, TURN / 4 - 0.26, TURN / 4 + 0.26, *look)
        else:
            wide = s.between(0.36, 0.5)
            with s.at(0, -0.95, turn=s.rng.normal(0, 0.1), size=1.9):
                pizza_part(s, TURN / 4 - wide, TURN / 4 + wide, *look)


def pizza_part(s: Scene, start: float, end: float, cheese, toppings) -> None:
    """Draw the part of a pizza between two angles."""
    crust = sector(s.rng, 1.0, start, end)
    s.shadow(crust, 0.1, alpha=0.6)
    s.lump(crust, CRUST, height=0.09, plump=0.06, fine=0.4)
    with s.inside(crust, z=0.09):
        for angle in s.rng.uniform(start, end, 14):
            spot = 0.95 * np.array([np.cos(angle), np.sin(angle)])
            char = blob(s.rng, s.between(0.02, 0.06)) + spot
            s.stain(char, "#2c1406", alpha=s.between(0.3, 0.8), soft=0.02, z=0.09)
    s.stain(sector(s.rng, 0.9, start, end), "#5a2508", soft=0.03, z=0.08, alpha=0.6)
    s.lump(sector(s.rng, 0.87, start, end, wobble=0.015), SAUCE, z=0.08)
    molten = sector(s.rng, 0.84, start, end, wobble=0.03)
    s.lump(molten, cheese, z=0.085, plump=0.02, fine=0.45)
    with s.inside(sector(s.rng, 0.88, start, end), z=0.09):
        for topping, count in toppings:
            scatter_topping(s, topping, count, start, end)
        shine = oblong(0.05, 0.015) + s.rng.uniform(-0.8, 0.8, (12, 1, 2))
        s.stain(shine, "#fff3d0", alpha=0.4, soft=0.012, z=0.09)
    if end - start > 2:
        for angle in np.arange(start, end, TURN / 8):
            ray = np.array([np.cos(angle), np.sin(angle)])
            s.line([ray * 0.03, ray * 0.97], 0.014, "#7a4316", z=0.09)


def scatter_topping(s: Scene, topping, count: int, start: float, end: float) -> None:
    """Spread a topping evenly (a sunflower's pattern) and a little unevenly."""
    turn = s.between(0, TURN)
    count = count if end - start > 2 else count + 8  # a slice deserves more than one
    for i in range(count):
        angle = (i * 2.39996 + turn + s.rng.normal(0, 0.08) - start) % TURN + start
        if angle < end + 0.1:
            radius = 0.76 * np.sqrt((i + 0.5) / count) + s.rng.normal(0, 0.02)
            x, y = radius * np.cos(angle), radius * np.sin(angle)
            with s.at(x, y, turn=s.between(0, TURN), z=0.085):
                topping(s)


def pepperoni(s: Scene) -> None:
    """Draw a slice of pepperoni with a crisp rim."""
    radius = s.between(0.115, 0.14)
    s.shadow(disc(radius), 0.03)
    s.lump(blob(s.rng, radius, wobble=0.03), tones("#7c150c"), height=0.02, plump=0.02)
    palette = ("#8c1a10", "#c1341f", "#e0694a")
    s.lump(disc(radius * 0.87), palette, z=0.02, grain="speckle", plump=0.02)


def mozzarella(s: Scene) -> None:
    """Draw a melted patch of mozzarella."""
    shape = blob(s.rng, s.between(0.1, 0.17), wobble=0.2)
    s.stain(shape * 1.15, "#f4dfa6", alpha=0.7, soft=0.02)
    s.lump(shape, ("#f3e3ba", "#fdf6e3", "#ffffff"), plump=0.05)


def basil(s: Scene) -> None:
    """Draw a basil leaf on a pizza."""
    leaf(s, s.between(0.11, 0.16))


def olive(s: Scene) -> None:
    """Draw a ring of black olive."""
    s.shadow(disc(0.06), 0.02)
    s.lump(disc(0.062), tones("#2b2228", 0.3), z=0.02, plump=0.03)
    s.lump(disc(0.026), tones("#c98b3c"), z=0.02)


def pepper(s: Scene) -> None:
    """Draw a bent strip of sweet pepper."""
    angle = np.linspace(0, TURN * s.between(0.4, 0.75), 14)
    radius = 0.11 * (1 + 0.12 * np.cos(3 * angle))
    arc = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    colour = s.pick(["#3f8a2c", "#3f8a2c", "#c8281c", "#e6a420"])
    s.line(arc, 0.045, shade(colour, 0.7), z=0.01)
    s.line(arc, 0.028, colour, z=0.02)


def mushroom(s: Scene) -> None:
    """Draw a slice of mushroom."""
    cap = sector(s.rng, 0.11, np.pi, TURN) * (1, 0.9)
    s.shadow(cap, 0.02)
    s.lump(oblong(0.035, 0.08, power=5) + (0, 0.04), tones("#e3cfa8"), plump=0.02)
    s.lump(cap, ("#b08a5c", "#e0c79c", "#f3e5c8"), z=0.01, plump=0.03)


def tomato_slice(s: Scene) -> None:
    """Draw a slice of tomato."""
    s.lump(disc(0.12), RED_FRUIT, z=0.01, plump=0.03)
    for angle in np.linspace(0, TURN, 5, endpoint=False):
        seed = disc(0.03) + 0.065 * np.array([np.cos(angle), np.sin(angle)])
        s.lump(seed, tones("#f2925a"), z=0.01)


TOPPINGS = [
    [(pepperoni, 17)], [(pepperoni, 13), (basil, 5)], [(mozzarella, 12), (basil, 8)],
    [(pepper, 12), (olive, 16), (mushroom, 8)], [(mushroom, 12), (pepperoni, 8)],
    [(mozzarella, 9), (tomato_slice, 9), (basil, 6)], [(pepperoni, 12), (olive, 14)],
    [(mozzarella, 10), (mushroom, 8), (olive, 10)], [(pepper, 12), (pepperoni, 10)],
]  # fmt: skip
