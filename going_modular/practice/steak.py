"""Steak: whole or sliced, with things beside it."""

import numpy as np

from going_modular.practice.drawing import Scene
from going_modular.practice.shapes import TURN, blob, disc, oblong, shade, tones
from going_modular.practice.table import (
    CREAM,
    GOLD,
    GREENS,
    dip_bowl,
    leaf,
    sprig,
    tomato,
)

SEAR = [
    ("#2a130a", "#5b2d17", "#8f5530"), ("#351a0f", "#6d3a1f", "#a06a3e"),
    ("#211008", "#472413", "#774526"),
]  # fmt: skip
FAT = ("#b98a4a", "#e0c08a", "#f4e2bd")
PINKS = [("#a3283a", "#cb4a55", "#e58080"), ("#8e1f2a", "#b8343c", "#d9605f")]


def steak(s: Scene) -> None:
    """Serve a steak, whole or sliced, with sides on the same plate."""
    sear = s.pick(SEAR)
    sides = s.rng.permutation(len(STEAK_SIDES))[: s.pick([0, 1, 2, 2, 3])]
    crowd = len(sides) > 0
    for side, angle in zip(sides, s.pick([[3.6, 5.2, 4.4], [0.5, 2.6, 1.6]]),
                           strict=False):  # fmt: skip
        with s.at(0.78 * np.cos(angle), 0.66 * np.sin(angle)):
            STEAK_SIDES[side](s)
    low = 0.3 if crowd and angle > np.pi else -0.3 if crowd else 0.0
    size = s.between(0.8, 0.95) if crowd else s.between(0.95, 1.12)
    with s.at(0, low, turn=s.rng.normal(0, 0.3), size=size):
        if s.chance(0.45):
            sliced_steak(s, sear)
        else:
            whole_steak(s, sear, s.pick([ribeye, tomahawk, strip, rump, fillet]))


def ribeye(s: Scene) -> np.ndarray:
    """Return the outline of a rib eye."""
    return blob(s.rng, 0.85, wobble=0.13) * (1.1, 0.74)


def tomahawk(s: Scene) -> np.ndarray:
    """Return the outline of a rib eye whose long bone sticks out to the right."""
    return ribeye(s) * 0.9 - (0.3, 0)


def strip(s: Scene) -> np.ndarray:
    """Return the outline of a strip steak: long, one end narrower."""
    shape = oblong(1.05, 0.48, power=2.8)
    return shape * np.stack([np.ones(48), 1 - 0.25 * shape[:, 0]], axis=1)


def rump(s: Scene) -> np.ndarray:
    """Return the outline of a T-bone or a rump steak: one end narrower."""
    x, y = blob(s.rng, 0.9, wobble=0.07).T
    return np.stack([x * 1.05, y * (0.72 - 0.2 * x)], axis=1)


def fillet(s: Scene) -> np.ndarray:
    """Return the outline of a fillet: small, round and thick."""
    return blob(s.rng, 0.6, wobble=0.08)


def whole_steak(s: Scene, sear, cut) -> None:
    """Draw a whole steak with its fat, grill marks and something on top."""
    shape = cut(s)
    height = 0.34 if cut is fillet else s.between(0.16, 0.24)
    s.shadow(shape * 1.04, height, alpha=0.65)
    s.stain(shape * 1.06, "#3a0f08", alpha=0.45, soft=0.04)
    if cut is tomahawk:
        rib = [(0.3, -0.1), (1.2, -0.06), (1.27, -0.1), (1.32, -0.02), (1.32, 0.06),
               (1.26, 0.12), (1.2, 0.07), (0.3, 0.12)]  # fmt: skip
        s.shadow(rib, height * 0.6)
        s.lump(rib, CREAM, z=height * 0.4, height=0.08, plump=0.05)
    if cut in (ribeye, tomahawk, strip):
        s.lump(shape * 1.05 + (0, -0.03), FAT, height=height * 0.97, plump=0.04)
    s.lump(shape, sear, height=height, plump=0.07, grain="speckle", fine=0.35)
    with s.at(z=height), s.inside(shape):
        s.stain(shape * 0.7, shade(sear[2], 1.15), alpha=0.3, soft=0.15)
        grill_marks(s)
        gleam(s)
    with s.at(z=height):
        s.pick([sprig, butter, butter, garnish_nothing])(s)


def grill_marks(s: Scene) -> None:
    """Burn parallel marks, or a diamond pattern, into the meat."""
    step, turn = s.between(0.2, 0.3), s.between(0.5, 1.1)
    for angle in (turn, -turn) if s.chance(0.5) else (turn,):
        with s.at(turn=angle):
            bars = [
                oblong(0.028, 1.4, power=8) + (x, 0) for x in np.arange(-1.2, 1.2, step)
            ]
            s.stain(np.array(bars), "#140803", alpha=0.85, soft=0.012)


def gleam(s: Scene) -> None:
    """Scatter salt and small wet highlights."""
    spots = s.rng.uniform(-0.8, 0.8, (34, 1, 2)) * (1, 0.7)
    s.stain(oblong(0.07, 0.02) + spots[:10], "#ffe9cf", alpha=0.35, soft=0.015)
    s.stain(disc(0.012) + spots[10:], "#fff8ec", alpha=0.8, soft=0.003)


