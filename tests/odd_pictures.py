"""Odd files: what the app's Python and the browser's page must make of them alike."""

import json
import struct
import zlib
from pathlib import Path

import numpy as np
from drawn_images import as_bytes
from PIL import Image, ImageCms

P3 = {  # Display P3's colours, adapted to the white of profiles
    b"rXYZ": (0.51512, 0.24120, -0.00105),
    b"gXYZ": (0.29198, 0.69225, 0.04189),
    b"bXYZ": (0.15710, 0.06657, 0.78407),
}
LEFT, RIGHT = (200, 40, 40), (40, 60, 200)  # colours of the two halves below
# What stores a picture so that this orientation of EXIF's turns it upright.
UNDO = dict(zip((2, 4, 6, 3, 8, 5, 7), Image.Transpose, strict=True))
# A shorter side of 671 pixels is kept; 672 is halved, and so on: a third, a sixth.
SIZES = [(1, 1000), (1000, 1), (700, 671), (673, 672), (1013, 1700), (2400, 2020)]


def halves(width=60, height=40) -> Image.Image:
    """Red on the left, blue on the right: any turn or flip shows."""
    image = Image.new("RGB", (width, height), RIGHT)
    image.paste(LEFT, (0, 0, width // 2, height))
    return image


def turned(orientation: int) -> bytes:
    """A JPEG that is upright once its EXIF orientation has been heeded."""
    stored, exif = halves(), Image.Exif()
    if orientation > 1:
        stored = stored.transpose(UNDO[orientation])
    exif[0x0112] = orientation
    return as_bytes(stored, "JPEG", exif=exif, quality=95)


def animated(kind: str) -> bytes:
    """Two halves first, then other frames."""
    later = [Image.new("RGB", (60, 40), colour) for colour in ("lime", "black")]
    options = {"save_all": True, "append_images": later, "duration": 100}
    return as_bytes(halves(), kind, **options)


def chunk(kind: bytes, data: bytes) -> bytes:
    end = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + end


# The two halves, with something beside the pixels: a chunk, an APP segment, metadata.
def png_and(beside: bytes) -> bytes:
    png = as_bytes(halves(), "PNG")
    return png[:33] + beside + png[33:]


def jpeg_and(number: int, data: bytes) -> bytes:
    jpeg = as_bytes(halves(), "JPEG", quality=95)
    segment = struct.pack(">BBH", 0xFF, 0xE0 + number, len(data) + 2) + data
    return jpeg[:2] + segment + jpeg[2:]


def webp_and(kind: str, data: bytes) -> bytes:
    return as_bytes(halves(), "WEBP", lossless=True, **{kind: data})


def wide_gamut(image: Image.Image, kind: str) -> bytes:
    """The same numbers, said to be Display P3's, as phones' photos say."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    name, other = (text.encode("utf-16-be") for text in ("sRGB", "P3 -"))
    profile = bytearray(srgb.replace(name, other))
    for colour, xyz in P3.items():
        (place,) = struct.unpack_from(">I", profile, profile.index(colour) + 4)
        fixed = (round(65536 * value) for value in xyz)
        struct.pack_into(">3i", profile, place + 8, *fixed)
    return as_bytes(image, kind, icc_profile=bytes(profile), quality=95)


def black_png(width: int, height: int, *, rows: int | None = None) -> bytes:
    """A black PNG, tiny however large it is; with few rows its header lies."""
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    pixels = zlib.compress(bytes((width // 8 + 1) * (rows or height)), 9)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


SEE_THROUGH = Image.new("RGBA", (60, 40), (10, 10, 10, 0))
SEE_THROUGH.paste((*LEFT, 255), (0, 0, 30, 40))
DEEP = Image.fromarray(np.tile(np.linspace(0, 65535, 256).astype(np.uint16), (4, 1)))
NOISE = Image.effect_noise((61, 53), 90).convert("RGB")
JPEG = as_bytes(halves(400, 300), "JPEG")
PNG = as_bytes(halves(400, 300), "PNG")
NOISY_PNG = as_bytes(NOISE.resize((400, 300)), "PNG")
IEND = 12  # bytes of a PNG's last chunk: length 0, name, checksum

# The halves as a phone's photo, turned by EXIF: nothing installed here makes one.
HEIC = Path(__file__).with_name("halves.heic").read_bytes()

# Both must make the same pixels of these.
READABLE = {
    "jpeg": as_bytes(halves(), "JPEG", quality=95),
    "progressive jpeg": as_bytes(halves(), "JPEG", quality=95, progressive=True),
    "grey jpeg": as_bytes(halves().convert("L"), "JPEG", quality=95),
    "png": as_bytes(halves(), "PNG"),
    "palette": as_bytes(halves().quantize(), "PNG"),
    "grey": as_bytes(NOISE.convert("L"), "PNG"),
    "black and white": as_bytes(NOISE.convert("1"), "PNG"),
    "16-bit grey": as_bytes(DEEP, "PNG"),
    "see-through": as_bytes(SEE_THROUGH, "PNG"),
    "webp": as_bytes(NOISE, "WEBP", lossless=True),
    "gif": as_bytes(halves().quantize(), "GIF"),
    "bmp": as_bytes(NOISE, "BMP"),
    **{f"animated {kind}": animated(kind) for kind in ("GIF", "WEBP", "PNG")},
    **{f"exif {orientation}": turned(orientation) for orientation in (1, *UNDO)},
    # Beside the pixels may be anything.
    "beside: much text": png_and(chunk(b"tEXt", b"a\0" + bytes(2_000_000))),
    "beside: packed text": png_and(chunk(b"zTXt", b"a\0\0" + b"not packed")),
    "beside: no profile": png_and(chunk(b"iCCP", b"name\0\0junk")),
    "beside: a wrong sum": png_and(chunk(b"pHYs", bytes(9))[:-4] + b"oops"),
    "beside: odd gaps": png_and(chunk(b"bKGD", b"") + chunk(b"vpAg", b"\xff" * 30)),
    "beside: bad EXIF": png_and(chunk(b"eXIf", b"\xff" * 7)),
    "beside: half a tRNS": png_and(chunk(b"tRNS", b"\0\1\0")),
    "beside: bad EXIF in a jpeg": jpeg_and(1, b"Exif\0\0II*\0\xff\xff\xff\x7f"),
    "beside: half a preview": jpeg_and(2, b"MPF\0MM\0*\0\0\0\x08\0\x63"),
    "beside: Photoshop's": jpeg_and(13, b"Photoshop 3.0\x008BIM\4\4\0\0\xff\xff\xff"),
    "beside: bad EXIF in a webp": webp_and("exif", b"Exif\0\0MM\0*\xff"),
    "beside: no profile in a webp": webp_and("icc_profile", b"junk" * 99),
    "beside: XMP's turn": webp_and("xmp", b"<x tiff:Orientation='6'/>"),
    "one pixel": as_bytes(Image.new("RGB", (1, 1), LEFT), "PNG"),
    "jpeg with a film": JPEG + bytes(5000),
    "png with a film": NOISY_PNG + bytes(5000),
    "png with its last bytes lost": NOISY_PNG[:-4],
    **{f"{w} x {h}": as_bytes(NOISE.resize((w, h)), "PNG") for w, h in SIZES},
}

# Both must refuse these, for the reason that `SENTENCES` spells out.
TABLE = json.loads(Path(__file__).with_name("not_pictures.json").read_text("utf-8"))
REFUSED = {name: (text.encode("latin-1"), why) for name, (text, why) in TABLE.items()}
REFUSED |= {
    "zeros": (bytes(1000), "no picture"),
    "half a jpeg": (JPEG[: len(JPEG) // 2], "damaged"),
    "half a png": (PNG[: len(PNG) // 2], "damaged"),
    "nearly all of a png": (NOISY_PNG[: -IEND - 200], "damaged"),
    "a png that ends midway": (NOISY_PNG[:90_000] + PNG[-IEND:], "damaged"),
    "a torn header": (PNG[:30], "damaged"),
    "huge": (black_png(9000, 8000), "too large"),
}

# Python reads such files, but these are damaged; many browsers read none of the kind.
NOT_IN_BROWSERS = {
    f"heic {brand}": (f"\0\0\0\x18ftyp{brand}\0\0\0\0mif1heic".encode(), "HEIC")
    for brand in ("heic", "heix", "hevc", "mif1", "msf1")
}
for kind in ("TIFF", "PPM"):
    NOT_IN_BROWSERS[f"half a {kind}"] = as_bytes(halves(), kind)[:300], kind
