"""The .tflite file: the same network as the ONNX file's, or a sentence why not."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from ai_edge_litert.interpreter import Interpreter
from drawn_images import drawn_image
from onnx import helper

from going_modular.app.model import Predictor
from going_modular.drawn import CLASS_NAMES
from pocket.convert import write_tflite
from pocket.litert import STDERR, litert_answers, without_remarks
from pocket.preparation import ConvertError, preparing_session

ROOT = Path(__file__).resolve().parents[1]
COMMITTED = ROOT / "models" / "foodvision_mini.onnx"
ASK = """
import sys, numpy
from pathlib import Path
from pocket.litert import litert_answers
picture = numpy.zeros((3, 224, 224), numpy.float32)
print(litert_answers(Path(sys.argv[1]), [picture]).shape)
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return write_tflite(COMMITTED, tmp_path_factory.mktemp("model") / "m.tflite")


@pytest.mark.slow
def test_answers_are_those_of_the_onnx_file(file):
    predictor, prepare = Predictor(COMMITTED, threads=1), preparing_session(COMMITTED)
    ask = Interpreter(str(file), num_threads=1).get_signature_runner()
    drawn = [drawn_image(n, at) for n in CLASS_NAMES for at in range(4)]
    shown = [np.asarray(picture) for picture in drawn]
    prepared = [prepare(pixels) for pixels in shown]
    probabilities = litert_answers(file, prepared)
    for pixels, given, alone in zip(shown, prepared, probabilities, strict=True):
        theirs = ask(picture=given.transpose(1, 2, 0)[None])
        ours = predictor.predict(pixels)
        expected = [ours.probabilities[n] for n in predictor.about.class_names]
        assert np.array_equal(theirs["probabilities"][0], alone)
        assert alone.argmax() == np.argmax(expected)
        assert alone == pytest.approx(expected, abs=0.001)
        for name, apart in (("knn_similarity", 0.01), ("in_distribution_score", 0.02)):
            assert theirs[name].item() == pytest.approx(getattr(ours, name), abs=apart)


@pytest.mark.slow
def test_of_what_litert_prints_only_warnings_are_told(file, capfd):
    # In a process of its own: LiteRT makes its remark once in each.
    command = [sys.executable, "-c", ASK, str(file)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (run.stdout, run.stderr) == ("(1, 3)\n", "")
    with pytest.raises(ZeroDivisionError), without_remarks():
        os.write(STDERR, b"INFO: of no use\nWARNING: of use\n")
        raise ZeroDivisionError
    os.write(STDERR, b"INFO: ours\n")
    assert capfd.readouterr().err == "WARNING: of use\nINFO: ours\n"


# By what they lead to: a kind of step, and what becomes of the first of that kind.
CHANGES = {
    "HardSwish is not known here": ("Sigmoid", {}),
    "it has another way of resizing": ("Resize", {"mode": b"linear"}),
    "Conv is padded": ("Conv", {"pads": [1, 1, 1, 1]}),
    "Conv is grouped or dilated": ("Conv", {"dilations": [2, 2]}),
    "Gemm is not a plain linear layer": ("Gemm", {"transB": 0}),
}


@pytest.mark.parametrize("sentence", CHANGES)
def test_a_graph_that_is_not_known_is_refused(sentence, tmp_path):
    model, (kind, changes) = onnx.load(COMMITTED), CHANGES[sentence]
    node = next(node for node in model.graph.node if node.op_type == kind)
    if not changes:
        node.op_type = "HardSwish"
    kept = [each for each in node.attribute if each.name not in changes]
    del node.attribute[:]
    new = [helper.make_attribute(name, value) for name, value in changes.items()]
    node.attribute.extend([*kept, *new])
    onnx.save(model, tmp_path / "changed.onnx")
    with pytest.raises(ConvertError) as refusal:
        write_tflite(tmp_path / "changed.onnx", tmp_path / "model.tflite")
    assert sentence in re.sub(r" \(\w+\)", "", str(refusal.value))
    assert not (tmp_path / "model.tflite").exists()
