"""deploy/litert/, core_ml/ and executorch/: what they convert to answers alike.

Core ML itself answers on Apple's systems only, so nothing here asks it: its package's
steps are computed without Apple's hardware.
"""

import json
import os
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from ai_edge_litert.interpreter import Interpreter
from ai_edge_litert.schema_py_generated import ModelT
from demo_model_fixture import make_model
from deploy_targets import command, draw_photos, python_of
from drawn_images import drawn_image
from flatbuffers import encode, packer
from flatbuffers.number_types import UOffsetTFlags
from flatbuffers.table import Table

from deploy import DEFAULT_MODEL
from deploy.converting import Network, replace_folder
from deploy.litert.convert import try_all, write_tflite
from deploy.reference import answering, read_about, read_deployable
from deploy.resizing import WAYS, prepare
from deploy.try_it import ask_all, read_trials
from going_modular.app.model import OUTPUTS, ModelMetadata
from going_modular.drawn import CLASS_NAMES
from going_modular.files import LessonError
from going_modular.pocket.convert import tflite_of

FP32 = 1e-4  # how far floats may be from the reference
READ = """
import json, sys
import numpy as np
import coremltools as ct
from google.protobuf.json_format import MessageToDict
from deploy.core_ml.steps import read_program
package, pictures = sys.argv[1:]
spec = ct.models.MLModel(package, skip_model_load=True).get_spec()
run = read_program(package)
answers = [run(picture) for picture in np.load(pictures)]
plain = [
    {k: v if k in ("classLabel", "probabilities") else v.item() for k, v in a.items()}
    for a in answers
]
description = MessageToDict(spec.description)
print(json.dumps({"description": description, "answers": plain}))
"""


def run(python: str, *arguments: object) -> str:
    done = command(python, *arguments)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def reference_answers(photos: list[Path]) -> list[dict]:
    """The PyTorch reference's answers, here."""
    threads = torch.get_num_threads()
    names = read_about(DEFAULT_MODEL).class_names
    try:
        return ask_all(answering(read_deployable(DEFAULT_MODEL), names), photos)[0]
    finally:
        torch.set_num_threads(threads)


def numbers(answer: dict) -> list[float]:
    """All numbers of an answer, in one order."""
    probabilities = [answer["probabilities"][name] for name in CLASS_NAMES]
    return [*probabilities, answer["knn_similarity"], answer["in_distribution_score"]]


def best(answer: dict) -> str:
    return max(answer["probabilities"], key=answer["probabilities"].get)


# Floats, in an environment of their own


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "package", "files"),
    [
        ("executorch", "executorch", [("ExecuTorch", "fp32")]),
        ("litert", "litert_torch", [("LiteRT", "int8"), ("LiteRT", "fp32")]),
    ],
)
def test_floats_answer_as_the_reference(place, package, files, tmp_path):
    python, out = python_of("converters", package), tmp_path / "out.json"
    listed, photos = draw_photos(tmp_path)
    run(python, "-m", "deploy.try_it", place, listed, out)
    trials = read_trials(out)
    assert [(trial.target, trial.precision) for trial in trials] == files
    floats = trials[-1]
    assert 15e6 < floats.file_bytes < 30e6 and floats.median_ms > 0
    pairs = zip(floats.answers, reference_answers(photos), strict=True)
    for answer, expected in pairs:
        assert numbers(answer) == pytest.approx(numbers(expected), abs=FP32)


# Core ML


@pytest.mark.slow
def test_core_mls_package_says_and_computes_what_the_reference_does(tmp_path):
    """Also that scaling and colours are right: the steps begin at the image."""
    python = python_of("converters", "coremltools")
    plates = [(name, number) for name in CLASS_NAMES for number in range(3)]
    pictures = np.stack([drawn_image(*plate, size=(224, 224)) for plate in plates])
    package, saved = tmp_path / "m.mlpackage", tmp_path / "pictures.npy"
    for _ in range(2):  # the second replaces the first
        run(python, "-m", "deploy.core_ml.convert", package)
    assert [path.name for path in tmp_path.iterdir()] == ["m.mlpackage"]
    np.save(saved, pictures)
    read = json.loads(run(python, "-c", READ, package, saved).splitlines()[-1])
    check_description(read["description"])
    deployable = read_deployable(DEFAULT_MODEL)
    network, how = Network(deployable), deployable.preprocess
    for answer, picture in zip(read["answers"], pictures, strict=True):
        pixels = torch.tensor(picture).permute(2, 0, 1)[None].float()
        with torch.inference_mode():
            probabilities, *scores = network(pixels * how.scale + how.shift)
        assert list(answer["probabilities"]) == list(CLASS_NAMES)
        assert answer["classLabel"] == CLASS_NAMES[int(probabilities.argmax())]
        expected = [*probabilities[0].tolist(), *(score.item() for score in scores)]
        assert numbers(answer) == pytest.approx(expected, abs=FP32)


