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
from deploy.try_it import WARM_UPS, ask_all, main, read_trials
from going_modular.app.model import OUTPUTS, Predictor, open_picture
from going_modular.drawn import CLASS_NAMES
from going_modular.export import Deployable, name_parts, quiet
from going_modular.gate import OODDetector, softmax_head

SAME = 1e-5


def drawn(name, number):
    return np.array(drawn_image(name, number, size=(256, 192)))


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
    answers = AnswersOnly(original).eval()
    with quiet():
        told = {"output_names": OUTPUTS, "dynamo": True}
        program = torch.onnx.export(answers, (features[:1],), **told)
    onnx.save(name_parts(program), tmp_path / "m.onnx")
    found = SimpleNamespace(about=replace(ABOUT, temperature=1.5))
    monkeypatch.setattr(reference, "Predictor", lambda *_, **__: found)
    rebuilt = read_deployable(tmp_path / "m.onnx")
    for name, buffer in gate.named_buffers():
        torch.testing.assert_close(rebuilt.gate.get_buffer(name), buffer)
    pictures = [drawn(name, 40) for name in CLASS_NAMES]
    found = torch.stack([numbers(rebuilt, picture) for picture in pictures])
    wanted = torch.stack([numbers(original, picture) for picture in pictures])
    torch.testing.assert_close(found, wanted, rtol=0, atol=SAME)
    assert np.ptp(found.numpy(), axis=0).min() > 0.01  # or equal answers prove little


def test_what_is_no_such_file_is_refused(tmp_path):
    pointer = tmp_path / "pointer.onnx"
    pointer.write_text("version https://git-lfs.github.com/spec/v1")
    for file, sentence in {
        tmp_path / "none.onnx": "run the lesson to make it",
        pointer: "git lfs pull",
        make_model(tmp_path / "other.onnx", contender="ResNet"): "no base 'ResNet'",
        make_model(tmp_path / "stand-in.onnx"): "lacks a part",
    }.items():
        with pytest.raises(RebuildError, match=sentence):
            read_deployable(file)


@pytest.mark.parametrize("name", ["model.head.1.weight", "gate.second_width"])
def test_a_file_whose_parts_have_no_names_is_to_be_made_anew(name, tmp_path):
    model = onnx.load(DEFAULT_MODEL)
    for constant in model.graph.initializer:  # as in files that were made before
        constant.name = constant.name.replace(name, "val_782")
    for node in model.graph.node:
        node.input[:] = ["val_782" if each == name else each for each in node.input]
    onnx.save(model, tmp_path / "old.onnx")
    with pytest.raises(
        RebuildError, match=rf"lacks a part .*{name}.*make the file anew"
    ):
        read_deployable(tmp_path / "old.onnx")


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


def test_every_photo_is_answered_once_after_the_warm_up(tmp_path):
    photos = [tmp_path / str(number) for number in range(WARM_UPS + 2)]
    for photo in photos:
        photo.write_text(photo.name)
    asked = []
    answers, _ = ask_all(lambda content: asked.append(content) or {}, photos)
    assert len(answers) == len(photos)
    assert asked == [*asked[:WARM_UPS], *(p.read_bytes() for p in photos)]
