"""Outlines, shape (N, 2) in plate units, and colours of the practice pictures."""

from functools import lru_cache

import numpy as np

Palette = tuple[str, str, str]  # colours of a texture's dark, middle and light parts
TURN = 2 * np.pi


@lru_cache(maxsize=256)
def oblong(length: float, width: float, *, power: float = 2.6) -> np.ndarray:
    """Return a superellipse of half-axes length and width; high powers have corners."""
    angle = np.linspace(0, TURN, 48, endpoint=False)
    cos, sin = np.cos(angle), np.sin(angle)
    x = length * np.sign(cos) * np.abs(cos) ** (2 / power)
    shape = np.stack([x, width * np.sign(sin) * np.abs(sin) ** (2 / power)], axis=1)
    shape.flags.writeable = False  # every caller gets the same array
    return shape


def disc(radius: float) -> np.ndarray:
    """Return a circle around the origin, shape (48, 2)."""
    return oblong(radius, radius, power=2)


def blob(rng: np.random.Generator, radius: float, *, wobble: float = 0.1) -> np.ndarray:
    """Return a circle with an uneven outline, shape (48, 2)."""
    angle = np.linspace(0, TURN, 48, endpoint=False)
    return radius * disc(1.0) * _ripple(rng, angle, wobble)


def sector(
    rng: np.random.Generator, radius: float, start: float, end: float, *, wobble=0.02
) -> np.ndarray:
    """Return a pizza-slice outline between two angles; a whole turn has no cut."""
    angle = np.linspace(start, end, 72)
    arc = radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    arc *= _ripple(rng, angle, wobble)
    return arc if end - start > TURN - 0.01 else np.vstack([arc, [(0.0, 0.0)]])


def _ripple(rng: np.random.Generator, angle: np.ndarray, wobble: float) -> np.ndarray:
    """Return factors around 1 that vary smoothly with the angle, shape (N, 1)."""
    waves = [
        rng.normal(0, wobble / order) * np.cos(order * angle + rng.uniform(0, TURN))
        for order in range(2, 7)
    ]
    return 1 + np.sum(waves, axis=0)[:, None]


def parse_colour(colour: str) -> tuple[int, int, int]:
    """Return the red, green and blue of "#rrggbb", each in [0, 255]."""
    return tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))


def shade(colour: str, factor: float) -> str:
    """Return a hex colour made darker (factor < 1) or lighter (> 1)."""
    parts = (int(colour[i : i + 2], 16) * factor for i in (1, 3, 5))
    return "#" + "".join(f"{min(255, int(part)):02x}" for part in parts)


def tones(colour: str, spread: float = 0.1) -> tuple[str, str, str]:
    """Return a palette around one colour."""
    return shade(colour, 1 - spread), colour, shade(colour, 1 + spread)
