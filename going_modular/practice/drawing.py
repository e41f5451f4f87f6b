"""A small drawing kit for the practice pictures: shapes, a camera and a light.

Food is drawn on a table seen from above at an angle. Lengths are in plate units (a
pizza has radius 1). Everything is drawn larger than the final size and shrunk at the
end, which smooths the edges. The files beside this one draw the dishes with it.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from going_modular.practice.shapes import TURN, Palette, parse_colour

OVERSAMPLING = 1.5
LIT_RANGE = (86, 170)  # greys of plain texture; the rest is for shadow and highlight
TILE = 900  # side of a noise tile, larger than any texture cut out of it


@cache
def noise_tile(kind: str) -> Image.Image:
    """Return grey "smooth" clouds, "speckle", "streak" (wood), "grain" or "plain"."""
    rng = np.random.default_rng(7)  # one fixed tile: pictures differ by where they cut
    cells = {
        "smooth": [(12, 12, 0.5), (40, 40, 1.0), (120, 120, 0.6), (450, 450, 0.25)],
        "speckle": [(30, 30, 0.4), (150, 150, 0.7), (450, 450, 1.2)],
        "plain": [],
        "grain": [(TILE, TILE, 1.0)],
        "streak": [(90, 4, 1.0), (300, 12, 0.8), (900, 60, 0.4)],
    }[kind]
    total = np.zeros((TILE, TILE), np.float32)
    for rows, columns, weight in cells:
        cell = Image.fromarray(rng.standard_normal((rows, columns)).astype(np.float32))
        total += weight * np.asarray(
            cell.resize((TILE, TILE), Image.Resampling.BICUBIC)
        )
    total = 128 + 18 * total / max(total.std(), 1e-6)
    return Image.fromarray(np.clip(total, *LIT_RANGE).astype(np.uint8))


class Scene:
    """A canvas with a camera, a light and a random generator that picks the details."""

    def __init__(self, rng: np.random.Generator, size: tuple[int, int]):
        """Set up the camera.

        Args:
            rng: Decides everything that varies.
            size: Width and height of the finished picture in pixels.
        """
        self.rng, self.size = rng, size
        width, height = (round(side * OVERSAMPLING) for side in size)
        self.image = Image.new("RGB", (width, height))
        self.draw = ImageDraw.Draw(self.image)
        self.scale = min(width, height) * rng.uniform(0.36, 0.54)  # pixels per unit
        elevation = np.radians(rng.choice([88, 70, 58, 48]) + rng.uniform(-6, 2))
        self.squash, self.rise = np.sin(elevation), np.cos(elevation)
        shift = rng.uniform(-0.05, 0.05, 2)
        self.centre = np.array([width, height]) * (0.5 + shift)
        angle = rng.uniform(0, TURN)
        self.light = np.array([np.cos(angle), np.sin(angle)])  # on screen, to the lamp
        self.frame, self.grow, self.level = np.eye(3), 1.0, 0.0

    def between(self, low: float, high: float) -> float:
        """Return a random number in [low, high)."""
        return float(self.rng.uniform(low, high))

    def chance(self, probability: float) -> bool:
        """Return True this often."""
        return bool(self.rng.random() < probability)

    def pick(self, options: Sequence):
        """Return one of the options."""
        return options[int(self.rng.integers(len(options)))]

    @contextmanager
    def at(self, x=0.0, y=0.0, *, turn=0.0, size=1.0, z=0.0) -> Iterator[None]:
        """Draw what follows around (x, y), turned, resized and lifted by z."""
        before = self.frame, self.grow, self.level
        cos, sin = size * np.cos(turn), size * np.sin(turn)
        self.level += z * self.grow
        self.frame = self.frame @ np.array([[cos, -sin, x], [sin, cos, y], [0, 0, 1]])
        self.grow *= size
        yield
        self.frame, self.grow, self.level = before

    @contextmanager
    def inside(self, shape: np.ndarray, *, z: float = 0.0) -> Iterator[None]:
        """Draw what follows only where it falls inside the shape."""
        outer, points = (self.image, self.draw, self.centre), self.screen(shape, z)
        box = self._box(points, margin=2)
        if box is None:
            box = (0, 0, 1, 1)  # out of view: what is drawn goes nowhere
        self.image = outer[0].crop(box)
        self.draw = ImageDraw.Draw(self.image)
        self.centre = self.centre - box[:2]
        yield
        outer[0].paste(self.image, box[:2], self._mask(points, box))
        self.image, self.draw, self.centre = outer

    def screen(self, shape: np.ndarray, z: float | np.ndarray = 0.0) -> np.ndarray:
        """Return where points (..., 2) at height z appear on the canvas, in pixels."""
        flat = np.asarray(shape, float) @ self.frame[:2, :2].T + self.frame[:2, 2]
        flat[..., 1] *= self.squash
        flat[..., 1] -= (np.asarray(z) * self.grow + self.level) * self.rise
        return self.centre + self.scale * flat

    def pixels(self, length: float) -> float:
        """Return a length in pixels of the canvas."""
        return length * self.grow * self.scale

    def lump(
        self, shape, palette, *, z=0.0, height=0.0, plump=0.0, grain="smooth", fine=0.5,
        turn=0.0,
    ) -> None:  # fmt: skip
        """Draw a solid piece: its walls, then its textured, rounded top.

        Args:
            shape: Outline, shape (N, 2).
            palette: Colours of the texture.
            z: Where its bottom is.
            height: How tall it stands.
            plump: Width of the rounded edge that the light catches.
            grain: Texture, a kind of `noise_tile`.
            fine: Tile pixels per canvas pixel: larger is finer.
            turn: Direction of the grain.
        """
        if height:
            self.wall(shape, palette, z, height)
        points = self.screen(shape, z + height)
        soft = self.pixels(plump)
        box = self._box(points, margin=2 * soft + 2)
        if box is None:
            return
        mask = self._mask(points, box)
        texture = self._texture(mask.size, grain, fine, turn)
        if soft >= 1:
            relief = self._relief(mask, soft)
            texture = ImageChops.add(texture, relief, offset=-128)
        self.image.paste(_coloured(texture, palette), box[:2], mask)

    def wall(self, shape, palette: Palette, z: float, height: float) -> None:
        """Draw the sides that face the viewer, far ones first, lit from the lamp."""
        low, high = self.screen(shape, z), self.screen(shape, z + height)
        edges = np.roll(low, -1, axis=0) - low
        normals = np.stack([edges[:, 1], -edges[:, 0]], axis=1)
        normals /= np.hypot(*edges.T)[:, None] + 1e-6
        bright = 0.45 + 0.4 * (normals @ self.light)[:, None]
        dark, light = (np.array(parse_colour(colour)) for colour in palette[:2])
        colours = (dark * 0.72 * (1 - bright) + light * bright).astype(int).tolist()
        quads = np.stack([low, low + edges, high + edges, high], axis=1)
        for i in np.argsort(low[:, 1] + edges[:, 1] / 2):
            if normals[i, 1] >= 0:
                _polygon(self.draw, quads[i], tuple(colours[i]))

    def stain(self, shape, colour, *, alpha=0.5, soft=0.03, z=0.0, shift=(0, 0)):
        """Lay soft colour over the picture: char, gloss, shadow.

        Args:
            shape: One outline, shape (N, 2), or several, shape (K, N, 2).
            colour: What to lay on.
            alpha: Strength in [0, 1].
            soft: How far the edge fades out.
            z: Height above the ground.
            shift: Pixels to move it on the canvas.
        """
        blur = self.pixels(soft)
        points = self.screen(shape, z) + shift
        box = self._box(points, margin=2 * blur + 2)
        if box is None:
            return
        mask = _blur(self._mask(points, box, level=round(255 * alpha)), blur)
        self.image.paste(colour, box, mask)

    def shadow(self, shape, height: float, *, alpha: float = 0.5, z: float = 0.0):
        """Drop a soft shadow of a piece of this height away from the lamp."""
        shift = -self.light * self.pixels(height) * 0.9
        soft = 0.03 + 0.5 * height
        self.stain(shape, "#120c08", alpha=alpha, soft=soft, z=z, shift=shift)

    def line(self, points, width: float, colour: str, *, z: float = 0.0) -> None:
        """Draw a line with round ends."""
        dots = self.screen(np.asarray(points, float), z)
        thick = max(1, round(self.pixels(width)))
        path = [tuple(dot) for dot in dots]
        self.draw.line(path, fill=colour, width=thick, joint="curve")
        for x, y in (dots[0], dots[-1]) if thick > 3 else ():
            half = thick / 2
            self.draw.ellipse((x - half, y - half, x + half, y + half), fill=colour)

    def backdrop(self, palette: Palette, *, grain: str, fine: float, turn: float = 0.0):
        """Cover the whole canvas with one texture."""
        texture = self._texture(self.image.size, grain, fine, turn)
        self.image.paste(_coloured(texture, palette))

    def finish(self) -> Image.Image:
        """Return the picture at its final size, with the light and lens of a photo."""
        picture = self.image.resize(self.size, Image.Resampling.BILINEAR)
        if self.chance(0.5):
            picture = picture.filter(ImageFilter.GaussianBlur(self.between(0.2, 0.9)))
        y, x = np.linspace(-1, 1, 24)[:, None], np.linspace(-1, 1, 24)
        fall = self.between(0.0, 0.22) * (x * self.light[0] + y * self.light[1])
        glow = 1 + fall - self.between(0.03, 0.14) * (x * x + y * y)
        lamp = Image.fromarray((255 * glow / glow.max()).astype(np.uint8))
        lamp = lamp.resize(picture.size, Image.Resampling.BICUBIC)
        warmth = self.rng.normal(0, 0.05)
        exposure = self.between(0.78, 1.16) * glow.max()
        tone = exposure * np.array([1 + warmth, 1.0, 1 - warmth])
        levels = np.minimum(np.arange(256) * tone[:, None], 255).astype(int)
        picture = ImageChops.multiply(picture, Image.merge("RGB", [lamp] * 3))
        picture = picture.point(levels.ravel().tolist())
        x, y = (int(self.rng.integers(TILE - side)) for side in picture.size)
        noise = noise_tile("grain").crop((x, y, x + picture.width, y + picture.height))
        amount = self.between(0.02, 0.25)
        noise = noise.point([round(128 + (v - 128) * amount) for v in range(256)])
        return ImageChops.add(picture, Image.merge("RGB", [noise] * 3), offset=-128)

    def _box(self, points: np.ndarray, *, margin: float):
        """Return the canvas region around the points, or None if they are outside."""
        points = points.reshape(-1, 2)
        # 40 pixels more than the canvas keep rounded edges out of view.
        low = np.maximum(np.floor(points.min(axis=0) - margin), -40).astype(int)
        high = np.ceil(points.max(axis=0) + margin)
        high = np.minimum(high, np.array(self.image.size) + 40).astype(int)
        return None if (high - low < 2).any() else (*low.tolist(), *high.tolist())

    def _mask(self, points, box: tuple[int, ...], *, level: int = 255) -> Image.Image:
        """Return a picture of the box with the outlines filled, 0 elsewhere."""
        mask = Image.new("L", (box[2] - box[0], box[3] - box[1]))
        draw, points = ImageDraw.Draw(mask), points - box[:2]
        for outline in points if points.ndim == 3 else [points]:
            _polygon(draw, outline, level)
        return mask

    def _texture(self, size, grain: str, fine: float, turn: float) -> Image.Image:
        """Cut a piece out of a noise tile at random."""
        fine = min(fine * 2 / OVERSAMPLING, 0.95 * TILE / np.hypot(*size))
        cos, sin = fine * np.cos(turn), fine * np.sin(turn)
        reach = np.array([abs(cos), abs(sin)]) * size[0]
        reach = (reach + np.array([abs(sin), abs(cos)]) * size[1]) / 2
        x, y = self.rng.uniform(reach, TILE - reach)
        x -= (cos * size[0] + sin * size[1]) / 2
        y -= (cos * size[1] - sin * size[0]) / 2
        if turn:
            how, data = Image.Transform.AFFINE, (cos, sin, x, -sin, cos, y)
        else:  # the same, faster
            how = Image.Transform.EXTENT
            data = (x, y, x + fine * size[0], y + fine * size[1])
        return noise_tile(grain).transform(size, how, data, Image.Resampling.NEAREST)

    def _relief(self, mask: Image.Image, soft: float) -> Image.Image:
        """Return a grey picture, bright on edges towards the lamp, else dark."""
        step = _coarseness(soft)
        smooth = mask.reduce(step).filter(ImageFilter.GaussianBlur(soft / step))
        x, y = (round(c) for c in (self.light * soft * 0.7 / step).tolist())
        width, height = smooth.size
        inner = smooth.crop((-x, -y, width - x, height - y))
        outer = smooth.crop((x, y, width + x, height + y))
        grey = ImageChops.subtract(inner, outer, scale=2.3, offset=128)
        return grey.resize(mask.size, Image.Resampling.BILINEAR)


def _coarseness(blur: float) -> int:
    """Return how much smaller a mask may get before a blur: as good, much faster."""
    return 8 if blur > 24 else 4 if blur > 10 else 2 if blur > 3 else 1


def _blur(mask: Image.Image, radius: float) -> Image.Image:
    step = _coarseness(radius)
    small = mask.reduce(step).filter(ImageFilter.GaussianBlur(radius / step))
    return small.resize(mask.size, Image.Resampling.BILINEAR)


def _polygon(draw: ImageDraw.ImageDraw, points: np.ndarray, colour) -> None:
    draw.polygon(points.ravel().tolist(), fill=colour)


def _coloured(texture: Image.Image, palette: Palette) -> Image.Image:
    """Give a grey texture the colours of a palette."""
    texture.putpalette(_ramp(palette))
    return texture.convert("RGB")


@cache
def _ramp(palette: Palette) -> bytes:
    """Return 256 colours: from shadow through the palette's three to a highlight."""
    dark, middle, light = (np.array(parse_colour(colour)) for colour in palette)
    anchors = np.stack([dark * 0.4, dark, middle, light, 0.4 * light + 153])
    greys = (0, LIT_RANGE[0], 128, LIT_RANGE[1], 255)
    channels = [np.interp(np.arange(256), greys, channel) for channel in anchors.T]
    return np.stack(channels, axis=1).astype(np.uint8).tobytes()
