"""The page and Python see the same in a picture, and say the same of it.

It prepares pictures as the ONNX file does: every number, every bit. What follows is
another container of the same network, in three builds of LiteRT, whose answers agree.
"""

import base64
import io
import os
import platform
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pocket_site import COMMITTED, assert_agree, drawn_jpeg, open_page

from benchmarks.browser import READY, ask_page
from going_modular.app.model import Predictor, open_picture
from going_modular.data_setup import find_pictures
from going_modular.drawn import CLASS_NAMES
from pocket.preparation import preparing_session
from pocket.server import serve_folder

# Height and width: smaller and larger than the network takes, the same, odd ones, and
# long ones; the sides of the square that is looked at are a share of the shorter one.
SIZES = """1x1 1x1000 1000x1 2x3 37x1999 113x113 224x224 225x900 251x400 252x252 253x253
300x200 335x336 384x512 512x384 480x640 503x500 671x671 671x3000"""
# ONNX Runtime on other processors may multiply and add in one step, rounding once.
APART = 0 if platform.machine().lower() in ("x86_64", "amd64") else 1e-5
PREPARE = """async (base64) => {
    const { openPicture, toPixels } = await import("./picture.js");
    const { makePrepare } = await import("./prepare.js");
    const { pictures, preparation } = await (await fetch("model.json")).json();
    const code = await (await fetch("prepare.wasm")).arrayBuffer();
    globalThis.prepare ??= await makePrepare(code, preparation);
    const file = new Blob([Uint8Array.fromBase64(base64)]);
    const bitmap = await openPicture(file, pictures);
    const { buffer, byteOffset, byteLength } = prepare(
        toPixels(bitmap, pictures, preparation.crop));
    return new Uint8Array(buffer, byteOffset, byteLength).toBase64();
}"""


SHAPES = [(512, 512), (700, 400), (384, 512), (64, 48)]  # of drawn pictures
EIGHT_CORES = "Object.defineProperty(navigator, 'hardwareConcurrency', {get: () => 8})"
NO_RELAXED_SIMD = "WebAssembly.validate = () => false"  # all that the page asks it
BUILDS = {  # what the page says of it, in which browser, and whether threads share
    "relaxed": ("LiteRT with relaxed SIMD, 1 thread", "", False),
    "threads": ("LiteRT with relaxed SIMD, 4 threads", "", True),
    "plain": ("LiteRT with SIMD, 1 thread", NO_RELAXED_SIMD, True),
}


@pytest.fixture(scope="module")
def url(committed_url):
    return committed_url


@pytest.fixture(scope="module")
def predictor():
    return Predictor(COMMITTED, threads=1)


@pytest.fixture(scope="module")
def pictures():
    """JPEG files: the 150 test photos, or drawn pictures where there are none."""
    if os.environ.get("FOODVISION_DATA"):
        folder = find_pictures(COMMITTED.parents[1] / "data").folder / "test"
        return [file.read_bytes() for file in sorted(folder.glob("*/*.jpg"))]
    return [
        drawn_jpeg(name, number, SHAPES[number % len(SHAPES)])
        for name in CLASS_NAMES
        for number in range(10)
    ]


def test_every_number_is_that_of_the_onnx_file(page):
    prepare = preparing_session(COMMITTED)
    random = np.random.default_rng(0)
    far = {}
    for size in SIZES.split():
        height, width = map(int, size.split("x"))
        pixels = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
        pixels[: height // 2] //= 64  # and a darker half, of few values
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        file.seek(0)
        assert np.array_equal(open_picture(file), pixels)
        said = page.evaluate(PREPARE, base64.b64encode(file.getvalue()).decode())
        theirs = np.frombuffer(base64.b64decode(said), np.float32)
        ours = prepare(pixels).transpose(1, 2, 0)
        apart = np.abs(theirs.reshape(ours.shape) - ours).max()
        far |= {size: apart} if apart > APART else {}
    assert far == {}


@pytest.mark.parametrize("build", BUILDS)
def test_each_build_answers_as_python(
    context, committed_site, predictor, pictures, build
):
    runs, script, isolated = BUILDS[build]
    context.add_init_script(f"{EIGHT_CORES}; {script}")
    asked = []
    context.on("request", lambda request: asked.append(request.url))
    with serve_folder(committed_site, isolated=isolated) as served:
        page = open_page(context, served.url)
        assert page.inner_text("#runs") == runs
        answers = [ask_page(page, picture) for picture in pictures]
        page.locator("#offline").wait_for()
    expected = [predictor.predict(io.BytesIO(picture)) for picture in pictures]
    for picture, theirs, ours in zip(pictures, answers, expected, strict=True):
        # A profile's colours are rounded otherwise: by one level of 255, in 4% of them.
        profile = "icc_profile" in Image.open(io.BytesIO(picture)).info
        assert_agree(theirs, ours, 0.005 if profile else 0.001)
        assert CLASS_NAMES[np.argmax(theirs["probabilities"])] == ours.best[0]
    files = {Path(url).name for url in asked if "/vendor/litert" in url}
    assert files == {"litert.js", f"litert_{build}.js", f"litert_{build}.wasm.gz"}
    assert page.complaints == []
    page.reload()  # the server is gone
    page.get_by_text(runs).wait_for()
    page.wait_for_selector(READY)


def test_large_photos_get_much_the_same_answer(page, predictor):
    for name, number in (("pizza", 35), ("steak", 39), ("sushi", 26)):
        photo = drawn_jpeg(name, number, (4032, 3024))
        # Pillow shrinks while it decodes, so the pixels are not quite the same.
        ours = predictor.predict(io.BytesIO(photo))
        expected = [ours.probabilities[name] for name in CLASS_NAMES]
        answer = ask_page(page, photo)
        assert answer["probabilities"] == pytest.approx(expected, abs=0.1)
