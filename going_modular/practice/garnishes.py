"""Small things on and beside the other dishes, and the bowl some are served in."""

from collections.abc import Callable, Sequence

import numpy as np

from going_modular.practice.drawing import Scene
from going_modular.practice.shapes import TURN, blob, disc, oblong, shade, tones
from going_modular.practice.table import CHINA, CREAM, RED_FRUIT, gloss

CRUMB = ("#c98d45", "#e3b873", "#f3d8a2")
HERBS = ["#2f6a22", "#4a8a34", "#7aae4c"]


def strew(
    s: Scene, things: Sequence[Callable], count: int, radius: float, *, z=0.0, dome=0.0
) -> None:
    """Spread things over a round, evenly (a sunflower's pattern) with some disorder.

    Args:
        s: Where to draw.
        things: What to draw; each piece is one of them.
        count: How many pieces.
        radius: Of the round.
        z: Height of its edge.
        dome: How much higher its middle is.
    """
    turn = s.between(0, TURN)
    for i in reversed(range(count)):  # from the edge inwards, up the heap
        angle = i * 2.39996 + turn + s.rng.normal(0, 0.15)
        far = np.sqrt((i + 0.5) / count)
        x, y = radius * far * np.array([np.cos(angle), np.sin(angle)])
        x, y = s.rng.normal((x, y), 0.03)
        with s.at(x, y, turn=s.between(0, TURN), z=z + dome * (1 - far * far)):
            s.pick(things)(s)


def lay_bowl(s: Scene, radius: float) -> np.ndarray:
    """Draw a bowl 0.3 high, empty inside; return the outline of its opening."""
    china = tones(s.pick(CHINA), 0.04)
    s.shadow(disc(radius * 0.9), 0.2, alpha=0.6)
    for low in np.linspace(0, 1, 7):
        side = disc(radius * (0.72 + 0.28 * low**0.6))
        s.lump(side, china, z=0.25 * low, height=0.05, grain="plain")
    s.lump(disc(radius), china, z=0.3, plump=0.03, grain="plain")
    opening = disc(radius * 0.92)
    s.lump(opening, tones(shade(china[1], 0.8), 0.03), z=0.29, grain="plain")
    return opening


def herb(s: Scene) -> None:
    """Draw a crumb of chopped herbs."""
    s.lump(oblong(s.between(0.015, 0.035), 0.012), tones(s.pick(HERBS), 0.2))


def bacon(s: Scene) -> None:
    """Draw two or three wavy rashers along the x axis."""
    x = np.linspace(-0.6, 0.6, 24)
    for y in s.pick([(-0.1, 0.1), (-0.17, 0.02, 0.2)]):
        wave = y + 0.03 * np.sin(x * 11 + s.between(0, TURN))
        for low, high, colour in ((-0.09, 0.09, "#8e2f1e"), (-0.05, -0.01, "#efc39a"),
                                  (0.03, 0.06, "#e8b088")):  # fmt: skip
            lower, upper = (np.stack([x, wave + side], axis=1) for side in (low, high))
            rasher = np.vstack([lower, upper[::-1]])
            if low < -0.08:
                s.shadow(rasher, 0.04)
            s.lump(rasher, tones(colour, 0.2), z=0.03, plump=0.02, grain="speckle")


def toast(s: Scene) -> None:
    """Draw two slices of toast."""
    for x in (-0.36, 0.34):
        with s.at(x, 0.05, turn=s.rng.normal(0, 0.2), size=1.2):
            bread = oblong(0.27, 0.24, power=5)
            s.shadow(bread, 0.08)
            s.lump(bread, tones("#9a5f28"), height=0.07, plump=0.02)
            s.lump(bread * 0.88, CRUMB, z=0.07, grain="speckle")


def crouton(s: Scene) -> None:
    """Draw a cube of toasted bread."""
    cube = oblong(0.07, 0.065, power=6)
    s.shadow(cube, 0.05)
    s.lump(cube, CRUMB, height=0.07, plump=0.02, grain="speckle")


def feta(s: Scene) -> None:
    """Draw a cube of white cheese."""
    cube = oblong(s.between(0.06, 0.09), 0.06, power=6)
    s.shadow(cube, 0.05)
    s.lump(cube, CREAM, height=0.06, plump=0.015)


def cucumber(s: Scene) -> None:
    """Draw a slice of cucumber."""
    s.shadow(disc(0.14), 0.04)
    s.lump(disc(0.14), tones("#2f5c22", 0.2), height=0.03, plump=0.01)
    s.lump(disc(0.123), ("#a9cc74", "#cfe5a2", "#e8f4cc"), z=0.03)
    for angle in np.linspace(0, TURN, 9, endpoint=False):
        seed = 0.065 * np.array([np.cos(angle), np.sin(angle)])
        s.stain(disc(0.014) + seed, "#f4f8dc", alpha=0.9, soft=0.004, z=0.03)


