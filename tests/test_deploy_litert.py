"""deploy/litert/: .tflite files that say what they are, and still answer alike."""

import json
import zipfile

import numpy as np
import pytest
import torch
from ai_edge_litert.interpreter import Interpreter
from ai_edge_litert.schema_py_generated import ModelT
from converted import (
    FP32,
    best,
    draw_photos,
    numbers,
    python_of,
    reference_answers,
    run,
)
from demo_model_fixture import make_model
from drawn_images import drawn_image
from flatbuffers import encode, packer
from flatbuffers.number_types import UOffsetTFlags
from flatbuffers.table import Table

from deploy.converting import DEFAULT_MODEL
from deploy.litert.convert import write_tflite
from deploy.litert.try_it import try_all
from deploy.reference import read_deployable
from deploy.resizing import ways
from going_modular.app.model import OUTPUTS
from going_modular.drawn import CLASS_NAMES
from going_modular.files import LessonError
from going_modular.pocket.convert import tflite_of


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return write_tflite(DEFAULT_MODEL, tmp_path_factory.mktemp("ml") / "int8.tflite")


@pytest.fixture(scope="module")
def ml_kit_file(file):
    return write_tflite(DEFAULT_MODEL, file.with_name("kit.tflite"), for_ml_kit=True)


def ask(content: bytes, picture: np.ndarray) -> dict[str, np.ndarray]:
    interpreter = Interpreter(model_content=content, num_threads=1)
    return interpreter.get_signature_runner()(picture=picture)


@pytest.fixture(scope="module")
def picture():
    torch.manual_seed(0)
    return torch.rand(1, 224, 224, 3).mul(2).sub(1).numpy()


def test_metadata_changes_no_answer(file, picture):
    with_labels = ask(file.read_bytes(), picture)
    without = ask(tflite_of(DEFAULT_MODEL), picture)
    assert set(with_labels) == set(OUTPUTS)
    for name in OUTPUTS:
        assert np.array_equal(with_labels[name], without[name])


def test_for_ml_kit_there_are_probabilities_only(ml_kit_file, file, picture):
    answer = ask(ml_kit_file.read_bytes(), picture)
    assert list(answer) == ["probabilities"]
    assert answer["probabilities"].shape == (1, len(CLASS_NAMES))
    expected = ask(file.read_bytes(), picture)["probabilities"]
    assert np.array_equal(answer["probabilities"], expected)
    assert ml_kit_file.stat().st_size < file.stat().st_size - 500_000


def test_labels_are_read_as_from_any_zip(file, ml_kit_file):
    for path in (file, ml_kit_file):
        with zipfile.ZipFile(path) as archive:
            assert archive.namelist() == ["labels.txt"]
            assert archive.read("labels.txt").decode().split() == list(CLASS_NAMES)


class Reader:
    """Reads flatbuffers without the writer: fields by their number in the schema."""

    def __init__(self, content: bytes, place: int | None = None):
        root = encode.Get(packer.uoffset, content, 0)
        self.table = Table(bytearray(content), root if place is None else place)

    def place(self, field: int) -> int:
        offset = self.table.Offset(4 + 2 * field)
        assert offset, f"no field {field}"
        return offset + self.table.Pos

    def text(self, field: int) -> str:
        return self.table.String(self.place(field)).decode()

    def number(self, field: int, kind) -> int:
        return encode.Get(kind, self.table.Bytes, self.place(field))

    def inner(self, field: int) -> "Reader":
        return Reader(self.table.Bytes, self.table.Indirect(self.place(field)))

    def items(self, field: int) -> list["Reader"]:
        where = self.place(field) - self.table.Pos
        start, size = self.table.Vector(where), UOffsetTFlags.bytewidth
        places = range(start, start + size * self.table.VectorLen(where), size)
        return [Reader(self.table.Bytes, self.table.Indirect(each)) for each in places]

    def float(self, field: int) -> float:
        start = self.table.Vector(self.place(field) - self.table.Pos)
        return encode.Get(packer.float32, self.table.Bytes, start)


