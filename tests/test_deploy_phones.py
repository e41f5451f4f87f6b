"""deploy/litert/, core_ml/ and executorch/: what they convert to answers alike.

Core ML itself answers on Apple's systems only, so nothing here asks it: what we tell
coremltools is looked up in its package.
"""

import base64
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from ai_edge_litert.interpreter import Interpreter
from ai_edge_litert.schema_py_generated import ModelT
from demo_model_fixture import ABOUT, make_model
from deploy_targets import command, draw_photos, need

from deploy import DEFAULT_MODEL, reference
from deploy.converting import convert_command
from deploy.litert.convert import try_all, write_tflite
from deploy.litert.metadata import with_metadata
from deploy.reference import read_about, read_deployable
from deploy.try_it import read_trials
from going_modular.app.model import OUTPUTS, ModelMetadata
from going_modular.drawn import CLASS_NAMES
from going_modular.files import LessonError
from pocket.convert import tflite_of

GOLDEN = Path(__file__).with_name("tflite_metadata.txt")
FP32 = 1e-4  # how far floats may be from the reference
READ = """
import json, sys
import coremltools as ct
from coremltools.converters.mil.frontend.milproto.load import load
from google.protobuf.json_format import MessageToDict
model = ct.models.MLModel(sys.argv[1], skip_model_load=True)
spec = model.get_spec()
main = load(spec, spec.specificationVersion, model.weights_dir).functions["main"]
steps = [step for step in main.operations if step.op_type != "const"]
scaling = [step.inputs["y"].val.ravel().tolist() for step in steps[:2]]
made_by = {output.name: step.op_type for step in steps for output in step.outputs}
head = next(step for step in steps if step.op_type == "linear")
print(json.dumps({
    "description": MessageToDict(spec.description),
    "scaling": scaling,
    "made_by": {output.name: made_by[output.name] for output in main.outputs},
    "classes": list(map(str, steps[-1].inputs["classes"].val)),
    "head": head.inputs["weight"].val.tolist(),
}))
"""


def run(python: str, *arguments: object) -> str:
    done = command(python, *arguments)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Drawn plates: a list of them as JSON, their files, the reference's answers."""
    listed, files = draw_photos(tmp_path_factory.mktemp("photos"))
    threads = torch.get_num_threads()
    yield listed, files, reference.try_all(DEFAULT_MODEL, files)[0].answers
    torch.set_num_threads(threads)


@pytest.mark.slow
@pytest.mark.parametrize("place", ["executorch", "litert"])
def test_floats_answer_as_the_reference(place, photos, tmp_path):
    listed, _, wanted = photos
    run(need(place), "-m", "deploy.try_it", place, listed, tmp_path / "out.json")
    floats = read_trials(tmp_path / "out.json")[-1]
    assert floats.precision == "fp32"
    assert 15e6 < floats.file_bytes < 30e6 and floats.median_ms > 0
    for answer, expected in zip(floats.answers, wanted, strict=True):
        for part, value in expected.items():
            assert answer[part] == pytest.approx(value, abs=FP32)


