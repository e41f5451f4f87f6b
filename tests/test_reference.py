"""The PyTorch model built anew from a model file, and how places are asked."""

import copy
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
import torch
from demo_model_fixture import ABOUT, make_model
from deploy_targets import draw_photos
from drawn_images import drawn_image
from torch import nn

from deploy import DEFAULT_MODEL, reference
from deploy.reference import RebuildError, read_deployable
from deploy.try_it import main, read_trials
from going_modular.app.model import OUTPUTS, Predictor, open_picture
from going_modular.drawn import CLASS_NAMES
from going_modular.export import Deployable, name_parts, quiet
from going_modular.gate import OODDetector, softmax_head

SAME = 1e-5


@torch.inference_mode()
def numbers(deployable, pixels):
    probabilities, *gate = deployable(torch.tensor(pixels))
    return torch.cat([probabilities, torch.stack(gate)])


class AnswersOnly(nn.Module):
    """A deployable without its base, which takes long to export and is not read."""

    def __init__(self, deployable):
        super().__init__()
        self.temperature, self.gate = deployable.temperature, deployable.gate
        self.model = nn.Module()
        self.model.head = deployable.model.head

    def forward(self, features):
        return Deployable.answer(self, features)


@pytest.mark.parametrize("has_second_head", [True, False], ids=["two heads", "one"])
def test_what_the_lesson_learned_is_read(
    has_second_head, lite2, stored, tmp_path, monkeypatch
):
    torch.manual_seed(0)
    features, _ = stored.tensors
    second = softmax_head(torch.randn(3, 1280) / 10, torch.randn(3))
    scores = {"confidence": torch.randn(9), "second": torch.rand(9)}
    gate = OODDetector(features, second if has_second_head else None, **scores)
    model = copy.deepcopy(lite2.model)
    nn.init.normal_(model.head[-1].weight, std=0.1)
    original = Deployable(lite2.preprocess, model, gate, temperature=1.5)
    answers, told = AnswersOnly(original).eval(), {"output_names": OUTPUTS}
    with quiet():
        program = torch.onnx.export(answers, (features[:1],), dynamo=True, **told)
    onnx.save(name_parts(program), tmp_path / "m.onnx")
    found = SimpleNamespace(about=replace(ABOUT, temperature=1.5))
    monkeypatch.setattr(reference, "Predictor", lambda *_, **__: found)
    rebuilt = read_deployable(tmp_path / "m.onnx")
    pictures = [np.array(drawn_image(name, 40, (256, 192))) for name in CLASS_NAMES]
    found = torch.stack([numbers(rebuilt, picture) for picture in pictures])
    wanted = torch.stack([numbers(original, picture) for picture in pictures])
    torch.testing.assert_close(found, wanted, rtol=0, atol=SAME)
    assert np.ptp(found.numpy(), axis=0).min() > 0.01  # or equal answers prove little


def test_what_is_no_such_file_is_refused(tmp_path):
    pointer, old = tmp_path / "pointer.onnx", tmp_path / "old.onnx"
    pointer.write_text("version https://git-lfs.github.com/spec/v1")
    model = onnx.load(DEFAULT_MODEL)
    for constant in model.graph.initializer:  # as in files that were made before
        constant.name = constant.name.replace("gate.second_width", "val_782")
    for node in model.graph.node:
        renamed = ["val_782" if n == "gate.second_width" else n for n in node.input]
        node.input[:] = renamed
    onnx.save(model, old)
    for file, sentence in {
        tmp_path / "none.onnx": "run the lesson to make it",
        pointer: "git lfs pull",
        make_model(tmp_path / "other.onnx", contender="ResNet"): "no base 'ResNet'",
        make_model(tmp_path / "stand-in.onnx"): "lacks a part",
        old: "lacks a part .*gate.second_width.*make the file anew",
    }.items():
        with pytest.raises(RebuildError, match=sentence):
            read_deployable(file)


def test_the_command_writes_a_trial_much_like_the_int8_files(tmp_path, monkeypatch):
    listed, photos = draw_photos(tmp_path)
    out = tmp_path / "out.json"
    monkeypatch.setattr("sys.argv", ["try_it", "reference", str(listed), str(out)])
    main()
    (trial,) = read_trials(out)
    assert trial.target == "PyTorch" and trial.versions["torch"]
    assert trial.median_ms > 0 and trial.file_bytes > 20_000_000
    rebuilt, same = read_deployable(DEFAULT_MODEL), 0
    predictor = Predictor(DEFAULT_MODEL, threads=1)
    for photo, answer in zip(photos, trial.answers, strict=True):
        probabilities, similarity = answer["probabilities"], answer["knn_similarity"]
        assert list(probabilities) == list(CLASS_NAMES)
        found = [*probabilities.values(), similarity, answer["in_distribution_score"]]
        assert found == pytest.approx(numbers(rebuilt, open_picture(photo)), abs=SAME)
        rounded = predictor.predict(photo)
        assert similarity == pytest.approx(rounded.knn_similarity, abs=0.1)
        same += rounded.best[0] == max(probabilities, key=probabilities.get)
    assert same >= len(photos) - 1