def check_description(said: dict) -> None:
    """Whether an app finds what it needs in a package's spec."""
    image = {"width": "224", "height": "224", "colorSpace": "RGB"}
    (picture,) = said["input"]
    assert picture["name"] == "picture" and picture["type"]["imageType"] == image
    outputs = {each["name"]: each["type"] for each in said["output"]}
    assert set(outputs) == {"classLabel", *OUTPUTS}
    assert "stringKeyType" in outputs["probabilities"]["dictionaryType"]
    for score in OUTPUTS[1:]:
        assert outputs[score]["multiArrayType"]["dataType"] == "FLOAT32"
    assert said["predictedFeatureName"] == "classLabel"
    assert said["predictedProbabilitiesName"] == "probabilities"
    metadata = said["metadata"]
    assert metadata["license"].startswith("MIT") and metadata["versionString"]
    assert "author" not in metadata
    about = ModelMetadata.from_metadata(metadata["userDefined"])
    assert about == replace(read_about(DEFAULT_MODEL), precision="fp32")


def test_an_old_package_stays_until_the_new_one_is_there(tmp_path, monkeypatch):
    old, new = tmp_path / "m.mlpackage", tmp_path / "work" / "new.mlpackage"
    for folder, text in ((old, "old"), (new, "new")):
        folder.mkdir(parents=True)
        (folder / "weights").write_text(text)
    move = os.replace

    def fails(source, target):
        if source == new:
            raise OSError("no room")
        move(source, target)

    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(OSError, match="no room"):
        replace_folder(new, old)
    assert (old / "weights").read_text() == "old"
    monkeypatch.undo()
    replace_folder(new, old)
    assert (old / "weights").read_text() == "new" and not new.exists()


# LiteRT and ML Kit


@pytest.fixture(scope="module")
def tflite(tmp_path_factory):
    return write_tflite(DEFAULT_MODEL, tmp_path_factory.mktemp("ml") / "int8.tflite")


@pytest.fixture(scope="module")
def ml_kit_file(tflite):
    return write_tflite(DEFAULT_MODEL, tflite.with_name("kit.tflite"), for_ml_kit=True)


def ask(content: bytes, picture: np.ndarray) -> dict[str, np.ndarray]:
    interpreter = Interpreter(model_content=content, num_threads=1)
    return interpreter.get_signature_runner()(picture=picture)


def test_metadata_changes_no_answer_and_ml_kit_gets_one(tflite, ml_kit_file):
    torch.manual_seed(0)
    noise = torch.rand(1, 224, 224, 3).mul(2).sub(1).numpy()
    with_labels = ask(tflite.read_bytes(), noise)
    without = ask(tflite_of(DEFAULT_MODEL), noise)
    assert set(with_labels) == set(OUTPUTS)
    for name in OUTPUTS:
        assert np.array_equal(with_labels[name], without[name])
    answer = ask(ml_kit_file.read_bytes(), noise)
    assert list(answer) == ["probabilities"]
    assert answer["probabilities"].shape == (1, len(CLASS_NAMES))
    assert np.array_equal(answer["probabilities"], with_labels["probabilities"])
    assert ml_kit_file.stat().st_size < tflite.stat().st_size - 500_000


def test_labels_are_read_as_from_any_zip(tflite, ml_kit_file):
    for path in (tflite, ml_kit_file):
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


def test_metadata_says_how_to_scale_and_where_the_labels_are(tflite):
    model = ModelT.InitFromPackedBuf(tflite.read_bytes())
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
    assert [picture.inner(5).float(each) for each in (0, 1)] == [1, -1]
    (labels,) = probability.items(6)
    assert labels.text(0) == "labels.txt"
    assert labels.number(2, packer.int8) == 2  # TENSOR_AXIS_LABELS
    assert [score.text(0) for score in scores] == list(OUTPUTS[1:])


def test_int8_is_of_the_reference_s_mind(tmp_path, monkeypatch):
    monkeypatch.setattr("deploy.litert.convert.find_spec", lambda name: None)
    threads = torch.get_num_threads()
    _, photos = draw_photos(tmp_path)
    (trial,) = try_all(DEFAULT_MODEL, photos)
    torch.set_num_threads(threads)
    assert (trial.target, trial.precision) == ("LiteRT", "int8")
    assert 5e6 < trial.file_bytes < 7e6
    pairs = list(zip(trial.answers, reference_answers(photos), strict=True))
    assert sum(best(ours) == best(theirs) for ours, theirs in pairs) >= len(pairs) - 1


def test_the_same_model_makes_the_same_file(tflite, tmp_path):
    again = write_tflite(DEFAULT_MODEL, tmp_path / "again.tflite")
    assert again.read_bytes() == tflite.read_bytes()


def test_what_cannot_be_converted_is_refused(tmp_path):
    model = make_model(tmp_path / "floats.onnx")
    with pytest.raises(LessonError, match="only int8 is copied"):
        write_tflite(model, tmp_path / "out.tflite")
    assert [path.name for path in tmp_path.iterdir()] == ["floats.onnx"]
    words = "--model", tmp_path / "none.onnx", tmp_path / "out.tflite"
    with pytest.raises(AssertionError, match="^No model at"):
        run(python_of("converters", "torch"), "-m", "deploy.litert.convert", *words)


def test_an_app_s_way_of_resizing_is_compared_fairly():
    """The first way is the lesson's but for the rounding to 8 bits; others are not."""
    preprocess = read_deployable(DEFAULT_MODEL).preprocess
    pixels = torch.tensor(np.array(drawn_image("pizza", 3, size=(400, 300))))
    expected = preprocess(pixels)
    apart = [
        (prepare(pixels, preprocess, way)[0] - expected).abs().max().item()
        for way in WAYS
    ]
    assert apart[0] <= 0.5001 * preprocess.scale.item() < min(apart[1:])
