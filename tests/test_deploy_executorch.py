"""deploy/executorch/: the .pte file's answers are the reference's."""

import pytest
from converted import FP32, draw_photos, numbers, python_of, reference_answers, run

from deploy.trial import read_trials

pytestmark = pytest.mark.slow


def test_the_file_answers_as_the_reference(tmp_path):
    python = python_of("executorch")
    listed, photos = draw_photos(tmp_path)
    out = tmp_path / "out.json"
    run(python, "-m", "deploy.executorch.try_it", listed, out)
    (trial,) = read_trials(out)
    assert trial.target == "ExecuTorch" and trial.versions["executorch"]
    assert 15e6 < trial.file_bytes < 30e6 and trial.median_ms > 0
    for answer, expected in zip(trial.answers, reference_answers(photos), strict=True):
        assert numbers(answer) == pytest.approx(numbers(expected), abs=FP32)


def test_what_cannot_be_converted_is_refused_in_a_sentence(tmp_path):
    python = python_of("executorch")
    with pytest.raises(AssertionError, match="No model at"):
        words = "--model", tmp_path / "none.onnx", tmp_path / "out.pte"
        run(python, "-m", "deploy.executorch.convert", *words)
    assert not list(tmp_path.iterdir())
