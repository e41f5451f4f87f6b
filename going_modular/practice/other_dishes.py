"""Other dishes in the same style: what a model of pizza, steak and sushi never saw."""

import numpy as np

from going_modular.practice.drawing import Scene
from going_modular.practice.garnishes import (
    bacon,
    banana,
    blueberry,
    crouton,
    cucumber,
    egg_half,
    feta,
    herb,
    lay_bowl,
    meatball,
    onion,
    parmesan,
    pat_of_butter,
    radish,
    strawberry,
    strew,
    swirl,
    toast,
)
from going_modular.practice.pizza import basil, mushroom, olive, tomato_slice
from going_modular.practice.shapes import TURN, blob, disc, oblong, shade, tones
from going_modular.practice.steak import tomatoes
from going_modular.practice.table import GREENS, gloss, tomato

WHITE = ("#eee9dc", "#f8f5ec", "#ffffff")
YOLKS = ["#f2a516", "#f6b91c", "#e98a12", "#f8c83a"]
BATTER = [
    ("#8a4a1c", "#bf7c36", "#dda25a"), ("#a8662a", "#d39a50", "#ecc484"),
    ("#6f3a18", "#a5652c", "#c98c4a"),
]  # fmt: skip
SYRUPS = ["#8a3d0c", "#a9570f", "#3a1a0e", "#8e1020"]
LETTUCES = [
    [("#3c6b1e", "#6da238", "#b4d876"), ("#5b8a2a", "#93bf4e", "#d6eba0")],
    [GREENS, ("#5b8a2a", "#93bf4e", "#d6eba0"), ("#4a1630", "#7d2c4a", "#a85a6c")],
    [GREENS, ("#2c5c1c", "#558f34", "#8fc060")],
]  # fmt: skip
SOUPS = ["#c63f1c", "#e0881f", "#748a3c", "#dcc89a", "#b5541f", "#c99a3e", "#93334a"]
PASTA = ["#edca7c", "#f2d890", "#e3bb68"]
SAUCES = [
    ("#7c1a0c", "#b5301a", "#d85a34"), ("#4a1d10", "#7a3820", "#a4603c"),
    ("#3c5a1a", "#648a2c", "#93b44e"), ("#e3d2a4", "#f4e8c8", "#fffaea"),
]  # fmt: skip


def fried_eggs(s: Scene) -> None:
    """Serve one to four fried eggs, up to three with something beside them."""
    count = s.pick([1, 2, 2, 3, 4])
    yolk, crisp, start = s.pick(YOLKS), s.between(0, 1), s.between(0, TURN)
    ring = 0.0 if count == 1 else 0.38 if count < 4 else 0.52
    if count < 4:
        with s.at(0, 0.62):
            s.pick([bacon, bacon, toast, tomatoes])(s)
    with s.at(0, -0.2 if count < 4 else 0.0, size=1.3 if count == 1 else 1.0):
        for i in range(count):
            angle = start * (count > 2) + i * TURN / count
            x, y = ring * np.cos(angle), ring * np.sin(angle)
            with s.at(x, y, turn=s.between(0, TURN), z=0.005 * i):
                fried_egg(s, yolk, crisp)
    strew(s, [herb], s.pick([0, 10, 20]), 0.7, z=0.05)


def fried_egg(s: Scene, yolk: str, crisp: float) -> None:
    """Draw one egg: a white with a more or less crisp edge and a shining yolk."""
    white = blob(s.rng, s.between(0.4, 0.48), wobble=0.14)
    s.shadow(white, 0.05, alpha=0.6)
    s.lump(white, ("#8a5420", "#d0a45c", "#f4e6c4"), height=0.02, plump=0.02)
    s.stain(white * 0.97, "#fffaf0", alpha=1 - 0.8 * crisp, soft=0.02, z=0.02)
    s.lump(white * 0.94, WHITE, z=0.025, plump=0.06, grain="plain")
    with s.at(*s.rng.normal(0, 0.04, 2)):
        s.stain(disc(0.2), "#c9a868", alpha=0.5, soft=0.03, z=0.03)
        s.lump(blob(s.rng, 0.17, wobble=0.02), tones(yolk), z=0.07, plump=0.08,
               grain="plain")  # fmt: skip
        gloss(s, 0.17, z=0.1, alpha=0.9)


