"""The demo's model.py: every kind of picture in, an answer or a clear sentence out."""

import io
import json
import os
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from unittest import mock

import numpy as np
import odd_pictures as odd
import pytest
from demo_model_fixture import DEMO, METADATA, RED, make_model
from odd_pictures import LEFT, RIGHT, as_bytes, halves
from PIL import Image

from going_modular.app import model
from going_modular.app.model import PictureError, Predictor, open_picture

GOOD = "kinds of picture: formats, modes, turns, frames, sizes"
BAD = "kinds of file that are no picture, or broken, or too large"
CASES = json.loads(Path(__file__).with_name("demo_cases.json").read_text("utf-8"))
FLIPPED = "picture files with four random bytes changed"


@pytest.fixture(scope="module")
def predictor(tmp_path_factory):
    return Predictor(make_model(tmp_path_factory.mktemp("model") / "m.onnx"))


def opened(image: Image.Image, kind: str, **options) -> np.ndarray:
    """What becomes of a picture that was saved as this kind."""
    return open_picture(io.BytesIO(as_bytes(image, kind, **options)))


def assert_halves(pixels: np.ndarray, *, tolerance=40, colours=(LEFT, RIGHT)) -> None:
    height, width, _ = pixels.shape
    assert pixels.dtype == np.uint8 and pixels.shape[2] == 3
    found = pixels[height // 2, [width // 8, -width // 8]].astype(int)
    assert np.abs(found - colours).max() <= tolerance


MODES = {"RGB": "JPEG PNG WEBP BMP PPM AVIF", "CMYK": "JPEG TIFF", "RGBA": "PNG"}
KINDS = {  # two halves, 60 x 40, as files of 38 kinds
    **{
        f"{kind} {mode}": as_bytes(halves().convert(mode), kind)
        for mode, kinds in MODES.items()
        for kind in kinds.split()
    },
    **{kind: as_bytes(halves().quantize(), kind) for kind in ("PNG", "GIF")},
    "JPEG progressive": as_bytes(halves(), "JPEG", progressive=True),
    "WEBP lossless": as_bytes(halves(), "WEBP", lossless=True),
    "TIFF packed": as_bytes(halves(), "TIFF", compression="tiff_lzw"),
    **{n: f for n, f in odd.READABLE.items() if n[:4] in ("exif", "anim", "besi")},
}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.reliability(GOOD, 1)
def test_formats_and_modes_turned_ones_and_animations(name):
    pixels = open_picture(io.BytesIO(KINDS[name]))
    assert pixels.shape == (40, 60, 3)
    assert_halves(pixels)


@pytest.mark.reliability(GOOD, 2)
def test_a_phones_photo_is_upright_and_its_colours_are_those_of_screens():
    assert_halves(open_picture(io.BytesIO(odd.HEIC)))
    in_srgb = [(218, 0, 26), (34, 61, 208)]  # by CSS Color 4, from Display P3
    for kind, mode in (("PNG", "RGB"), ("PNG", "RGBA"), ("JPEG", "RGB")):
        file = io.BytesIO(odd.wide_gamut(halves().convert(mode), kind))
        assert_halves(open_picture(file), tolerance=3, colours=in_srgb)


@pytest.mark.reliability(GOOD, 5)
def test_grey_is_scaled_not_clipped_and_odd_numbers_do_no_harm():
    assert opened(Image.new("L", (5, 4), 77), "PNG").tolist() == [[[77] * 3] * 5] * 4
    assert opened(Image.new("1", (5, 4), 1), "PNG").min() == 255
    ramp = np.linspace(0, 65535, 256).astype(np.uint16).reshape(1, 256)
    for kind in ("PNG", "TIFF"):
        pixels = opened(Image.fromarray(ramp), kind)
        assert np.abs(pixels[0, :, 0].astype(int) - np.arange(256)).max() <= 1
    values = np.array([[0.0, 0.5, 1.0, np.nan, np.inf, -1.0]], np.float32)
    pixels = opened(Image.fromarray(values), "TIFF")
    assert pixels[0, :, 0].tolist() == [0, 127, 255, 0, 0, 0]


@pytest.mark.reliability(GOOD, 6)
def test_transparent_parts_become_white_and_extreme_shapes_are_answered(predictor):
    for mode in ("RGBA", "LA", "P"):
        image = Image.new("RGBA", (8, 8), (10, 10, 10, 0))
        assert opened(image.convert(mode), "PNG").min() >= 250
    for size in ((1, 1), (1, 4000), (4000, 1)):
        pixels = opened(Image.new("RGB", size, RED), "PNG")
        assert pixels.shape == (size[1], size[0], 3)
        assert predictor.predict(pixels).probabilities


@pytest.mark.parametrize("size", [(4000, 3000), (8000, 6000), (3000, 4000)])
@pytest.mark.reliability(GOOD, 2)
def test_phone_photos_are_reduced(size):
    for kind in ("JPEG", "PNG"):
        pixels = opened(halves(*size), kind)
        height, width, _ = pixels.shape
        assert model.ENOUGH <= min(height, width) < 2 * model.ENOUGH
        assert width / height == pytest.approx(size[0] / size[1], 0.01)
        assert_halves(pixels)
        assert opened(halves(900, 671), kind).shape == (671, 900, 3), "not large"
        assert opened(halves(900, 672), kind).shape == (336, 450, 3)


BOMB = {"50,000 x 50,000": (odd.black_png(50_000, 50_000, rows=10), "too large")}
TORN = {name: (file, "damaged") for name, (file, _) in odd.NOT_IN_BROWSERS.items()}
REFUSED_HERE = odd.REFUSED | TORN | BOMB


@pytest.mark.parametrize("name", REFUSED_HERE)
@pytest.mark.reliability(BAD, 1)
def test_what_cannot_be_read_gets_a_friendly_sentence(name, tmp_path):
    content, reason = REFUSED_HERE[name]
    path = tmp_path / "secret_name.jpg"
    path.write_bytes(content)
    for source in (path, io.BytesIO(content)):
        with pytest.raises(PictureError) as caught:
            open_picture(source)
        assert str(caught.value) == model.SENTENCES[reason]
        assert "Please send" in model.SENTENCES[reason]


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow on what it finds there
@pytest.mark.reliability(FLIPPED, 200)
def test_flipped_bytes_never_escape_as_another_error():
    rng = np.random.default_rng(1)
    files = [as_bytes(halves(), kind) for kind in ("PNG", "WEBP", "GIF", "TIFF")]
    for file in (odd.turned(6), *files):
        good = np.frombuffer(file, np.uint8)
        for _ in range(40):
            broken = good.copy()
            broken[rng.integers(0, min(len(good), 400), 4)] = rng.integers(0, 256, 4)
            with suppress(PictureError):
                pixels = open_picture(io.BytesIO(broken.tobytes()))
                assert pixels.dtype == np.uint8 and pixels.shape[2] == 3


def test_an_app_has_one_model_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="has none: run the lesson"):
        model.find_model(tmp_path)
    (tmp_path / ".foodvision_mini.onnx.0123.part").touch()  # being written
    (file := tmp_path / "foodvision_mini.onnx").touch()
    assert model.find_model(tmp_path) == file
    (tmp_path / "foodvision_big.onnx").touch()
    with pytest.raises(FileNotFoundError, match="foodvision_big.onnx, foodvision_mini"):
        model.find_model(tmp_path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "lfs pull$"),
        (b"", "m.onnx is empty"),
        (b"<!doctype html><p>404", "is not an ONNX file"),
        (b"PK\x03\x04 a checkpoint", "is not an ONNX file"),
        (bytes(9000), "is not an ONNX file"),
        (99, "may be incomplete"),
        (-1, "may be incomplete"),
    ],
)
def test_what_is_no_model_is_called_what_it_is(tmp_path, content, words):
    path = make_model(tmp_path / "m.onnx")
    cut = isinstance(content, int)
    path.write_bytes(path.read_bytes()[:content] if cut else content)
    with pytest.raises(ValueError) as caught:
        Predictor(path)
    assert re.search(words, str(caught.value).partition(". ")[0])


