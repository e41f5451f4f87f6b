"""The ONNX file: the same answers as PyTorch, all or nothing, describing itself."""

import copy
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from demo_model_fixture import ABOUT, make_model
from drawn_images import drawn_image

from going_modular.app.model import Predictor, open_picture
from going_modular.datasets import load_picture
from going_modular.drawn import CLASS_NAMES, drawn_files
from going_modular.engine import Settings, feature_loader, train
from going_modular.export import (
    Deployable,
    ExportError,
    export_onnx,
    made_with,
    save_onnx,
    ship,
)
from going_modular.gate import make_gate
from going_modular.predictions import compare_answers
from going_modular.quantize import quantize

FLOAT = 2e-5  # probabilities and similarities: two runtimes add up in other orders
GATE = 2e-4  # what the gate calls ours is counted in standard deviations


@pytest.fixture(scope="module")
def deployable(lite2, stored):
    """EffNet-Lite2 with a head that learned, so that answers depend on pictures."""
    model = copy.deepcopy(lite2.model)
    torch.manual_seed(0)
    settings = Settings(lr=1e-3, epochs=10, batch_size=8)
    train(model.head, feature_loader(stored, batch_size=8, seed=0), settings=settings)
    features, labels = stored.tensors
    near = features.roll(7, dims=1)  # rows of numbers that are no plate of ours
    with torch.inference_mode():
        gate, _ = make_gate(features, labels, model.head(features), near)
    return Deployable(lite2.preprocess, model, gate, temperature=1.5)


@pytest.fixture(scope="module")
def about(deployable):
    return replace(
        ABOUT,
        name="plates",
        title="Plates \u2013 \u5bff\u53f8",
        knn_similarity_threshold=0.4375,
        temperature=deployable.temperature,
        input_size=deployable.preprocess.size,
        is_practice=True,
        made_with=made_with(),
    )


@pytest.fixture(scope="module")
def onnx_file(deployable, about, tmp_path_factory):
    file = tmp_path_factory.mktemp("export") / "deeper" / "m.onnx"
    assert export_onnx(deployable, file, about=about) == file
    assert [found.name for found in file.parent.iterdir()] == ["m.onnx"]
    return file


@pytest.fixture(scope="module")
def model(onnx_file):
    return Predictor(onnx_file, threads=1)


def ask(predictor, picture):
    """Probabilities in the order of the classes, and the gate's two scores."""
    answer = predictor.predict(picture)
    names = predictor.about.class_names
    probabilities = np.array([answer.probabilities[n] for n in names])
    return probabilities, np.array(
        [answer.knn_similarity, answer.in_distribution_score]
    )


@torch.inference_mode()
def ask_pytorch(deployable, pixels):
    probabilities, *gate = deployable(torch.from_numpy(np.array(pixels)))
    return probabilities.numpy(), torch.stack(gate).numpy()


# The same answers


SIZES = [(1, 1), (1, 400), (400, 1), (37, 53), (640, 480)]


@pytest.mark.parametrize("size", SIZES)
def test_the_file_answers_as_pytorch_does(size, deployable, model):
    pixels = np.asarray(drawn_image("sushi", 50, size))
    probabilities, likeness = ask(model, pixels)
    expected, expected_likeness = ask_pytorch(deployable, pixels)
    assert probabilities.shape == (3,)
    assert probabilities == pytest.approx(expected, abs=FLOAT)
    assert likeness == pytest.approx(expected_likeness, abs=GATE)
    assert probabilities.sum() == pytest.approx(1, abs=1e-6)


def test_a_large_photo_is_seen_alike_in_training_and_in_the_app(
    deployable, lite2, model, tmp_path
):
    """What measures is what answers, also where a photo is made smaller on the way."""
    photo = drawn_image("sushi", 50, size=(2048, 1536))
    photo.save(tmp_path / "a.jpg", quality=90)
    batch = lite2.transform(load_picture(tmp_path / "a.jpg")).unsqueeze(0)
    with torch.inference_mode():
        logits = deployable.model(batch) / deployable.temperature
        trained = logits.softmax(dim=1)[0].numpy()
    assert ask(model, tmp_path / "a.jpg")[0] == pytest.approx(trained, abs=FLOAT)


