"""The demo's model.py: every kind of picture in, an answer or a clear sentence out."""

import io
import json
import os
import re
import subprocess
import sys
from dataclasses import FrozenInstanceError
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from demo_model_fixture import (
    ABOUT,
    DARK,
    DEMO,
    GREEN,
    METADATA,
    RED,
    make_model,
)
from odd_pictures import (
    HEIC,
    LEFT,
    NOT_IN_BROWSERS,
    READABLE,
    REFUSED,
    RIGHT,
    as_bytes,
    black_png,
    halves,
    wide_gamut,
)
from PIL import Image

from going_modular.app.model import (
    CPUS,
    DISH,
    ENOUGH,
    NO_PLATE,
    OTHER,
    SENTENCES,
    PictureError,
    Predictor,
    find_model,
    open_picture,
)

GOOD = "kinds of picture: formats, modes, turns, frames, sizes"
BAD = "kinds of file that are no picture, or broken, or too large"
FLIPPED = "picture files with four random bytes changed"


@pytest.fixture(scope="module")
def predictor(tmp_path_factory):
    return Predictor(make_model(tmp_path_factory.mktemp("model") / "m.onnx"))


def as_file(image: Image.Image, kind: str, **options) -> io.BytesIO:
    return io.BytesIO(as_bytes(image, kind, **options))


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
@pytest.mark.reliability(GOOD, 1)
def test_formats_and_modes(kind, mode, options):
    image = halves().quantize() if mode == "P" else halves().convert(mode)
    pixels = open_picture(as_file(image, kind, **options))
    assert pixels.shape == (40, 60, 3)
    assert_halves(pixels)


UPRIGHT_HALVES = [name for name in READABLE if name[:4] in ("exif", "anim", "besi")]


@pytest.mark.parametrize("name", UPRIGHT_HALVES)
@pytest.mark.reliability(GOOD, 1)
def test_turned_ones_are_upright_and_animations_give_their_first_frame(name):
    pixels = open_picture(io.BytesIO(READABLE[name]))
    assert pixels.shape == (40, 60, 3)
    assert_halves(pixels)


@pytest.mark.reliability(GOOD, 2)
def test_a_phones_photo_is_upright_and_its_colours_are_those_of_screens():
    assert_halves(open_picture(io.BytesIO(HEIC)))
    for kind, mode in (("PNG", "RGB"), ("PNG", "RGBA"), ("JPEG", "RGB")):
        file = io.BytesIO(wide_gamut(halves().convert(mode), kind))
        left, right = open_picture(file)[20, [5, -5]].astype(int)
        assert np.abs(left - srgb_of_p3(LEFT)).max() <= 3
        assert np.abs(right - srgb_of_p3(RIGHT)).max() <= 3


def srgb_of_p3(colour) -> np.ndarray:
    """By the two standards' numbers (CSS Color 4): sRGB's curve in and out."""
    matrix = [[1.2249, -0.2249, 0], [-0.0421, 1.0421, 0], [-0.0196, -0.0786, 1.0983]]
    linear = (matrix @ ((np.array(colour) / 255 + 0.055) / 1.055) ** 2.4).clip(0, 1)
    curve = np.where(
        linear > 0.0031, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear
    )
    return (255 * curve).round().astype(int)


@pytest.mark.reliability(GOOD, 2)
def test_grey_and_black_and_white():
    assert (
        open_picture(as_file(Image.new("L", (5, 4), 77), "PNG")).tolist()
        == [[[77] * 3] * 5] * 4
    )
    assert open_picture(as_file(Image.new("1", (5, 4), 1), "PNG")).min() == 255


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.reliability(GOOD, 1)
def test_sixteen_bit_grey_is_scaled_not_clipped(kind):
    ramp = np.linspace(0, 65535, 256).astype(np.uint16).reshape(1, 256)
    pixels = open_picture(as_file(Image.fromarray(ramp), kind))
    assert np.abs(pixels[0, :, 0].astype(int) - np.arange(256)).max() <= 1


@pytest.mark.reliability(GOOD, 1)
def test_float_tiff_is_scaled_and_odd_numbers_do_no_harm():
    values = np.array([[0.0, 0.5, 1.0, np.nan, np.inf, -1.0]], np.float32)
    pixels = open_picture(as_file(Image.fromarray(values), "TIFF"))
    assert pixels[0, :, 0].tolist() == [0, 127, 255, 0, 0, 0]


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
@pytest.mark.reliability(GOOD, 1)
def test_transparent_parts_become_white(mode):
    image = Image.new("RGBA", (8, 8), (10, 10, 10, 0))
    pixels = open_picture(as_file(image.convert(mode), "PNG"))
    assert pixels.min() >= 250


@pytest.mark.parametrize("size", [(1, 1), (1, 4000), (4000, 1)])
@pytest.mark.reliability(GOOD, 1)
def test_extreme_shapes(size, predictor):
    pixels = open_picture(as_file(Image.new("RGB", size, RED), "PNG"))
    assert pixels.shape == (size[1], size[0], 3)
    assert predictor.predict(pixels).probabilities


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("size", [(4000, 3000), (8000, 6000), (3000, 4000)])
@pytest.mark.reliability(GOOD, 1)
def test_phone_photos_are_reduced(size, kind):
    pixels = open_picture(as_file(halves(*size), kind))
    assert ENOUGH <= min(pixels.shape[:2]) < 2 * ENOUGH
    assert pixels.shape[1] / pixels.shape[0] == pytest.approx(size[0] / size[1], 0.01)
    assert_halves(pixels)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_what_is_not_large_keeps_every_pixel(kind):
    assert open_picture(as_file(halves(900, 671), kind)).shape == (671, 900, 3)
    assert open_picture(as_file(halves(900, 672), kind)).shape == (336, 450, 3)