def test_a_model_that_cannot_be_read_is_said_to_be_so(tmp_path, monkeypatch):
    path, folder = make_model(tmp_path / "m.onnx"), tmp_path / "folder.onnx"
    folder.mkdir()
    with pytest.raises(OSError, match="read at .*folder.onnx: .* directory|denied"):
        Predictor(folder)
    error = PermissionError(13, "Permission denied")
    monkeypatch.setattr(Path, "open", mock.Mock(side_effect=error))
    with pytest.raises(PermissionError, match="m.onnx: Permission denied") as caught:
        Predictor(path)
    assert "lfs" not in str(caught.value)


@pytest.mark.parametrize("changes", [{n: None} for n in METADATA] + CASES["metadata"])
def test_unusable_metadata_is_refused(tmp_path, changes):
    with pytest.raises(ValueError, match="m.onnx: unusable metadata"):
        Predictor(make_model(tmp_path / "m.onnx", **changes))


THREADS = """
import os, sys
if hasattr(os, "sched_setaffinity"):  # on Linux
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
import model
for threads in (None, 3):
    predictor = model.Predictor(sys.argv[1], threads=threads)
    print(predictor._session.get_session_options().intra_op_num_threads)
print({"torch", "gradio"} & {*sys.modules})
"""


def test_threads_are_for_cpus_that_may_be_used_and_nothing_heavy_is_imported(tmp_path):
    run = [sys.executable, "-c", THREADS, str(make_model(tmp_path / "m.onnx"))]
    done = subprocess.run(run, cwd=DEMO, capture_output=True, text=True, timeout=120)
    cpus = 1 if hasattr(os, "sched_setaffinity") else os.cpu_count()
    assert (done.stdout, done.stderr) == (f"{cpus}\n3\nset()\n", "")