def test_every_picture_of_a_set_is_compared(deployable, onnx_file, tmp_path):
    samples = []
    for label, name in enumerate(CLASS_NAMES):
        drawn_image(name, 40, size=(160, 120)).save(tmp_path / f"{name}.png")
        samples.append((tmp_path / f"{name}.png", label))
    table = compare_answers(deployable, onnx_file, samples)
    assert list(table.label) == [0, 1, 2] and table.same_class.all()
    assert table.difference.max() < FLOAT and (table.onnx_ms > 0).all()
    scores = table[["knn_similarity", "in_distribution_score"]].to_numpy()
    assert np.ptp(scores, axis=0).min() > 0.01, "they depend on the picture"
    for (file, _), guess, gate in zip(samples, table.guess, scores, strict=True):
        probabilities, expected = ask_pytorch(deployable, open_picture(file))
        assert guess == probabilities.argmax()
        assert gate == pytest.approx(expected, abs=GATE)


# The file itself


def test_inputs_and_outputs_are_as_agreed(onnx_file):
    session = onnxruntime.InferenceSession(onnx_file)
    (picture,) = session.get_inputs()
    assert (picture.name, picture.type) == ("picture", "tensor(uint8)")
    height, width, channels = picture.shape
    assert isinstance(height, str) and isinstance(width, str) and height != width
    assert channels == 3
    assert [(each.name, each.type, each.shape) for each in session.get_outputs()] == [
        ("probabilities", "tensor(float)", [3]),
        ("knn_similarity", "tensor(float)", []),
        ("in_distribution_score", "tensor(float)", []),
    ]


def test_answers_for_features_are_answers_for_pictures(deployable):
    """Where only features are at hand, `answer` says what the file would."""
    pixels = torch.from_numpy(np.array(drawn_image("pizza", 42, size=(160, 120))))
    with torch.inference_mode():
        batch = deployable.preprocess(pixels).unsqueeze(0)
        from_features = deployable.answer(deployable.model.base(batch))
        for score, expected in zip(from_features, deployable(pixels), strict=True):
            torch.testing.assert_close(score[0], expected)


# All or nothing


def unrunnable(model):
    model.graph.input[0].name = "photo"  # which no node reads


def misnamed(model):
    for node in model.graph.node:
        node.input[:] = ["photo" if n == "picture" else n for n in node.input]
    model.graph.input[0].name = "photo"


@pytest.mark.parametrize("harm", [unrunnable, misnamed])
def test_a_model_that_does_not_run_is_not_kept(harm, tmp_path):
    model = onnx.load(make_model(tmp_path / "ready.onnx"))
    program = SimpleNamespace(model_proto=model)
    file = save_onnx(program, tmp_path / "out" / "m.onnx", about=ABOUT)
    older = file.read_bytes()
    harm(model)
    with pytest.raises(ExportError, match="the exported model does not run"):
        save_onnx(program, file, about=ABOUT)
    assert list(file.parent.iterdir()) == [file] and file.read_bytes() == older


# Smaller


@pytest.fixture(scope="module")
def some_drawn():
    """Drawn pictures of all classes."""
    return [file for name in CLASS_NAMES for file in drawn_files(name, "test")[:8]]


@pytest.fixture(scope="module")
def int8_file(onnx_file, some_drawn):
    target = onnx_file.parent / "int8.onnx"
    assert quantize(onnx_file, target, calibrate_on=some_drawn[::2]) == target
    return target


def test_int8_is_smaller_and_decides_alike(int8_file, onnx_file, some_drawn):
    assert int8_file.stat().st_size < onnx_file.stat().st_size / 3
    exact, rounded = (Predictor(f, threads=1) for f in (onnx_file, int8_file))
    same = 0
    for file in some_drawn:
        (expected, likeness), (found, near) = ask(exact, file), ask(rounded, file)
        same += expected.argmax() == found.argmax()
        assert found.sum() == pytest.approx(1, abs=1e-4)
        assert near[0] == pytest.approx(likeness[0], abs=0.1)
    assert same >= len(some_drawn) - 1
    assert rounded.about == replace(exact.about, precision="int8")
    assert {*int8_file.parent.iterdir()} == {onnx_file, int8_file}


def test_shipping_changes_what_the_file_says_and_nothing_else(int8_file, tmp_path):
    result = {"correct": 8, "total": 9}
    shipped = ship(int8_file, tmp_path / "a" / "shipped.onnx", test_result=result)
    before = Predictor(int8_file).about
    assert Predictor(shipped).about == replace(before, test_result=result)
    one, other = (onnx.load(file).graph for file in (int8_file, shipped))
    assert [n.op_type for n in one.node] == [n.op_type for n in other.node]
    assert list(one.initializer) == list(other.initializer)
