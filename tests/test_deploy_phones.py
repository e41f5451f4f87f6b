"""deploy/reference.py, litert/, core_ml/, executorch/: networks that answer alike."""

import base64
import copy
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
import torch
from ai_edge_litert.interpreter import Interpreter
from ai_edge_litert.schema_py_generated import ModelT
from demo_model_fixture import ABOUT, make_model
from deploy_targets import draw_photos, need
from onnx import numpy_helper
from torch import nn

from deploy import DEFAULT_MODEL, ROOT, reference, try_it
from deploy.litert.convert import try_all, write_tflite
from deploy.litert.metadata import with_metadata
from deploy.reference import convert_command, read_about, read_deployable
from deploy.try_it import read_trials
from going_modular.app.model import OUTPUTS, ModelMetadata, Predictor, open_picture
from going_modular.app_process import run
from going_modular.drawn import CLASS_NAMES
from going_modular.export import KNOWN, Deployable
from going_modular.files import LessonError
from going_modular.gate import OODDetector, softmax_head
from pocket.convert import tflite_of

SAME = 1e-5  # how far the reference may be from itself
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


@pytest.mark.parametrize("two_heads", [True, False], ids=["two heads", "one"])
def test_what_was_learned_is_read(two_heads, lite2, stored, tmp_path, monkeypatch):
    torch.manual_seed(0)
    second = softmax_head(torch.randn(3, 1280) / 10, torch.randn(3))
    scores = {"confidence": torch.randn(9), "second": torch.rand(9)}
    gate = OODDetector(stored.tensors[0], second if two_heads else None, **scores)
    model = copy.deepcopy(lite2.model)
    nn.init.normal_(model.head[-1].weight, std=0.1)
    original = Deployable(lite2.preprocess, model, gate, temperature=1.5)
    parts = original.state_dict() | {KNOWN: gate.known.T}
    arrays = [numpy_helper.from_array(parts[name].numpy(), name) for name in parts]
    graph = onnx.helper.make_graph([], "all that is read", [], [], arrays)
    onnx.save(onnx.helper.make_model(graph), tmp_path / "m.onnx")
    found = SimpleNamespace(about=replace(ABOUT, temperature=1.5))
    monkeypatch.setattr(reference, "Predictor", lambda *_, **__: found)
    rebuilt = read_deployable(tmp_path / "m.onnx")
    assert rebuilt.temperature == 1.5
    torch.testing.assert_close(rebuilt.state_dict(), original.state_dict())


def test_what_is_no_such_file_is_refused(tmp_path):
    pointer, old = tmp_path / "pointer.onnx", tmp_path / "old.onnx"
    pointer.write_text("version https://git-lfs.github.com/spec/v1")
    names = b"gate.second_width", b"gate.unknown_name"  # as in files of other days
    old.write_bytes(DEFAULT_MODEL.read_bytes().replace(*names))
    for file, sentence in {
        tmp_path / "none.onnx": "run the lesson to make it",
        pointer: "git lfs pull",
        make_model(tmp_path / "other.onnx", contender="ResNet"): "no base 'ResNet'",
        make_model(tmp_path / "stand-in.onnx"): "lacks a part",
        old: "lacks a part .*gate.second_width.*make the file anew",
    }.items():
        with pytest.raises(LessonError, match=sentence):
            read_deployable(file)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Drawn plates: a list of them as JSON, their files, the reference's trial."""
    listed, files = draw_photos(tmp_path_factory.mktemp("photos"))
    out, threads = listed.with_name("out.json"), torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["try_it", "reference", str(listed), str(out)])
        try_it.main()
    yield listed, files, read_trials(out)[0]
    torch.set_num_threads(threads)


def best(answer: dict) -> str:
    return max(answer["probabilities"], key=answer["probabilities"].get)


def test_the_reference_is_much_like_the_int8_file(drawn):
    _, files, trial = drawn
    assert trial.target == "PyTorch" and trial.versions["torch"]
    assert trial.median_ms > 0 and trial.file_bytes > 20_000_000
    rebuilt, same = read_deployable(DEFAULT_MODEL), 0
    predictor = Predictor(DEFAULT_MODEL, threads=1)
    for photo, answer in zip(files, trial.answers, strict=True):
        probabilities, *scores = answer.values()
        assert list(probabilities) == list(CLASS_NAMES)
        with torch.inference_mode():
            wanted, *others = rebuilt(torch.tensor(open_picture(photo)))
        assert [*probabilities.values()] == pytest.approx(wanted, abs=SAME)
        assert scores == pytest.approx([each.item() for each in others], abs=SAME)
        rounded = predictor.predict(photo)
        assert scores[0] == pytest.approx(rounded.knn_similarity, abs=0.1)
        same += rounded.best[0] == best(answer)
    assert same >= len(files) - 1


@pytest.mark.slow
@pytest.mark.parametrize("place", ["executorch", "litert"])
def test_floats_answer_as_the_reference(place, drawn, tmp_path):
    (listed, _, truth), out = drawn, tmp_path / "out.json"
    run(need(place), "-m", "deploy.try_it", place, listed, out, cwd=ROOT)
    floats = read_trials(out)[-1]
    assert floats.precision == "fp32"
    assert 15e6 < floats.file_bytes < 30e6 and floats.median_ms > 0
    for answer, wanted in zip(floats.answers, truth.answers, strict=True):
        for part, value in wanted.items():
            assert answer[part] == pytest.approx(value, abs=1e-4)


@pytest.mark.slow
def test_core_mls_package_says_and_holds_what_it_must(tmp_path):
    python = need("core_ml")
    package, deployable = tmp_path / "m.mlpackage", read_deployable(DEFAULT_MODEL)
    for _ in range(2):  # the second replaces the first
        run(python, "-m", "deploy.core_ml.convert", package, cwd=ROOT)
    assert [path.name for path in tmp_path.iterdir()] == ["m.mlpackage"]
    read = json.loads(run(python, "-c", READ, package, cwd=ROOT).splitlines()[-1])
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


def test_metadata_changes_no_answer_and_ml_kit_gets_one(tmp_path):
    noise = np.random.default_rng(0).uniform(-1, 1, (1, 224, 224, 3)).astype("float32")
    kinds = {"int8": False, "again": False, "kit": True}.items()
    files = [write_tflite(DEFAULT_MODEL, tmp_path / n, for_ml_kit=k) for n, k in kinds]
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
    golden = Path(__file__).with_name("tflite_metadata.txt").read_text("utf-8")
    assert found == base64.b64decode(golden)


def test_int8_is_of_the_reference_s_mind(drawn, monkeypatch):
    monkeypatch.setattr("deploy.litert.convert.find_spec", lambda name: None)
    _, files, truth = drawn
    (trial,) = try_all(DEFAULT_MODEL, files)
    assert (trial.target, trial.precision) == ("LiteRT", "int8")
    assert 5e6 < trial.file_bytes < 7e6
    pairs = zip(map(best, trial.answers), map(best, truth.answers), strict=True)
    assert sum(one == other for one, other in pairs) >= len(files) - 1


def test_what_cannot_be_converted_is_refused(tmp_path, monkeypatch):
    model = make_model(tmp_path / "floats.onnx")
    with pytest.raises(LessonError, match="only int8 is copied"):
        write_tflite(model, tmp_path / "out.tflite")
    assert [path.name for path in tmp_path.iterdir()] == ["floats.onnx"]
    words = ["convert", "--model", f"{tmp_path}/none.onnx", f"{tmp_path}/out.tflite"]
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit, match="^No model can be read at"):
        convert_command(write_tflite, "model.tflite")
