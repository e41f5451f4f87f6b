"""The demo's model.py: every kind of picture in, an answer or a clear sentence out."""

import io
import json
import struct
import subprocess
import sys
import zlib
from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pytest
from demo_model_fixture import BLUE, DARK, DEMO, GREEN, METADATA, RED, make_model
from PIL import Image

sys.path.insert(0, str(DEMO))
from model import ENOUGH, PictureError, Predictor, open_picture  # noqa: E402

GOOD = "kinds of picture: formats, modes, turns, frames, sizes"
BAD = "kinds of file that are no picture, or broken, or too large"
FLIPPED = "picture files with four random bytes changed"
LEFT, RIGHT = (200, 40, 40), (40, 60, 200)  # colours of the two halves below


@pytest.fixture(scope="module")
def predictor(tmp_path_factory):
    return Predictor(make_model(tmp_path_factory.mktemp("model") / "m.onnx"))


def halves(width=60, height=40) -> Image.Image:
    """Red on the left, blue on the right: any turn or flip shows."""
    image = Image.new("RGB", (width, height), RIGHT)
    image.paste(LEFT, (0, 0, width // 2, height))
    return image


def as_file(image: Image.Image, kind: str, **options) -> io.BytesIO:
    file = io.BytesIO()
    image.save(file, kind, **options)
    file.seek(0)
    return file


def assert_halves(pixels: np.ndarray, *, tolerance=40) -> None:
    assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3
    height, width, _ = pixels.shape
    left, right = pixels[height // 2, width // 8], pixels[height // 2, -width // 8]
    assert np.abs(left.astype(int) - LEFT).max() <= tolerance
    assert np.abs(right.astype(int) - RIGHT).max() <= tolerance


@pytest.mark.parametrize(
    ("kind", "mode", "options"),
    [
        ("JPEG", "RGB", {}),
        ("JPEG", "RGB", {"progressive": True}),
        ("JPEG", "CMYK", {}),
        ("PNG", "RGB", {}),
        ("PNG", "P", {}),
        ("PNG", "RGBA", {}),
        ("WEBP", "RGB", {}),
        ("WEBP", "RGB", {"lossless": True}),
        ("GIF", "P", {}),
        ("BMP", "RGB", {}),
        ("TIFF", "RGB", {"compression": "tiff_lzw"}),
        ("TIFF", "CMYK", {}),
        ("PPM", "RGB", {}),
        ("AVIF", "RGB", {}),
    ],
)
def test_formats_and_modes(kind, mode, options, reliability):
    image = halves().quantize() if mode == "P" else halves().convert(mode)
    pixels = open_picture(as_file(image, kind, **options))
    assert pixels.shape == (40, 60, 3)
    assert_halves(pixels)
    reliability(GOOD)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_comes_out_upright(orientation, reliability):
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = halves()
    if orientation in undo:
        stored = stored.transpose(undo[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = open_picture(as_file(stored, "JPEG", exif=exif))
    assert pixels.shape == (40, 60, 3)
    assert_halves(pixels)
    reliability(GOOD)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_animations_give_their_first_frame(kind, reliability):
    later = [Image.new("RGB", (60, 40), colour) for colour in (GREEN, DARK)]
    options = {"save_all": True, "append_images": later, "duration": 100}
    assert_halves(open_picture(as_file(halves(), kind, **options)))
    reliability(GOOD)


def test_grey_and_black_and_white(reliability):
    assert (
        open_picture(as_file(Image.new("L", (5, 4), 77), "PNG")).tolist()
        == [[[77] * 3] * 5] * 4
    )
    assert open_picture(as_file(Image.new("1", (5, 4), 1), "PNG")).min() == 255
    reliability(GOOD, 2)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_grey_is_scaled_not_clipped(kind, reliability):
    ramp = np.linspace(0, 65535, 256).astype(np.uint16).reshape(1, 256)
    pixels = open_picture(as_file(Image.fromarray(ramp), kind))
    assert np.abs(pixels[0, :, 0].astype(int) - np.arange(256)).max() <= 1
    reliability(GOOD)


def test_float_tiff_is_scaled_and_odd_numbers_do_no_harm(reliability):
    values = np.array([[0.0, 0.5, 1.0, np.nan, np.inf, -1.0]], np.float32)
    pixels = open_picture(as_file(Image.fromarray(values), "TIFF"))
    assert pixels[0, :, 0].tolist() == [0, 127, 255, 0, 0, 0]
    reliability(GOOD)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_parts_become_white(mode, reliability):
    image = Image.new("RGBA", (8, 8), (10, 10, 10, 0))
    pixels = open_picture(as_file(image.convert(mode), "PNG"))
    assert pixels.min() >= 250
    reliability(GOOD)


def test_small_pictures_are_untouched(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (30, 50, 3), np.uint8)
    path = tmp_path / "wrong_ending.jpg"  # the content counts, not the name
    Image.fromarray(noise).save(path, "PNG")
    assert np.array_equal(open_picture(path), noise)
    assert np.array_equal(open_picture(str(path)), noise)


@pytest.mark.parametrize("size", [(1, 1), (1, 4000), (4000, 1)])
def test_extreme_shapes(size, predictor, reliability):
    pixels = open_picture(as_file(Image.new("RGB", size, RED), "PNG"))
    assert pixels.shape == (size[1], size[0], 3)
    assert predictor.predict(pixels).probabilities
    reliability(GOOD)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("size", [(4000, 3000), (8000, 6000), (3000, 4000)])
def test_phone_photos_are_reduced(size, kind, reliability):
    pixels = open_picture(as_file(halves(*size), kind))
    assert ENOUGH <= min(pixels.shape[:2]) < 2 * ENOUGH
    assert pixels.shape[1] / pixels.shape[0] == pytest.approx(size[0] / size[1], 0.01)
    assert_halves(pixels)
    reliability(GOOD)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_what_is_not_large_keeps_every_pixel(kind):
    assert open_picture(as_file(halves(900, 671), kind)).shape == (671, 900, 3)
    assert open_picture(as_file(halves(900, 672), kind)).shape == (336, 450, 3)


def png_claiming(width: int, height: int) -> bytes:
    """A tiny PNG whose header claims to be huge: a decompression bomb."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        end = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + end

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


JPEG = as_file(halves(400, 300), "JPEG").getvalue()
PNG = as_file(halves(400, 300), "PNG").getvalue()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "empty"),
        (b"my shopping list: milk, eggs", "not a picture"),
        (b"%PDF-1.7\n1 0 obj\n", "not a picture"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a picture"),
        (bytes(1000), "not a picture"),
        (b"\xff\xd8\xff\xe0", "not a picture|damaged"),
        (JPEG[: len(JPEG) // 2], "damaged or incomplete"),
        (PNG[: len(PNG) // 2], "damaged or incomplete"),
        (PNG[:60], "damaged or incomplete|not a picture"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (png_claiming(9000, 9000), "too large"),
        (png_claiming(50_000, 50_000), "too large"),
    ],
)
def test_what_cannot_be_read_gets_a_friendly_sentence(
    content, sentence, tmp_path, reliability
):
    path = tmp_path / "secret_name.jpg"
    path.write_bytes(content)
    for source in (path, io.BytesIO(content)):
        with pytest.raises(PictureError, match=sentence) as caught:
            open_picture(source)
        message = str(caught.value)
        assert "Please send" in message and message.endswith(".")
        assert "secret_name" not in message and "\n" not in message
    reliability(BAD)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow on what it finds there
def test_flipped_bytes_never_escape_as_another_error(reliability):
    rng = np.random.default_rng(1)
    exif = Image.Exif()
    exif[0x0112] = 6
    kinds = {"JPEG": {"exif": exif}, "PNG": {}, "WEBP": {}, "GIF": {}, "TIFF": {}}
    for kind, options in kinds.items():
        good = np.frombuffer(as_file(halves(), kind, **options).getvalue(), np.uint8)
        for _ in range(40):
            broken = good.copy()
            where = rng.integers(0, min(len(good), 400), 4)
            broken[where] = rng.integers(0, 256, 4)
            try:
                pixels = open_picture(io.BytesIO(broken.tobytes()))
            except PictureError:
                continue
            assert pixels.dtype == np.uint8 and pixels.shape[2] == 3
    reliability(FLIPPED, 40 * len(kinds))


def test_a_missing_picture_is_the_callers_mistake_not_the_visitors(tmp_path):
    with pytest.raises(FileNotFoundError):
        open_picture(tmp_path / "nothing.jpg")


@pytest.mark.parametrize(
    ("colour", "name"), [(RED, "pizza"), (DARK, "steak"), (GREEN, "sushi")]
)
def test_answers(predictor, colour, name, tmp_path):
    path = tmp_path / "plate.png"
    Image.new("RGB", (60, 40), colour).save(path)
    answer = predictor.predict(path)
    values = list(answer.probabilities.values())
    assert next(iter(answer.probabilities)) == name
    assert values == sorted(values, reverse=True)
    assert sum(values) == pytest.approx(1, abs=1e-5)
    assert all(type(value) is float for value in [*values, answer.familiarity])
    assert answer.is_familiar is True and answer.seconds > 0
    again = predictor.predict(open_picture(path))
    assert again.probabilities == answer.probabilities
    with pytest.raises(FrozenInstanceError):
        answer.seconds = 0


def test_blue_is_not_one_of_ours(predictor):
    answer = predictor.predict(np.full((30, 30, 3), BLUE, np.uint8))
    assert answer.is_familiar is False
    assert answer.familiarity < predictor.familiarity_threshold


def test_the_file_describes_itself(predictor):
    assert predictor.class_names == ["pizza", "steak", "sushi"]
    assert predictor.familiarity_threshold == 0.5
    assert predictor.contender == "EffNet-Lite2"
    assert predictor.trained_on == "450 real photos"
    assert predictor.is_practice is False
    assert predictor.test_result == {"correct": 147, "total": 150}


def test_a_missing_model_says_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match="run the lesson"):
        Predictor(tmp_path / "none.onnx")


def test_a_git_lfs_pointer_is_recognised_as_such(tmp_path):
    path = tmp_path / "m.onnx"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    with pytest.raises(ValueError, match="git lfs pull"):
        Predictor(path)


@pytest.mark.parametrize(
    "changes",
    [
        *(
            {name: None}
            for name in METADATA
            if name
            in {
                "class_names",
                "familiarity_threshold",
                "contender",
                "trained_on",
                "is_practice",
                "test_result",
            }
        ),
        {"class_names": "pizza"},
        {"class_names": '["pizza"]'},
        {"class_names": '["pizza", "pizza", "sushi"]'},
        {"class_names": "3"},
        {"familiarity_threshold": "high"},
        {"is_practice": "maybe"},
        {"test_result": "146"},
        {"test_result": json.dumps({"correct": 151, "total": 150})},
        {"test_result": json.dumps({"correct": 1})},
    ],
)
def test_unusable_metadata_is_refused(tmp_path, changes):
    with pytest.raises(ValueError, match="m.onnx: unusable metadata"):
        Predictor(make_model(tmp_path / "m.onnx", **changes))


def test_needs_neither_torch_nor_gradio():
    code = "import sys, model; sys.exit(bool({'torch', 'gradio'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], cwd=DEMO, check=True, timeout=120)


def test_threads_are_passed_on(tmp_path):
    path: Path = make_model(tmp_path / "m.onnx")
    session = Predictor(path, threads=1)._session
    assert session.get_session_options().intra_op_num_threads == 1