def noodles(s: Scene) -> None:
    """Serve a nest of spaghetti with a sauce."""
    pasta, sauce = s.pick(PASTA), s.pick(SAUCES)
    extra = s.pick([[meatball], [basil], [parmesan], [olive, basil], [basil, parmesan],
                    [mushroom], [tomato]])  # fmt: skip
    nest = blob(s.rng, 0.82, wobble=0.05)
    s.shadow(nest, 0.16, alpha=0.6)
    s.lump(nest, tones("#9c6c2a"), height=0.03, plump=0.06)
    for i in range(150):
        strand(s, shade(pasta, s.between(0.92, 1.06)), 0.1 + 0.001 * i)
    s.stain(blob(s.rng, 0.6, wobble=0.12), sauce[0], alpha=0.5, soft=0.06, z=0.2)
    ladle = blob(s.rng, s.between(0.35, 0.5), wobble=0.2)
    s.lump(ladle, sauce, z=0.24, height=0.02, plump=0.05, grain="speckle", fine=0.3)
    for _ in range(12):
        strand(s, shade(pasta, 1.02), 0.26)
    strew(s, extra, s.pick([4, 6, 8]), 0.45, z=0.24, dome=0.05)
    strew(s, [herb], s.pick([0, 10, 20]), 0.6, z=0.2, dome=0.05)


def strand(s: Scene, colour: str, height: float) -> None:
    """Draw one noodle, a piece of a circle over the nest's round back."""
    start, radius = s.between(0, TURN), s.between(0.2, 0.55)
    angle = np.linspace(start, start + s.between(1.5, 4.5), 18)
    path = radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    path += s.rng.normal(0, 0.26, 2)
    far = np.hypot(*path.T)
    path *= np.minimum(1, 0.84 / far)[:, None]
    z = height * (1 - np.minimum(far, 0.84) ** 2)
    s.line(path, 0.046, "#b5853a", z=z)
    s.line(path, 0.03, colour, z=z + 0.008)


def pancakes(s: Scene) -> None:
    """Serve a pile of pancakes, or a few side by side, with syrup and fruit."""
    batter, radius = s.pick(BATTER), s.between(0.62, 0.8)
    if s.chance(0.7):
        top = 0.0
        for _ in range(s.pick([3, 4, 5, 6])):
            with s.at(*s.rng.normal(0, 0.03, 2), z=top):
                pancake(s, batter, radius)
            top += 0.09
        with s.at(z=top):
            dress(s, radius)
    else:
        for i, (x, y) in enumerate(((-0.4, 0.3), (0.42, 0.28), (0.0, -0.35))):
            with s.at(x, y, z=0.03 * i):
                pancake(s, batter, 0.55)
        with s.at(0, -0.35, z=0.15):
            dress(s, 0.55)


def pancake(s: Scene, batter, radius: float) -> None:
    """Draw one pancake: a pale side, a golden rim and a brown face."""
    shape = blob(s.rng, radius, wobble=0.025)
    s.shadow(shape, 0.08, alpha=0.6)
    s.lump(shape, ("#c99a52", "#eccf92", "#f8e6bc"), height=0.08, plump=0.03)
    s.lump(shape * 0.97, tones(batter[2]), z=0.08, plump=0.02)
    s.stain(shape * 0.9, batter[1], alpha=0.9, soft=0.03, z=0.08)
    s.lump(shape * 0.86, batter, z=0.082, fine=0.35)


