"""The PyTorch model built anew from a model file, and how places are asked."""

import copy
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from demo_model_fixture import ABOUT, make_model
from deploy_targets import draw_photos
from drawn_images import drawn_image
from onnx import helper
from torch import nn

from deploy import DEFAULT_MODEL
from deploy.reference import RebuildError, read_about, read_deployable
from deploy.try_it import WARM_UPS, ask_all, main, read_trials
from going_modular.app.model import OUTPUTS, Predictor, open_picture
from going_modular.drawn import CLASS_NAMES
from going_modular.engine import Settings, feature_loader, train
from going_modular.export import Deployable, metadata_of, name_parts, quiet
from going_modular.gate import make_gate

SAME = 1e-5


def make_deployable(lite2, stored, *, with_others):
    """One whose head learned, so that answers depend on pictures."""
    model = copy.deepcopy(lite2.model)
    torch.manual_seed(0)
    settings = Settings(lr=1e-3, epochs=10, batch_size=8)
    loader = feature_loader(stored, batch_size=8, seed=0)
    train(model.head, loader, settings=settings)
    model.head.eval()
    features, labels = stored.tensors
    near = features.roll(7, dims=1) if with_others else None
    with torch.inference_mode():
        gate, _ = make_gate(features, labels, model.head(features), near)
    return Deployable(lite2.preprocess, model, gate, temperature=1.5)


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


@pytest.mark.parametrize("with_others", [True, False], ids=["two heads", "one"])
def test_what_the_lesson_learned_is_read(with_others, lite2, stored, tmp_path):
    original = make_deployable(lite2, stored, with_others=with_others)
    answers, features = AnswersOnly(original), (stored.tensors[0][:1],)
    with quiet():
        program = torch.onnx.export(
            answers, features, output_names=OUTPUTS, dynamo=True
        )
    model, about = name_parts(program), replace(ABOUT, temperature=original.temperature)
    helper.set_model_props(model, about.to_metadata())
    onnx.save(model, tmp_path / "m.onnx")
    rebuilt = read_deployable(tmp_path / "m.onnx")
    assert (rebuilt.gate.second_head is not None) == with_others
    for name, buffer in original.gate.named_buffers():
        torch.testing.assert_close(rebuilt.gate.get_buffer(name), buffer)
    pictures = [drawn(name, 40) for name in CLASS_NAMES]
    found = torch.stack([numbers(rebuilt, picture) for picture in pictures])
    wanted = torch.stack([numbers(original, picture) for picture in pictures])
    torch.testing.assert_close(found, wanted, rtol=0, atol=SAME)
    assert np.ptp(found.numpy(), axis=0).min() > 0.01  # or equal answers prove little


def test_the_committed_int8_file_is_of_the_same_mind():
    predictor = Predictor(DEFAULT_MODEL, threads=1)
    rebuilt, names, same = read_deployable(DEFAULT_MODEL), predictor.about, 0
    for number in range(3):
        for name in CLASS_NAMES:
            rounded = predictor.predict(drawn(name, number))
            *probabilities, knn_similarity, _ = numbers(rebuilt, drawn(name, number))
            best = names.class_names[int(np.argmax(probabilities))]
            same += rounded.best[0] == best
            assert knn_similarity == pytest.approx(rounded.knn_similarity, abs=0.1)
    assert same >= 8


def say(model, **texts):
    helper.set_model_props(model, metadata_of(model) | texts)


def rename_head(model):
    for constant in model.graph.initializer:
        constant.name = constant.name.replace("model.head.1", "head")


def drop_name(model):
    """As in files that were made before the gate's numbers had names."""
    for constant in model.graph.initializer:
        constant.name = constant.name.replace("gate.second_width", "val_782")


REFUSED = {
    "another base": (lambda m: say(m, contender="ResNet"), "base is 'ResNet'"),
    "no head": (rename_head, r"lacks a part .*model\.head\.1\.weight"),
    "no gate": (drop_name, r"lacks a part .*gate\.second_width.*make the file anew"),
    "other classes": (
        lambda m: say(m, class_names='["a", "b"]', reference_counts="[225, 225]"),
        "lacks a part",
    ),
    "no metadata": (lambda m: m.ClearField("metadata_props"), "made by the lesson"),
}


@pytest.mark.parametrize(("change", "sentence"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_such_file_is_refused(change, sentence, tmp_path):
    model = onnx.load(DEFAULT_MODEL)
    change(model)
    onnx.save(model, tmp_path / "changed.onnx")
    with pytest.raises(RebuildError, match=sentence):
        read_deployable(tmp_path / "changed.onnx")


def test_other_files_are_refused(tmp_path):
    with pytest.raises(RebuildError, match="run the lesson to make it"):
        read_about(tmp_path / "none.onnx")
    (tmp_path / "m.onnx").write_text("version https://git-lfs.github.com/spec/v1")
    with pytest.raises(RebuildError, match="git lfs pull"):
        read_deployable(tmp_path / "m.onnx")
    with pytest.raises(RebuildError, match="lacks a part"):
        read_deployable(make_model(tmp_path / "stand-in.onnx"))


def test_the_command_writes_a_trial(tmp_path, monkeypatch):
    listed, photos = draw_photos(tmp_path, each=1)
    out = tmp_path / "out.json"
    monkeypatch.setattr("sys.argv", ["try_it", "reference", str(listed), str(out)])
    main()
    (trial,) = read_trials(out)
    assert trial.target == "PyTorch" and trial.versions["torch"]
    assert trial.median_ms > 0 and trial.file_bytes > 20_000_000
    rebuilt = read_deployable(DEFAULT_MODEL)
    for photo, answer in zip(photos, trial.answers, strict=True):
        assert list(answer["probabilities"]) == list(CLASS_NAMES)
        found = [*answer["probabilities"].values()]
        found += [answer["knn_similarity"], answer["in_distribution_score"]]
        assert found == pytest.approx(numbers(rebuilt, open_picture(photo)), abs=SAME)


def test_every_photo_is_answered_once_after_the_warm_up(tmp_path):
    photos = [tmp_path / str(number) for number in range(WARM_UPS + 2)]
    for photo in photos:
        photo.write_text(photo.name)
    asked = []
    answers, median_ms = ask_all(lambda content: asked.append(content) or {}, photos)
    assert len(answers) == len(photos) and median_ms >= 0
    assert asked == [*asked[:WARM_UPS], *(p.read_bytes() for p in photos)]
