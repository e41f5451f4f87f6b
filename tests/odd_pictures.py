"""Odd files: what the app's Python and the browser's page must make of them alike."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

LEFT, RIGHT = (200, 40, 40), (40, 60, 200)  # colours of the two halves below
UNDO = {  # what stores a picture so that EXIF's orientation turns it upright
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def halves(width=60, height=40) -> Image.Image:
    """Red on the left, blue on the right: any turn or flip shows."""
    image = Image.new("RGB", (width, height), RIGHT)
    image.paste(LEFT, (0, 0, width // 2, height))
    return image


def as_bytes(image: Image.Image, kind: str, **options) -> bytes:
    """The picture as a file of this kind."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def turned(orientation: int) -> bytes:
    """A JPEG that is upright once its EXIF orientation has been heeded."""
    stored, exif = halves(), Image.Exif()
    if UNDO[orientation] is not None:
        stored = stored.transpose(UNDO[orientation])
    exif[0x0112] = orientation
    return as_bytes(stored, "JPEG", exif=exif, quality=95)


def animated(kind: str) -> bytes:
    """Two halves first, then other frames."""
    later = [Image.new("RGB", (60, 40), colour) for colour in ("lime", "black")]
    options = {"save_all": True, "append_images": later, "duration": 100}
    return as_bytes(halves(), kind, **options)


def black_png(width: int, height: int, *, rows: int | None = None) -> bytes:
    """A black PNG, tiny however large it is; with few rows its header lies."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        end = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + end

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    pixels = zlib.compress(bytes((width // 8 + 1) * (rows or height)), 9)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def _see_through() -> Image.Image:
    clear = Image.new("RGBA", (60, 40), (10, 10, 10, 0))
    clear.paste(halves().convert("RGBA").crop((0, 0, 30, 40)), (0, 0))
    return clear


def _deep() -> Image.Image:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)
    return Image.fromarray(np.tile(ramp, (4, 1)))


NOISE = Image.effect_noise((61, 53), 90).convert("RGB")
JPEG = as_bytes(halves(400, 300), "JPEG")
PNG = as_bytes(halves(400, 300), "PNG")
NOISY_PNG = as_bytes(NOISE.resize((400, 300)), "PNG")
IEND = 12  # bytes of a PNG's last chunk: length 0, name, checksum

# Both must make the same pixels of these.
READABLE = {
    "jpeg": as_bytes(halves(), "JPEG", quality=95),
    "progressive jpeg": as_bytes(halves(), "JPEG", quality=95, progressive=True),
    "grey jpeg": as_bytes(halves().convert("L"), "JPEG", quality=95),
    "png": as_bytes(halves(), "PNG"),
    "palette": as_bytes(halves().quantize(), "PNG"),
    "grey": as_bytes(NOISE.convert("L"), "PNG"),
    "black and white": as_bytes(NOISE.convert("1"), "PNG"),
    "16-bit grey": as_bytes(_deep(), "PNG"),
    "see-through": as_bytes(_see_through(), "PNG"),
    "webp": as_bytes(NOISE, "WEBP", lossless=True),
    "gif": as_bytes(halves().quantize(), "GIF"),
    "bmp": as_bytes(NOISE, "BMP"),
    **{f"animated {kind}": animated(kind) for kind in ("GIF", "WEBP", "PNG")},
    **{f"exif {orientation}": turned(orientation) for orientation in UNDO},
    "one pixel": as_bytes(Image.new("RGB", (1, 1), LEFT), "PNG"),
    "jpeg with a film": JPEG + bytes(5000),
    "png with a film": NOISY_PNG + bytes(5000),
    "png with its last bytes lost": NOISY_PNG[:-4],
    "1 x 1000": as_bytes(NOISE.resize((1, 1000)), "PNG"),
    "1000 x 1": as_bytes(NOISE.resize((1000, 1)), "PNG"),
    "671 is kept": as_bytes(NOISE.resize((700, 671)), "PNG"),
    "672 is halved": as_bytes(NOISE.resize((671 + 2, 672)), "PNG"),
    "a third": as_bytes(NOISE.resize((1013, 1700)), "PNG"),
    "a sixth": as_bytes(NOISE.resize((2400, 2020)), "PNG"),
}

# Both must refuse these, for the reason that `SENTENCES` spells out.
REFUSED = {
    "empty": (b"", "empty"),
    "text": (b"my shopping list: milk, eggs", "no picture"),
    "pdf": (b"%PDF-1.7\n1 0 obj\n", "no picture"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no picture"),
    "zeros": (bytes(1000), "no picture"),
    "only a start": (b"\xff\xd8\xff\xe0", "damaged"),
    "half a jpeg": (JPEG[: len(JPEG) // 2], "damaged"),
    "half a png": (PNG[: len(PNG) // 2], "damaged"),
    "nearly all of a png": (NOISY_PNG[: -IEND - 200], "damaged"),
    "a png that ends midway": (
        NOISY_PNG[: len(NOISY_PNG) // 2] + PNG[-IEND:],
        "damaged",
    ),
    "a torn header": (PNG[:30], "damaged"),
    **{
        f"heic {brand}": (
            b"\0\0\0\x18ftyp" + brand.encode() + b"\0\0\0\0mif1heic",
            "heic",
        )
        for brand in ("heic", "heix", "hevc", "mif1", "msf1")
    },
    "huge": (black_png(9000, 8000), "too large"),
}
