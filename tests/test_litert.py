"""LiteRT in Python: the ONNX file's answers, and no line but ours in the notebook."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from drawn_images import drawn_image

from going_modular.app.model import Predictor
from going_modular.drawn import CLASS_NAMES
from going_modular.pocket.convert import write_tflite
from going_modular.pocket.litert import STDERR, litert_answers, without_remarks
from going_modular.pocket.preparation import preparing_session

ROOT = Path(__file__).resolve().parents[1]
COMMITTED = ROOT / "models" / "foodvision_mini.onnx"
ASK = """
import sys, numpy
from pathlib import Path
from going_modular.pocket.litert import litert_answers
picture = numpy.zeros((3, 224, 224), numpy.float32)
print(litert_answers(Path(sys.argv[1]), [picture]).shape)
"""


@pytest.fixture(scope="module")
def tflite_file(tmp_path_factory):
    return write_tflite(COMMITTED, tmp_path_factory.mktemp("model") / "m.tflite")


def test_answers_are_those_of_the_onnx_file(tflite_file):
    predictor, prepare = Predictor(COMMITTED, threads=1), preparing_session(COMMITTED)
    pictures = [np.asarray(drawn_image(name, 3)) for name in CLASS_NAMES]
    said = [predictor.predict(pixels).probabilities for pixels in pictures]
    expected = np.array([[one[name] for name in CLASS_NAMES] for one in said])
    answers = litert_answers(tflite_file, map(prepare, pictures))
    assert answers.shape == (3, 3)
    assert np.abs(answers - expected).max() < 0.001


def test_nothing_but_the_answer_is_printed(tflite_file):
    # In a process of its own: LiteRT makes its remark once in each.
    command = [sys.executable, "-c", ASK, str(tflite_file)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (run.stdout, run.stderr) == ("(1, 3)\n", "")


def test_what_is_no_remark_is_told_even_if_all_fails(capfd):
    with pytest.raises(ZeroDivisionError), without_remarks():
        os.write(STDERR, b"INFO: of no use\nWARNING: of use\n")
        raise ZeroDivisionError
    os.write(STDERR, b"INFO: ours\n")
    assert capfd.readouterr().err == "WARNING: of use\nINFO: ours\n"