def dress(s: Scene, radius: float) -> None:
    """Pour syrup over the topmost pancake and put butter or fruit on it."""
    syrup = blob(s.rng, radius * s.between(0.55, 0.8), wobble=0.16)
    colour = s.pick(SYRUPS)
    s.stain(syrup * 1.03, shade(colour, 0.4), alpha=0.5, soft=0.02)
    s.lump(syrup, tones(colour, 0.2), z=0.01, plump=0.04)
    shine = syrup * 0.75 + s.rng.normal(0, 0.02, 2)
    s.stain(shine, shade(colour, 1.7), alpha=0.35, soft=0.06, z=0.01)
    fruit = s.pick([[], [], [blueberry], [strawberry], [banana],
                    [blueberry, strawberry], [banana, blueberry]])  # fmt: skip
    if fruit:
        strew(s, fruit, s.pick([5, 7, 9]), radius * 0.7, z=0.02)
    else:
        with s.at(turn=s.between(0, TURN), size=1.2):
            pat_of_butter(s)


def salad(s: Scene) -> None:
    """Serve a heap of leaves with vegetables, sometimes in a bowl."""
    leaves = [leaf_of(palette) for palette in s.pick(LETTUCES)]
    extras = [[tomato, cucumber], [tomato_slice, olive, feta, onion],
              [crouton, egg_half], [radish, cucumber], [egg_half, tomato, olive],
              [feta, onion, tomato], [mushroom, radish, crouton]]  # fmt: skip
    extra, bowl = s.pick(extras), s.chance(0.5)
    with s.at(size=s.between(0.95, 1.1)):
        if bowl:
            lay_bowl(s, 0.98)
        edge, radius = (0.25, 0.66) if bowl else (0.0, 0.78)
        strew(s, leaves, 40, radius, z=edge, dome=0.16)
        toppings = [*extra, *extra, leaves[0]]
        count = s.pick([12, 16, 20])
        strew(s, toppings, count, radius - 0.08, z=edge + 0.06, dome=0.16)


def leaf_of(palette):
    """Return what draws a crinkled lettuce leaf of these colours."""

    def draw(s: Scene) -> None:
        shape = blob(s.rng, s.between(0.2, 0.27), wobble=0.22) * (1.2, 0.8)
        s.shadow(shape, 0.05)
        s.lump(shape, palette, z=0.03, plump=0.05, fine=0.3)
        s.line([(-0.22, 0), (0.0, 0.02), (0.18, 0)], 0.02, palette[2], z=0.03)
        for x in (-0.1, 0.02):
            s.line([(x, 0.01), (x + 0.1, 0.1)], 0.01, palette[2], z=0.03)
            s.line([(x, 0.01), (x + 0.1, -0.1)], 0.01, palette[2], z=0.03)

    return draw


def soup(s: Scene) -> None:
    """Serve a bowl of soup with cream, herbs or croutons."""
    colour = s.pick(SOUPS)
    opening = lay_bowl(s, s.between(0.92, 1.1))
    with s.inside(opening, z=0.3):
        s.lump(opening * 0.93, tones(colour, 0.08), z=0.22, plump=0.03, fine=0.3)
        s.stain(opening * 0.93, shade(colour, 1.15), alpha=0.3, soft=0.15, z=0.22)
        drops = disc(1.0) * s.rng.uniform(0.01, 0.04, (16, 1, 1))
        drops = drops + s.rng.uniform(-0.6, 0.6, (16, 1, 2))
        s.stain(drops, shade(colour, 1.35), alpha=0.6, soft=0.004, z=0.22)
        if s.chance(0.55):
            swirl(s, z=0.22)
        extra = s.pick([[crouton], [basil], [mushroom], [crouton, herb], [cucumber],
                        [basil, crouton], [tomato_slice, herb]])  # fmt: skip
        strew(s, extra, s.pick([3, 5, 8]), 0.45, z=0.22)
        strew(s, [herb], s.pick([0, 12, 24]), 0.6, z=0.22)
        shine = [oblong(0.12, 0.02) + (x, 0.06 * x) for x in (-0.1, 0.16)]
        shift = s.light * s.pixels(0.55)
        s.stain(np.array(shine), "#ffffff", alpha=0.4, soft=0.02, z=0.22, shift=shift)


OTHER_DISHES = {
    "fried_eggs": fried_eggs, "noodles": noodles, "pancakes": pancakes, "salad": salad,
    "soup": soup,
}  # fmt: skip