def onion(s: Scene) -> None:
    """Draw a ring of red onion."""
    angle = np.linspace(0, TURN, 30)
    ring = np.stack([np.cos(angle), 0.8 * np.sin(angle)], axis=1)
    for radius in s.pick([(0.13,), (0.16, 0.11)]):
        s.line(ring * radius, 0.032, "#7c2458", z=0.03)
        s.line(ring * radius * 0.95, 0.016, "#ecc4dc", z=0.035)


def radish(s: Scene) -> None:
    """Draw a slice of radish."""
    s.shadow(disc(0.09), 0.03)
    s.lump(disc(0.09), tones("#c81e4a"), z=0.01, height=0.015)
    s.lump(disc(0.077), ("#f0dce0", "#fbf2f2", "#ffffff"), z=0.025)


def egg_half(s: Scene) -> None:
    """Draw half a boiled egg."""
    half = oblong(0.17, 0.13, power=2)
    s.shadow(half, 0.07)
    s.lump(half, ("#e2dccd", "#faf7ef", "#ffffff"), height=0.05, plump=0.03)
    s.lump(disc(0.08) + (0.02, 0), tones("#f0b02a"), z=0.05, plump=0.02)


def meatball(s: Scene) -> None:
    """Draw a meatball with some sauce on it."""
    ball = blob(s.rng, s.between(0.12, 0.15), wobble=0.05)
    s.shadow(ball, 0.1)
    s.lump(ball, ("#4a2412", "#7c4526", "#a8704a"), height=0.08, plump=0.09,
           grain="speckle", fine=0.35)  # fmt: skip
    s.stain(ball * 0.55, "#b5301a", alpha=0.7, soft=0.03, z=0.09)
    gloss(s, 0.12, z=0.1)


def parmesan(s: Scene) -> None:
    """Draw a shaving of hard cheese."""
    flake = oblong(s.between(0.08, 0.15), 0.035, power=3)
    s.shadow(flake, 0.03)
    s.lump(flake, CREAM, z=0.02, height=0.01, plump=0.01)


def blueberry(s: Scene) -> None:
    """Draw a blueberry."""
    s.shadow(disc(0.07), 0.07)
    s.lump(disc(0.075), ("#1e2448", "#3a4678", "#6a78a8"), z=0.06, plump=0.05)
    s.lump(disc(0.02), tones("#161a34"), z=0.08)
    gloss(s, 0.075, z=0.08, alpha=0.4)


def strawberry(s: Scene) -> None:
    """Draw half a strawberry, cut side down."""
    x, y = oblong(0.14, 0.11, power=2.2).T
    berry = np.stack([x, y * (1 - 3.0 * x)], axis=1)
    s.shadow(berry, 0.06)
    s.lump(berry, RED_FRUIT, height=0.05, plump=0.06)
    for x, y in s.rng.uniform(-0.07, 0.07, (9, 2)):
        s.stain(oblong(0.011, 0.007) + (x, y), "#f7d98a", alpha=1, soft=0.002, z=0.06)
    s.lump(oblong(0.03, 0.07) - (0.13, 0), tones("#4a8a34"), z=0.05)


def banana(s: Scene) -> None:
    """Draw a slice of banana."""
    s.shadow(disc(0.1), 0.05)
    s.lump(disc(0.105), ("#e6cf8a", "#f5e6b4", "#fff6da"), height=0.04, plump=0.015)
    for angle in np.linspace(0, TURN, 3, endpoint=False):
        seed = 0.03 * np.array([np.cos(angle), np.sin(angle)])
        s.stain(oblong(0.014, 0.007) + seed, "#7a5424", alpha=0.8, soft=0.003, z=0.04)


def pat_of_butter(s: Scene) -> None:
    """Draw a melting pat of butter."""
    s.stain(blob(s.rng, 0.22, wobble=0.2), "#f6d878", alpha=0.6, soft=0.03, z=0.02)
    pat = oblong(0.15, 0.12, power=6)
    s.shadow(pat, 0.05)
    s.lump(pat, tones("#f7e08a", 0.05), z=0.02, height=0.06, plump=0.03,
           grain="plain")  # fmt: skip


def swirl(s: Scene, *, z: float) -> None:
    """Pour a spiral of cream."""
    angle = np.linspace(0, TURN * s.between(1.2, 2.2), 40) + s.between(0, TURN)
    radius = np.linspace(0.05, s.between(0.35, 0.55), 40)
    path = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    s.line(path, 0.06, shade(CREAM[0], 0.9), z=z)
    s.line(path, 0.04, CREAM[2], z=z)
