"""Draw the icon of the browser demo: a slice on a plate, in a viewfinder.

One list of shapes on a 512 x 512 grid becomes the SVG and the PNG files alike.
"""

import math
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageDraw

GRID = 512
SMOOTH = 4  # drawn this much larger, then shrunk
CORNER = 112  # of the rounded square; phones that cut their own shape get a full one
ORANGE, CREAM, PLATE, RIM = "#e2602c", "#fff6e9", "#fffdf9", "#f0dcc3"
CRUST, CHEESE, SALAMI, BASIL = "#c07a3a", "#f5c04f", "#c63d2b", "#4c8a3c"
PNG_FILES = {  # name: pixels, whether the corners are round
    "icon-192.png": (192, True),
    "icon-512.png": (512, True),
    "maskable-512.png": (512, False),
    "apple-touch-icon.png": (180, False),
}

Point = tuple[float, float]


class Disc(NamedTuple):
    """A filled circle."""

    centre: Point
    radius: float
    colour: str


class Area(NamedTuple):
    """A filled polygon."""

    corners: list[Point]
    colour: str


class Stroke(NamedTuple):
    """A line with round ends and joints."""

    points: list[Point]
    width: float
    colour: str


def _arc(centre: Point, radius: float, start: float, end: float) -> list[Point]:
    """Points on a circle, angles in degrees, clockwise from the right."""
    turns = [math.radians(start + (end - start) * step / 24) for step in range(25)]
    return [
        (
            round(centre[0] + radius * math.cos(turn), 1),
            round(centre[1] + radius * math.sin(turn), 1),
        )
        for turn in turns
    ]


def _brackets() -> list[Stroke]:
    """The four corners of a viewfinder."""
    near, far, arm = 114, GRID - 114, 52
    corners = [
        [(near, near + arm), (near, near), (near + arm, near)],
        [(far - arm, near), (far, near), (far, near + arm)],
        [(far, far - arm), (far, far), (far - arm, far)],
        [(near + arm, far), (near, far), (near, far - arm)],
    ]
    return [Stroke(points, 22, CREAM) for points in corners]


def shapes() -> list[Disc | Area | Stroke]:
    """The drawing, from back to front, without its background."""
    tip = (256, 344)
    return [
        *_brackets(),
        Disc((256, 256), 134, PLATE),
        Disc((256, 256), 112, RIM),
        Disc((256, 256), 107, PLATE),
        Area([*_arc(tip, 178, 241, 299), tip], CRUST),
        Area([*_arc(tip, 154, 242, 298), tip], CHEESE),
        Disc((226, 222), 17, SALAMI),
        Disc((278, 216), 17, SALAMI),
        Disc((252, 268), 16, SALAMI),
        Disc((293, 249), 7, BASIL),
        Disc((250, 305), 6, BASIL),
    ]


def to_svg() -> str:
    """Write the icon as SVG text."""
    parts = [f'<rect width="{GRID}" height="{GRID}" rx="{CORNER}" fill="{ORANGE}"/>']
    for shape in shapes():
        if isinstance(shape, Disc):
            (x, y), radius, colour = shape
            parts.append(f'<circle cx="{x}" cy="{y}" r="{radius}" fill="{colour}"/>')
            continue
        points = " ".join(f"{x},{y}" for x, y in shape[0])
        if isinstance(shape, Area):
            parts.append(f'<polygon points="{points}" fill="{shape.colour}"/>')
        else:
            parts.append(
                f'<polyline points="{points}" fill="none" stroke="{shape.colour}" '
                f'stroke-width="{shape.width}" stroke-linecap="round" '
                'stroke-linejoin="round"/>'
            )
    start = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {GRID} {GRID}">'
    return "\n".join([start, *parts, "</svg>"]) + "\n"


def to_image(size: int, *, rounded: bool) -> Image.Image:
    """Draw the icon, `size` pixels wide and high; outside round corners it is clear."""
    scale = SMOOTH * size / GRID
    whole = Image.new("RGBA", (SMOOTH * size, SMOOTH * size))
    draw = ImageDraw.Draw(whole)
    corner = CORNER * scale if rounded else 0
    edge = SMOOTH * size - 1
    draw.rounded_rectangle((0, 0, edge, edge), corner, fill=ORANGE)
    for shape in shapes():
        if isinstance(shape, Disc):
            _draw_disc(draw, shape.centre, shape.radius, shape.colour, scale)
        elif isinstance(shape, Area):
            corners = [(x * scale, y * scale) for x, y in shape.corners]
            draw.polygon(corners, fill=shape.colour)
        else:
            points = [(x * scale, y * scale) for x, y in shape.points]
            draw.line(points, fill=shape.colour, width=round(shape.width * scale))
            for point in shape.points:  # Pillow ends lines bluntly
                _draw_disc(draw, point, shape.width / 2, shape.colour, scale)
    return whole.reduce(SMOOTH)


def _draw_disc(
    draw: ImageDraw.ImageDraw, centre: Point, radius: float, colour: str, scale: float
) -> None:
    x, y, radius = (value * scale for value in (*centre, radius))
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)


def write_icons(folder: Path) -> None:
    """Write the SVG and the PNG files into a folder, which is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "icon.svg").write_text(to_svg(), encoding="utf-8")
    for name, (size, rounded) in PNG_FILES.items():
        to_image(size, rounded=rounded).save(folder / name, optimize=True)
