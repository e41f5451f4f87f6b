"""The ONNX file: the same answers as PyTorch, all or nothing, describing itself."""

import copy
import json
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from demo_model_fixture import ABOUT, DEMO, make_model
from drawn_images import drawn_image
from onnx import numpy_helper
from PIL import Image

from going_modular import export, files
from going_modular.app.model import ModelMetadata, Predictor, open_picture
from going_modular.datasets import load_picture
from going_modular.drawn import CLASS_NAMES
from going_modular.engine import Settings, feature_loader, train
from going_modular.export import (
    Deployable,
    ExportError,
    export_onnx,
    made_with,
    metadata_of,
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
    with torch.inference_mode():
        logits = model.head(features)
    near = features.roll(7, dims=1)  # rows of numbers that are no plate of ours
    gate, _ = make_gate(features, labels, logits, near)
    return Deployable(lite2.preprocess, model, gate, temperature=1.5)


@pytest.fixture(scope="module")
def about(deployable):
    return ModelMetadata(
        name="plates",
        title="Plates \u2013 \u5bff\u53f8",
        class_names=list(CLASS_NAMES),
        knn_similarity_threshold=0.4375,
        in_distribution_threshold=0.125,
        temperature=deployable.temperature,
        calibration={"before": 0.25, "after": 0.125, "pictures": 24},
        gate=ABOUT.gate,
        reference_counts=[8, 8, 8],
        contender="EffNet-Lite2",
        input_size=deployable.preprocess.size,
        precision="fp32",
        trained_on="24 drawn practice pictures \u2013 \u5bff\u53f8",
        is_practice=True,
        test_result={"correct": 7, "total": 9},
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


def draw_as(mode, size, *, number=50):
    """A drawn plate of any size and kind; its corner is clear where it can be."""
    picture = drawn_image("sushi", number, size)
    if mode == "P":
        return picture.quantize(16)
    picture = picture.convert(mode)
    if mode == "RGBA":
        picture.paste((0, 0, 0, 0), (0, 0, size[0] // 2, size[1] // 2))
    return picture


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


FILES = {  # mode, size, name, options for saving
    "1x1": ("RGB", (1, 1), "a.png", {}),
    "1x400": ("RGB", (1, 400), "a.png", {}),
    "400x1": ("RGB", (400, 1), "a.png", {}),
    "37x53": ("RGB", (37, 53), "a.png", {}),
    "640x480": ("RGB", (640, 480), "a.jpg", {}),
    "grey": ("L", (120, 90), "a.jpg", {}),
    "see-through": ("RGBA", (120, 90), "a.png", {}),
    "palette": ("P", (120, 90), "a.png", {}),
    "turned": ("RGB", (120, 90), "a.jpg", {"exif": exif(6)}),
}


@pytest.mark.parametrize("kind", FILES)
def test_the_file_answers_as_pytorch_does(kind, deployable, model, tmp_path):
    mode, size, name, options = FILES[kind]
    draw_as(mode, size).save(tmp_path / name, **options)
    probabilities, likeness = ask(model, tmp_path / name)
    expected, expected_likeness = ask_pytorch(deployable, open_picture(tmp_path / name))
    assert probabilities.shape == (3,)
    assert probabilities == pytest.approx(expected, abs=FLOAT)
    assert likeness == pytest.approx(expected_likeness, abs=GATE)
    assert probabilities.sum() == pytest.approx(1, abs=1e-6)


def test_answers_differ_from_picture_to_picture(model):
    """Equal answers prove little where every picture gets the same one."""
    answers = []
    for name in CLASS_NAMES:
        pixels = np.asarray(drawn_image(name, 51, size=(256, 192)))
        probabilities, likeness = ask(model, pixels)
        answers.append([*probabilities, *likeness])
    assert np.ptp(answers, axis=0).min() > 0.01


def test_a_turned_photo_gets_the_upright_answer(model, tmp_path):
    upright = draw_as("RGB", (120, 90))
    lying = upright.transpose(Image.Transpose.ROTATE_90)
    lying.save(tmp_path / "turned.png", exif=exif(6))  # turn a quarter clockwise
    lying.save(tmp_path / "lying.png")
    answer = ask(model, tmp_path / "turned.png")[0]
    assert answer == pytest.approx(ask(model, np.asarray(upright))[0], abs=1e-7)
    assert np.abs(answer - ask(model, tmp_path / "lying.png")[0]).max() > 100 * FLOAT


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
    for (file, _), row in zip(samples, table.itertuples(), strict=True):
        probabilities, (likeness, in_distribution_score) = ask_pytorch(
            deployable, open_picture(file)
        )
        assert row.guess == probabilities.argmax()
        assert row.knn_similarity == pytest.approx(likeness, abs=FLOAT)
        assert row.in_distribution_score == pytest.approx(
            in_distribution_score, abs=GATE
        )


def test_a_file_that_answers_otherwise_is_seen(deployable, tmp_path):
    other = make_model(tmp_path / "other.onnx")  # looks at the mean colour only
    drawn_image("pizza", 40, size=(160, 120)).save(tmp_path / "a.png")
    table = compare_answers(deployable, other, [(tmp_path / "a.png", 0)])
    assert table.difference[0] > 100 * FLOAT


# The file itself


def test_inputs_and_outputs_are_as_agreed(onnx_file):
    session = onnxruntime.InferenceSession(onnx_file)
    (picture,) = session.get_inputs()
    probabilities, *gate = session.get_outputs()
    assert (picture.name, picture.type) == ("picture", "tensor(uint8)")
    height, width, channels = picture.shape
    assert isinstance(height, str) and isinstance(width, str) and height != width
    assert channels == 3
    assert (probabilities.name, probabilities.type, probabilities.shape) == (
        "probabilities",
        "tensor(float)",
        [3],
    )
    for output, name in zip(
        gate, ("knn_similarity", "in_distribution_score"), strict=True
    ):
        assert (output.name, output.type, output.shape) == (name, "tensor(float)", [])


def test_what_is_said_comes_back(model, onnx_file, about):
    assert model.about == about
    texts = metadata_of(onnx.load(onnx_file))
    assert texts == about.to_metadata()
    assert texts["title"] == about.title and texts["input_size"] == "224"
    assert json.loads(texts["class_names"]) == ["pizza", "steak", "sushi"]
    assert texts["is_practice"] == "true"
    assert float(texts["knn_similarity_threshold"]) == 0.4375


def test_the_file_tells_nothing_about_the_machine_that_made_it(onnx_file):
    body = onnx_file.read_bytes()
    for trace in (b"site-packages", b"model_builder.py", str(DEMO.parents[1]).encode()):
        assert trace not in body


def test_the_app_answers_as_pytorch_does(model, deployable):
    pixels = np.asarray(drawn_image("steak", 41, size=(160, 120)))
    answer = model.predict(pixels)
    expected, (likeness, in_distribution_score) = ask_pytorch(deployable, pixels)
    named = dict(zip(CLASS_NAMES, expected.tolist(), strict=True))
    assert answer.probabilities == pytest.approx(named, abs=FLOAT)
    assert answer.knn_similarity == pytest.approx(likeness, abs=FLOAT)
    assert answer.in_distribution_score == pytest.approx(
        in_distribution_score, abs=GATE
    )


def test_answers_for_features_are_answers_for_pictures(deployable):
    """Where only features are at hand, `answer` says what the file would."""
    pixels = torch.from_numpy(np.array(drawn_image("pizza", 42, size=(160, 120))))
    with torch.inference_mode():
        batch = deployable.preprocess(pixels).unsqueeze(0)
        from_features = deployable.answer(deployable.model.base(batch))
        for score, expected in zip(from_features, deployable(pixels), strict=True):
            torch.testing.assert_close(score[0], expected)


# All or nothing


@pytest.fixture
def target(tmp_path, monkeypatch):
    """Where an older file stands; a stand-in replaces the slow part of an export."""
    ready = onnx.load(make_model(tmp_path / "ready.onnx"))
    monkeypatch.setattr(export, "_to_onnx", lambda _: ready)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "m.onnx").write_bytes(b"the older file")
    return tmp_path / "out" / "m.onnx"


def only_the_older_file(target):
    names = [file.name for file in target.parent.iterdir()]
    return names == ["m.onnx"] and target.read_bytes() == b"the older file"


def test_a_good_export_replaces_the_older_file(target, deployable):
    export_onnx(deployable, target, about=replace(ABOUT, contender="new"))
    assert [file.name for file in target.parent.iterdir()] == ["m.onnx"]
    assert Predictor(target).about == replace(ABOUT, contender="new")


def unrunnable(monkeypatch, model):
    model.graph.input[0].name = "photo"  # which no node reads


def misnamed(monkeypatch, model):
    for node in model.graph.node:
        node.input[:] = ["photo" if n == "picture" else n for n in node.input]
    model.graph.input[0].name = "photo"


@pytest.mark.parametrize("harm", [unrunnable, misnamed])
def test_a_model_that_does_not_run_is_not_kept(harm, target, deployable, monkeypatch):
    harm(monkeypatch, export._to_onnx(deployable))
    with pytest.raises(ExportError, match="the exported model does not run"):
        export_onnx(deployable, target, about=ABOUT)
    assert only_the_older_file(target)


def fail_to_trace(monkeypatch):
    def to_onnx(_):
        raise RuntimeError("cannot trace")

    monkeypatch.setattr(export, "_to_onnx", to_onnx)


def fill_the_disk(monkeypatch):
    def save(_, part):
        part.write_bytes(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(export.onnx, "save", save)


def interrupt_the_check(monkeypatch):
    def check(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(export, "check_runs", check)


def refuse_to_rename(monkeypatch):
    def fail(*_):
        raise PermissionError("in use")

    monkeypatch.setattr(files.os, "replace", fail)


@pytest.mark.parametrize(
    "harm", [fail_to_trace, fill_the_disk, interrupt_the_check, refuse_to_rename]
)
@pytest.mark.parametrize("is_first", [True, False])
def test_a_failure_leaves_nothing_new(harm, is_first, target, deployable, monkeypatch):
    if is_first:
        target.unlink()
    harm(monkeypatch)
    with pytest.raises((RuntimeError, OSError, KeyboardInterrupt)):
        export_onnx(deployable, target, about=ABOUT)
    if is_first:
        assert not list(target.parent.iterdir())
    else:
        assert only_the_older_file(target)


# Smaller


@pytest.fixture(scope="module")
def drawn_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn")
    files = []
    for number in range(8):
        for name in CLASS_NAMES:
            files.append(folder / f"{name}-{number}.png")
            drawn_image(name, number, size=(256, 192)).save(files[-1])
    return files


@pytest.fixture(scope="module")
def int8_file(onnx_file, drawn_files):
    target = onnx_file.parent / "int8.onnx"
    assert quantize(onnx_file, target, calibrate_on=drawn_files[:12]) == target
    return target


def test_int8_is_smaller_and_decides_alike(int8_file, onnx_file, drawn_files):
    assert int8_file.stat().st_size < onnx_file.stat().st_size / 3
    exact, rounded = (Predictor(f, threads=1) for f in (onnx_file, int8_file))
    same = 0
    for file in drawn_files:
        (expected, likeness), (found, near) = ask(exact, file), ask(rounded, file)
        same += expected.argmax() == found.argmax()
        assert found.sum() == pytest.approx(1, abs=1e-4)
        assert near[0] == pytest.approx(likeness[0], abs=0.1)
    assert same >= len(drawn_files) - 1


def test_equal_numbers_are_kept_once(int8_file):
    """A tenth of a megabyte of zero points, all zeros, would else be in the file."""
    constants = onnx.load(int8_file).graph.initializer
    seen = {
        (c.data_type, *c.dims, numpy_helper.to_array(c).tobytes()) for c in constants
    }
    assert len(seen) == len(constants)


def test_int8_describes_itself_alike_and_leaves_nothing_behind(int8_file, onnx_file):
    about = Predictor(onnx_file).about
    assert Predictor(int8_file).about == replace(about, precision="int8")
    assert {file.name for file in int8_file.parent.iterdir()} == {"m.onnx", "int8.onnx"}


def test_a_model_without_convolutions_is_not_quantised(tmp_path, drawn_files):
    source = make_model(tmp_path / "source.onnx")
    with pytest.raises(ExportError, match="ship the float file"):
        quantize(source, tmp_path / "int8.onnx", calibrate_on=drawn_files[:1])
    assert [file.name for file in tmp_path.iterdir()] == ["source.onnx"]


def test_shipping_changes_what_the_file_says_and_nothing_else(int8_file, tmp_path):
    result = {"correct": 8, "total": 9}
    shipped = ship(int8_file, tmp_path / "a" / "shipped.onnx", test_result=result)
    before = Predictor(int8_file).about
    assert Predictor(shipped).about == replace(before, test_result=result)
    one, other = (onnx.load(file).graph for file in (int8_file, shipped))
    assert [n.op_type for n in one.node] == [n.op_type for n in other.node]
    assert list(one.initializer) == list(other.initializer)