def test_metadata_says_how_to_scale_and_where_the_labels_are(file):
    model = ModelT.InitFromPackedBuf(file.read_bytes())
    (entry,) = [each for each in model.metadata if each.name == b"TFLITE_METADATA"]
    content = bytes(model.buffers[entry.buffer].data)
    assert content[4:8] == b"M001"
    root = Reader(content)
    assert root.text(0) == "FoodVision Mini" and root.text(5).startswith("MIT")
    (graph,) = root.items(3)
    (picture,), (probability, *scores) = graph.items(2), graph.items(3)
    image = picture.inner(3)
    assert image.number(0, packer.uint8) == 2  # ImageProperties
    assert image.inner(1).number(0, packer.int8) == 1  # RGB
    size = image.inner(1).inner(1)
    assert [size.number(each, packer.uint32) for each in (0, 1)] == [224, 224]
    (scaling,) = picture.items(4)
    assert scaling.number(0, packer.uint8) == 1  # NormalizationOptions
    assert scaling.inner(1).float(0) == scaling.inner(1).float(1) == 127.5
    (labels,) = probability.items(6)
    assert labels.text(0) == "labels.txt"
    assert labels.number(2, packer.int8) == 2  # TENSOR_AXIS_LABELS
    assert [score.text(0) for score in scores] == list(OUTPUTS[1:])


def test_int8_is_of_the_reference_s_mind(tmp_path, monkeypatch):
    monkeypatch.setattr("deploy.litert.try_it.find_spec", lambda name: None)
    threads = torch.get_num_threads()
    _, photos = draw_photos(tmp_path)
    (trial,) = try_all(DEFAULT_MODEL, photos)
    torch.set_num_threads(threads)
    assert (trial.target, trial.precision) == ("LiteRT", "int8")
    assert 5e6 < trial.file_bytes < 7e6
    pairs = list(zip(trial.answers, reference_answers(photos), strict=True))
    assert sum(best(ours) == best(theirs) for ours, theirs in pairs) >= len(pairs) - 1


def test_the_same_model_makes_the_same_file(file, tmp_path):
    again = write_tflite(DEFAULT_MODEL, tmp_path / "again.tflite")
    assert again.read_bytes() == file.read_bytes()


def test_what_cannot_be_converted_is_refused(tmp_path):
    model = make_model(tmp_path / "floats.onnx")
    with pytest.raises(LessonError, match="only int8 is copied"):
        write_tflite(model, tmp_path / "out.tflite")
    assert [path.name for path in tmp_path.iterdir()] == ["floats.onnx"]


def test_an_app_s_way_of_resizing_is_compared_fairly():
    """The first way is the lesson's but for the rounding to 8 bits; others are not."""
    preprocess = read_deployable(DEFAULT_MODEL).preprocess
    pixels = torch.tensor(np.array(drawn_image("pizza", 3, size=(400, 300))))
    expected = preprocess(pixels)
    apart = [
        (way.prepare(pixels, preprocess)[0] - expected).abs().max().item()
        for way in ways(preprocess.crop)
    ]
    assert apart[0] <= 0.5001 * preprocess.scale.item() < min(apart[1:])


@pytest.mark.slow
def test_both_precisions_answer_as_the_reference(tmp_path):
    python = python_of("litert_torch")
    listed, photos = draw_photos(tmp_path)
    out = tmp_path / "out.json"
    run(python, "-m", "deploy.litert.try_it", listed, out)
    rounded, floats = json.loads(out.read_text())
    assert [rounded["precision"], floats["precision"]] == ["int8", "fp32"]
    for answer, expected in zip(
        floats["answers"], reference_answers(photos), strict=True
    ):
        assert numbers(answer) == pytest.approx(numbers(expected), abs=FP32)
    assert len(rounded["answers"]) == len(photos) and floats["median_ms"] > 0
