"""The page, its .tflite file and Python say the same of a picture, in every browser."""

import base64
import io
import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from drawn_images import as_bytes, drawn_image
from odd_pictures import READABLE, REFUSED, halves, wide_gamut
from onnx import helper, numpy_helper
from PIL import Image
from playwright.sync_api import Error
from pocket_site import CASES, COMMITTED, HAND_OVER, Pocket, assert_agree, drawn_jpeg

from benchmarks.browser import FIREFOX, READY, ask_page, firefox_page
from benchmarks.plan import ROOT
from benchmarks.teaching import ask_all, call, teach
from going_modular.app.model import SENTENCES, Predictor, open_picture, spoken
from going_modular.data_setup import find_pictures
from going_modular.drawn import CLASS_NAMES, OTHER_NAMES, drawn_files
from pocket.convert import write_tflite
from pocket.litert import STDERR, without_remarks
from pocket.model_file import ConvertError, preparation_of, preparing_session
from pocket.runtimes import LITE_RT, ORT_WEB
from pocket.server import serve_folder
from pocket.site import write_pocket

SITE = "committed_site"
# ONNX Runtime on other processors may multiply and add in one step, rounding once.
APART = 0 if platform.machine().lower() in ("x86_64", "amd64") else 1e-5
# What the page makes of a file: its pixels, the square inside, what the network takes.
PREPARE = """async (base64) => {
    const { openPicture, toPixels } = await import("./picture.js");
    const { makePrepare } = await import("./prepare.js");
    const { pictures, preparation } = await (await fetch("model.json")).json();
    const code = await (await fetch("prepare.wasm")).arrayBuffer();
    globalThis.prepare ??= await makePrepare(code, preparation);
    const file = new Blob([Uint8Array.fromBase64(base64)]);
    const bitmap = await openPicture(file, pictures);
    const [whole, square] = [undefined, preparation.crop].map(
        (share) => toPixels(bitmap, pictures, share));
    return [whole.data, square.data, prepare(square)].map(
        ({ buffer, byteOffset, byteLength }) =>
            new Uint8Array(buffer, byteOffset, byteLength).toBase64());
}"""
SHAPES = [(512, 512), (700, 400), (384, 512), (64, 48)]  # of drawn pictures
EIGHT_CORES = "Object.defineProperty(navigator, 'hardwareConcurrency', {get: () => 8})"
NO_RELAXED_SIMD = "WebAssembly.validate = () => false"  # all that the page asks it
BUILDS = {  # what the page says of it, in which browser, and whether threads share
    "relaxed": ("LiteRT with relaxed SIMD, 1 thread", "", False),
    "threads": ("LiteRT with relaxed SIMD, 4 threads", "", True),
    "plain": ("LiteRT with SIMD, 1 thread", NO_RELAXED_SIMD, True),
    "ort": ("ONNX Runtime, 1 thread", "", False),
    "ort threads": ("ONNX Runtime, 4 threads", "", True),
}
ASK = """import sys, numpy
from pocket.litert import litert_answers
print(litert_answers(sys.argv[1], numpy.load(sys.argv[2])).tolist())"""


@pytest.fixture(scope="module")
def predictor():
    return Predictor(COMMITTED, threads=1)


@pytest.fixture(scope="module")
def pictures():
    """JPEG files: the 150 test photos, or drawn pictures where there are none."""
    if os.environ.get("FOODVISION_DATA"):
        folder = find_pictures(ROOT / "data").folder / "test"
        return [file.read_bytes() for file in sorted(folder.glob("*/*.jpg"))]
    named = [(name, number) for name in CLASS_NAMES for number in range(10)]
    return [drawn_jpeg(name, at, SHAPES[at % len(SHAPES)]) for name, at in named]