@pytest.mark.slow
def test_core_mls_package_says_and_holds_what_it_must(tmp_path):
    python = need("core_ml")
    package, deployable = tmp_path / "m.mlpackage", read_deployable(DEFAULT_MODEL)
    for _ in range(2):  # the second replaces the first
        run(python, "-m", "deploy.core_ml.convert", package)
    assert [path.name for path in tmp_path.iterdir()] == ["m.mlpackage"]
    read = json.loads(run(python, "-c", READ, package).splitlines()[-1])
    how = deployable.preprocess
    assert read["scaling"][0] == pytest.approx([how.scale.item()])
    assert read["scaling"][1] == pytest.approx([how.shift.item()] * 3)
    steps = "classify", "classify", "reduce_mean", "sigmoid"
    assert read["made_by"] == dict(zip(("classLabel", *OUTPUTS), steps, strict=True))
    assert read["classes"] == list(CLASS_NAMES)
    head = deployable.model.head[-1].weight.numpy()
    assert np.array(read["head"]) == pytest.approx(head)
    said = read["description"]
    (picture,), image = said["input"], {"width": "224", "height": "224"}
    assert picture["name"] == "picture"
    assert picture["type"]["imageType"] == image | {"colorSpace": "RGB"}
    outputs = {each["name"]: each["type"] for each in said["output"]}
    assert "stringKeyType" in outputs["probabilities"]["dictionaryType"]
    for score in OUTPUTS[1:]:
        assert outputs[score]["multiArrayType"]["dataType"] == "FLOAT32"
    assert said["predictedFeatureName"] == "classLabel"
    assert said["predictedProbabilitiesName"] == "probabilities"
    metadata = said["metadata"]
    assert metadata["license"].startswith("MIT") and metadata["versionString"]
    about = ModelMetadata.from_metadata(metadata["userDefined"])
    assert about == replace(read_about(DEFAULT_MODEL), precision="fp32")


# LiteRT and ML Kit


def test_metadata_changes_no_answer_and_ml_kit_gets_one(tmp_path):
    noise = np.random.default_rng(0).uniform(-1, 1, (1, 224, 224, 3)).astype("float32")
    names = "int8", "again", "kit"
    files = [
        write_tflite(DEFAULT_MODEL, tmp_path / name, for_ml_kit=name == "kit")
        for name in names
    ]
    int8, again, kit = (file.read_bytes() for file in files)
    assert again == int8, "another file of the same model"
    plain, answer, alone = (
        Interpreter(model_content=content).get_signature_runner()(picture=noise)
        for content in (tflite_of(DEFAULT_MODEL), int8, kit)
    )
    assert list(alone) == ["probabilities"] and set(answer) == set(plain) == {*OUTPUTS}
    for found in (answer, alone):
        assert all(np.array_equal(value, plain[name]) for name, value in found.items())
    for file in files:  # labels are read as from any zip
        with zipfile.ZipFile(file) as archive:
            assert archive.read("labels.txt").decode().split() == list(CLASS_NAMES)


def test_metadata_is_as_when_it_was_read_field_by_field():
    how = SimpleNamespace(scale=1 / 127.5, shift=-1)
    content = with_metadata(tflite_of(DEFAULT_MODEL), ABOUT, how, OUTPUTS)
    model = ModelT.InitFromPackedBuf(content)
    (entry,) = [each for each in model.metadata if each.name == b"TFLITE_METADATA"]
    found = bytes(model.buffers[entry.buffer].data)
    assert found == base64.b64decode(GOLDEN.read_text("utf-8"))


def test_int8_is_of_the_reference_s_mind(photos, monkeypatch):
    monkeypatch.setattr("deploy.litert.convert.find_spec", lambda name: None)
    _, files, wanted = photos
    (trial,) = try_all(DEFAULT_MODEL, files)
    assert (trial.target, trial.precision) == ("LiteRT", "int8")
    assert 5e6 < trial.file_bytes < 7e6
    best, right = (
        [max(each["probabilities"], key=each["probabilities"].get) for each in answers]
        for answers in (trial.answers, wanted)
    )
    assert sum(map(str.__eq__, best, right)) >= len(files) - 1


def test_what_cannot_be_converted_is_refused(tmp_path, monkeypatch):
    model = make_model(tmp_path / "floats.onnx")
    with pytest.raises(LessonError, match="only int8 is copied"):
        write_tflite(model, tmp_path / "out.tflite")
    assert [path.name for path in tmp_path.iterdir()] == ["floats.onnx"]
    words = ["convert", "--model", f"{tmp_path}/none.onnx", f"{tmp_path}/out.tflite"]
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit, match="^No model can be read at"):
        convert_command(write_tflite, "model.tflite")