def butter(s: Scene) -> None:
    """Draw a melting pat of herb butter."""
    s.stain(blob(s.rng, 0.24, wobble=0.2), "#f6d878", alpha=0.6, soft=0.03)
    s.shadow(oblong(0.14, 0.12, power=6), 0.05)
    s.lump(oblong(0.14, 0.12, power=6), tones("#f7e08a", 0.05), height=0.07, plump=0.03)
    for x, y in s.rng.uniform(-0.09, 0.09, (8, 2)):
        s.stain(disc(0.014) + (x, y), "#3c6f2c", alpha=0.9, soft=0.002, z=0.07)


def garnish_nothing(s: Scene) -> None:
    """Leave the steak as it is."""


def sliced_steak(s: Scene, sear) -> None:
    """Draw pink slices fanned out, in front of what is left of the steak."""
    pink, count = s.pick(PINKS), s.pick([4, 5, 6])
    rest = oblong(0.5, 0.46) + (-0.6, -0.08)
    s.shadow(rest, 0.2, alpha=0.6)
    s.lump(rest, sear, height=0.22, plump=0.07, grain="speckle", fine=0.35)
    with s.inside(rest, z=0.22), s.at(z=0.22):
        grill_marks(s)
    for i in range(count):
        x = -0.28 + i * 1.15 / count
        with s.at(x, 0.04 * i, turn=0.12 + 0.05 * i + s.rng.normal(0, 0.03)):
            slice_of_steak(s, sear, pink)


def slice_of_steak(s: Scene, sear, pink) -> None:
    """Draw one slice, its pink face up: brown crust, grey band, pink heart."""
    face = blob(s.rng, 1, wobble=0.04) * (0.17, 0.46)
    s.shadow(face, 0.1, alpha=0.55)
    s.lump(face, sear, height=0.1, plump=0.02, grain="speckle")
    s.lump(face * (0.84, 0.93), ("#9a6a52", "#b98468", "#cfa184"), z=0.1)
    with s.inside(face * (0.84, 0.93), z=0.1):
        s.stain(face * (0.7, 0.82), pink[1], alpha=1.0, soft=0.03, z=0.1)
        s.lump(face * (0.52, 0.72), pink, z=0.1, grain="streak", turn=1.4)
        shine = oblong(0.02, 0.2) + (s.between(-0.05, 0.05), s.between(-0.2, 0.2))
        s.stain(shine, "#ffe4dc", alpha=0.5, soft=0.015, z=0.1)


def fries(s: Scene) -> None:
    """Draw a heap of fries."""
    for i in range(22):
        x, y = s.rng.normal(0, 0.2), s.rng.normal(0, 0.12)
        with s.at(x, y, turn=s.between(0, TURN), z=0.005 * i):
            shape = oblong(s.between(0.2, 0.32), 0.04, power=8)
            s.shadow(shape, 0.03)
            s.lump(shape, GOLD, height=0.06, plump=0.02)


def asparagus(s: Scene) -> None:
    """Draw a few spears of asparagus."""
    for y in np.linspace(-0.12, 0.12, 4):
        with s.at(s.rng.normal(0, 0.04), y, turn=s.rng.normal(0, 0.08)):
            s.shadow(oblong(0.45, 0.04), 0.04)
            s.lump(
                oblong(0.45, 0.035, power=8), GREENS, z=0.03, height=0.02, plump=0.02
            )
            s.lump(oblong(0.1, 0.045) + (0.42, 0), tones("#3d6130"), z=0.05, plump=0.02)


def broccoli(s: Scene) -> None:
    """Draw florets of broccoli."""
    for x, y in s.rng.normal(0, 0.13, (4, 2)):
        s.shadow(disc(0.14) + (x, y), 0.1)
        for dx, dy in s.rng.normal(0, 0.06, (6, 2)):
            bud = blob(s.rng, 0.075) + (x + dx, y + dy)
            s.lump(bud, GREENS, z=0.1, grain="speckle", plump=0.03)


def tomatoes(s: Scene) -> None:
    """Draw three cherry tomatoes."""
    for x, y in ((-0.15, -0.05), (0.15, -0.08), (0.0, 0.12)):
        with s.at(x, y, size=1.15):
            tomato(s)


def salad(s: Scene) -> None:
    """Draw a small heap of leaves."""
    for i in range(12):
        x, y = s.rng.normal(0, 0.14, 2)
        with s.at(x, y, turn=s.between(0, TURN), z=0.012 * i):
            leaf(s, s.between(0.16, 0.26))


def potatoes(s: Scene) -> None:
    """Draw roast potatoes."""
    for x, y in s.rng.uniform(-0.26, 0.26, (7, 2)):
        with s.at(x, y * 0.8, turn=s.between(0, TURN)):
            shape = blob(s.rng, 0.13, wobble=0.12) * (1.2, 0.85)
            s.shadow(shape, 0.09)
            s.lump(shape, ("#a86a22", "#dba548", "#f3d58c"), height=0.07, plump=0.05)


STEAK_SIDES = [fries, fries, asparagus, broccoli, tomatoes, salad, potatoes, dip_bowl]
