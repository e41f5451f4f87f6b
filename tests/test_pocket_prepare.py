"""The page prepares pictures as the ONNX file does: every number, every bit."""

import base64
import io
import platform
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pocket_site import need_runtime

from going_modular.app.model import open_picture
from going_modular.pocket.preparation import preparing_session
from going_modular.pocket.server import serve_folder
from going_modular.pocket.site import MODEL, write_pocket

COMMITTED = Path(__file__).resolve().parents[1] / "models" / MODEL
# Height and width: smaller and larger than the network takes, the same, odd ones, and
# long ones; the sides of the square that is looked at are a share of the shorter one.
SIZES = [
    *[(1, 1), (1, 1000), (1000, 1), (2, 3), (37, 1999), (113, 113), (224, 224)],
    *[(225, 900), (251, 400), (252, 252), (253, 253), (300, 200), (335, 336)],
    *[(384, 512), (512, 384), (480, 640), (503, 500), (671, 671), (671, 3000)],
]
# ONNX Runtime on other processors may multiply and add in one step, rounding once.
APART = 0 if platform.machine().lower() in ("x86_64", "amd64") else 1e-5
PREPARE = """async (base64) => {
    const { openPicture, toPixels } = await import("./picture.js");
    const { makePrepare } = await import("./prepare.js");
    const { pictures, preparation } = await (await fetch("model.json")).json();
    const code = await (await fetch("prepare.wasm")).arrayBuffer();
    globalThis.prepare ??= await makePrepare(code, preparation);
    const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt());
    const bitmap = await openPicture(new Blob([bytes]), pictures);
    const numbers = prepare(toPixels(bitmap, pictures, preparation.crop));
    const all = new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
    let text = "";
    for (let at = 0; at < all.length; at += 8192) {
        text += String.fromCharCode(...all.subarray(at, at + 8192));
    }
    return btoa(text);
}"""


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory):
    need_runtime()
    site = write_pocket(COMMITTED, tmp_path_factory.mktemp("pocket") / "site")
    with serve_folder(site) as served:
        page = browser.new_page()
        page.goto(served.url)
        yield page
        page.close()


@pytest.fixture(scope="module")
def prepare():
    """The steps of the ONNX file before its network, as a function of pixels."""
    return preparing_session(COMMITTED)


def test_every_number_is_that_of_the_onnx_file(page, prepare):
    random = np.random.default_rng(0)
    largest = {}
    for height, width in SIZES:
        pixels = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
        pixels[: height // 2] //= 64  # and a darker half, of few values
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        file.seek(0)
        assert np.array_equal(open_picture(file), pixels)
        said = page.evaluate(PREPARE, base64.b64encode(file.getvalue()).decode())
        theirs = np.frombuffer(base64.b64decode(said), np.float32)
        ours = prepare(pixels).transpose(1, 2, 0)
        largest[height, width] = np.abs(theirs.reshape(ours.shape) - ours).max()
    assert {size: apart for size, apart in largest.items() if apart > APART} == {}