CLAIM = black_png(50_000, 50_000, rows=10)  # a decompression bomb
REFUSED_HERE = {
    **REFUSED,
    **{name: (content, "damaged") for name, (content, _) in NOT_IN_BROWSERS.items()},
    "a claim of 50,000 x 50,000": (CLAIM, "too large"),
}


@pytest.mark.parametrize("name", REFUSED_HERE)
@pytest.mark.reliability(BAD, 1)
def test_what_cannot_be_read_gets_a_friendly_sentence(name, tmp_path):
    content, reason = REFUSED_HERE[name]
    path = tmp_path / "secret_name.jpg"
    path.write_bytes(content)
    for source in (path, io.BytesIO(content)):
        with pytest.raises(PictureError) as caught:
            open_picture(source)
        message = str(caught.value)
        assert message == SENTENCES[reason]
        assert "Please send" in message and message.endswith(".")


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow on what it finds there
@pytest.mark.reliability(FLIPPED, 200)
def test_flipped_bytes_never_escape_as_another_error():
    rng = np.random.default_rng(1)
    exif = Image.Exif()
    exif[0x0112] = 6
    kinds = {"JPEG": {"exif": exif}, "PNG": {}, "WEBP": {}, "GIF": {}, "TIFF": {}}
    assert 40 * len(kinds) == 200
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
    numbers = [*values, answer.knn_similarity, answer.in_distribution_score]
    assert all(type(value) is float for value in numbers)
    assert answer.verdict == DISH and answer.seconds > 0
    again = predictor.predict(open_picture(path))
    assert again.probabilities == answer.probabilities
    with pytest.raises(FrozenInstanceError):
        answer.seconds = 0


@pytest.mark.parametrize(
    ("knn_similarity", "in_distribution_score", "verdict"),
    [
        (0.5, 0.25, DISH),  # a threshold reached is enough
        (0.5, 0.2499, OTHER),
        (0.4999, 1.0, NO_PLATE),
        (0.4999, 0.0, NO_PLATE),  # what is no plate holds no dish, ours or not
    ],
)
def test_two_thresholds_make_three_verdicts(
    knn_similarity, in_distribution_score, verdict
):
    assert ABOUT.judge(knn_similarity, in_distribution_score) == verdict


def test_an_app_has_one_model_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="has none: run the lesson"):
        find_model(tmp_path)
    (tmp_path / ".foodvision_mini.onnx.0123.part").touch()  # being written
    model = make_model(tmp_path / "foodvision_mini.onnx")
    assert find_model(tmp_path) == model
    make_model(tmp_path / "foodvision_big.onnx")
    with pytest.raises(FileNotFoundError, match="foodvision_big.onnx, foodvision_mini"):
        find_model(tmp_path)


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
    whole = path.read_bytes()
    path.write_bytes(whole[:content] if isinstance(content, int) else content)
    with pytest.raises(ValueError) as caught:
        Predictor(path)
    assert re.search(words, str(caught.value).partition(". ")[0])


@pytest.mark.parametrize(
    "error", [PermissionError(13, "Permission denied"), OSError(5, "I/O error")]
)
def test_a_model_that_cannot_be_read_is_said_to_be_so(tmp_path, monkeypatch, error):
    path, folder = make_model(tmp_path / "m.onnx"), tmp_path / "folder.onnx"
    folder.mkdir()
    with pytest.raises(OSError, match="read at .*folder.onnx: .* directory|denied"):
        Predictor(folder)
    monkeypatch.setattr(Path, "open", mock.Mock(side_effect=error))
    with pytest.raises(type(error), match=f"{path.name}: {error.strerror}") as caught:
        Predictor(path)
    assert "lfs" not in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        *({name: None} for name in METADATA),
        {"class_names": "pizza"},
        {"class_names": '["pizza"]'},
        {"class_names": '["pizza", "pizza", "sushi"]'},
        {"class_names": "3"},
        {"knn_similarity_threshold": "high"},
        {"in_distribution_threshold": "high"},
        {"temperature": '"hot"'},
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
    for threads, wanted in ((1, 1), (3, 3), (None, CPUS)):
        options = Predictor(path, threads=threads)._session.get_session_options()
        assert options.intra_op_num_threads == wanted


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs Linux")
def test_threads_are_for_cpus_that_the_process_may_use(tmp_path):
    path, every = str(make_model(tmp_path / "m.onnx")), os.sched_getaffinity(0)
    for allowed in (*({cpu} for cpu in every), every):
        code = f"import os; os.sched_setaffinity(0, {allowed}); import model"
        code += f"; model.Predictor({path!r}); print(model.CPUS)"
        run = [sys.executable, "-c", code]
        done = subprocess.run(run, cwd=DEMO, capture_output=True, encoding="utf-8")
        assert (done.stdout, done.stderr) == (f"{len(allowed)}\n", "")