@pytest.mark.slow
def test_the_tflite_file_answers_as_the_onnx_file(tmp_path, predictor, capfd):
    tflite, file = write_tflite(COMMITTED, tmp_path / "m.tflite"), tmp_path / "p.npy"
    shown = [np.asarray(drawn_image(n, at)) for n in CLASS_NAMES for at in range(4)]
    np.save(file, list(map(preparing_session(COMMITTED), shown)))
    # In a process of its own: LiteRT makes its remark once in each.
    command = [sys.executable, "-c", ASK, str(tflite), str(file)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert run.stderr == ""
    for pixels, theirs in zip(shown, json.loads(run.stdout), strict=True):
        ours = predictor.predict(pixels).probabilities
        assert theirs == pytest.approx([ours[n] for n in CLASS_NAMES], abs=0.001)
    with pytest.raises(ZeroDivisionError), without_remarks():
        os.write(STDERR, b"INFO: of no use\nWARNING: of use\n")
        raise ZeroDivisionError
    os.write(STDERR, b"INFO: ours\n")
    assert capfd.readouterr().err == "WARNING: of use\nINFO: ours\n"


@pytest.mark.parametrize("sentence", CASES["changes"])
def test_a_graph_that_is_not_known_is_refused(sentence, tmp_path):
    model, (kind, name, value) = onnx.load(COMMITTED), CASES["changes"][sentence]
    node = next(node for node in model.graph.node if node.op_type == kind)
    if name:
        kept = [a for a in node.attribute if a.name != name]
        del node.attribute[:]
        node.attribute.extend([*kept, helper.make_attribute(name, value)])
    elif kind == "Sigmoid":
        node.op_type = value
    else:
        constants = {each.name: each for each in model.graph.initializer}
        weight = constants["model.base.conv_stem.weight_quantized"]
        wide = value * numpy_helper.to_array(weight)
        weight.CopyFrom(numpy_helper.from_array(wide, weight.name))
    onnx.save(model, tmp_path / "changed.onnx")
    with pytest.raises(ConvertError) as refusal:
        write_tflite(tmp_path / "changed.onnx", tmp_path / "model.tflite")
    assert sentence in re.sub(r" \(\w+\)", "", str(refusal.value))
    assert not (tmp_path / "model.tflite").exists()


def test_odd_pictures_become_the_numbers_that_python_makes(page):
    prepare, share = preparing_session(COMMITTED), preparation_of(COMMITTED).crop
    random, too_far = np.random.default_rng(0), {}
    pictures = {f"wide {kind}": wide_gamut(halves(), kind) for kind in ("PNG", "JPEG")}
    for size in CASES["sizes"]:
        pixels = random.integers(0, 256, (*size, 3), dtype=np.uint8)
        pixels[: size[0] // 2] //= 64  # and a darker half, of few values
        pictures[f"random {size}"] = as_bytes(Image.fromarray(pixels), "PNG")
    for name, content in (READABLE | pictures).items():
        ours = open_picture(io.BytesIO(content)).astype(int)
        encoded = page.evaluate(PREPARE, base64.b64encode(content).decode())
        whole, square, prepared = map(base64.b64decode, encoded)
        theirs = np.frombuffer(whole, np.uint8).reshape(*ours.shape[:2], 4)
        assert (theirs[..., 3] == 255).all(), "nothing is see-through"
        theirs = theirs[..., :3].copy()
        # The square in the middle is cut out as the model cuts it.
        height, width = ours.shape[:2]
        side = max(1, int(np.float32(min(height, width)) * np.float32(share)))
        top, left = (height - side) // 2, (width - side) // 2
        cut = np.frombuffer(square, np.uint8).reshape(side, side, 4)[..., :3]
        assert np.array_equal(cut, theirs[top:, left:][:side, :side]), name
        # Two decoders of a JPEG may round differently; so may two means of a square.
        most = 4 if content[:2] == b"\xff\xd8" else 0 if "random" in name else 1
        expected = prepare(theirs).transpose(1, 2, 0).ravel()
        far = np.abs(np.frombuffer(prepared, np.float32) - expected).max()
        apart = np.abs(theirs - ours).max()
        too_far |= {name: (apart, far)} if apart > most or far > APART else {}
    assert too_far == {}


@pytest.mark.parametrize("build", BUILDS)
def test_builds_answer_as_python(context, tmp_path, predictor, pictures, build):
    runs, script, isolated = BUILDS[build]
    engine = ORT_WEB if runs.startswith("ONNX") else LITE_RT
    site = write_pocket(COMMITTED, tmp_path / "site", engine=engine)
    context.add_init_script(f"{EIGHT_CORES}; {script}")
    pictures = pictures[:: 1 if engine is LITE_RT else 10]  # ONNX Runtime is slower
    asked = set()
    context.on("request", lambda request: asked.add(Path(request.url).name))
    with serve_folder(site, isolated=isolated) as served:
        page = Pocket(context, served.url)
        assert page.inner_text("#runs") == runs
        answers = [ask_page(page, picture) for picture in pictures]
        page.locator("#offline").wait_for()
    for picture, theirs in zip(pictures, answers, strict=True):
        ours = predictor.predict(io.BytesIO(picture))
        # A profile's colours are rounded otherwise, by one level of 255 in 4% of them,
        # and int8 makes more of it: 0.024 for the one such photo.
        profile = "icc_profile" in Image.open(io.BytesIO(picture)).info
        assert_agree(theirs, ours, 0.05 if profile else 0.001)
        assert CLASS_NAMES[np.argmax(theirs["probabilities"])] == ours.best[0]
    files = {name for name in asked if name.startswith(("litert", "ort"))}
    ours = {"litert.js", f"litert_{build}.js", f"litert_{build}.wasm.gz"}
    assert files == (ours if engine is LITE_RT else {"ort.mjs", "ort.wasm.gz"})
    assert page.complaints == []
    page.reload()  # the server is gone
    page.see(runs)
    page.wait_for_selector(READY)


def test_large_photos_get_much_the_same_answer(page, predictor):
    for name, number in (("pizza", 35), ("steak", 39), ("sushi", 26)):
        photo = drawn_jpeg(name, number, (4032, 3024))
        # Pillow shrinks while it decodes, so the pixels are not quite the same.
        assert_agree(ask_page(page, photo), predictor.predict(io.BytesIO(photo)), 0.1)


@pytest.mark.browser
@pytest.mark.skipif(FIREFOX is None, reason="needs the system package firefox-esr")
def test_firefox_answers_and_refuses_as_python_and_learns(committed_url, predictor):
    name, dish = OTHER_NAMES[0], spoken(OTHER_NAMES[0])
    files = [*drawn_files(name, "test"), *drawn_files(name, "train")][:12]
    drawn = [drawn_jpeg(name, number) for name in CLASS_NAMES for number in range(3)]
    with firefox_page(committed_url) as page:
        for apart, pictures in ((0.001, drawn), (0.02, READABLE.values())):
            for picture in pictures:
                ours = predictor.predict(io.BytesIO(picture))
                assert_agree(ask_page(page, picture), ours, apart)
        assert page.evaluate("crossOriginIsolated")
        for content, why in REFUSED.values():
            with pytest.raises(Error) as refusal:
                ask_page(page, content)
            assert str(refusal.value) == f"Error: {SENTENCES[why]}"
        page.evaluate(HAND_OVER, ["change", [["list", "", list(REFUSED["text"][0])]]])
        page.wait_for_selector("#stage[data-state=problem]")
        assert page.inner_text("#detail") == SENTENCES["no picture"]
        page.evaluate(HAND_OVER, ["change", [["turned", "", list(READABLE["exif 6"])]]])
        page.wait_for_selector("#stage[data-state=photo]")
        assert "Answered in" in page.inner_text("#numbers")
        assert page.evaluate("[shown.width, shown.height]") == [60, 40]  # upright
        assert teach(page, dish, files[:8])["checked"]["asked"] == 8
        assert ask_all(page, files[8:]).count(dish) >= 3
        page.wait_for_selector("#taught:not([hidden])")
        assert "1, from 8 photos" in page.inner_text("#taught-title")
        call(page, "forgetAll")
        assert dish not in ask_all(page, files[8:])
