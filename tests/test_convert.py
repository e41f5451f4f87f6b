"""The .tflite file: the same network as the ONNX file's, or a sentence why not."""

import gzip
import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from ai_edge_litert.interpreter import Interpreter
from demo_model_fixture import make_model
from onnx import helper, numpy_helper

from going_modular.app.model import OUTPUTS, Predictor, open_picture
from going_modular.data_setup import find_pictures
from going_modular.drawn import CLASS_NAMES, drawn_files
from going_modular.files import FileError
from going_modular.pocket.convert import tflite_of, write_tflite
from going_modular.pocket.preparation import (
    ConvertError,
    preparation_of,
    preparing_session,
)
from going_modular.pocket.runtimes import ORT_WEB
from going_modular.pocket.site import choose_engine

ROOT = Path(__file__).resolve().parents[1]
COMMITTED = ROOT / "models" / "foodvision_mini.onnx"
PER_CLASS = 4


@pytest.fixture(scope="module")
def content():
    return tflite_of(COMMITTED)


@pytest.fixture(scope="module")
def prepare():
    """The ONNX file's own preparation of pixels, up to where the network begins."""
    return preparing_session(COMMITTED)


def pictures() -> list[np.ndarray]:
    """Test photos where there are some, else drawn pictures."""
    if os.environ.get("FOODVISION_DATA"):
        folder = find_pictures(ROOT / "data").folder / "test"
        files = [sorted(folder.glob(f"{n}/*.jpg"))[:PER_CLASS] for n in CLASS_NAMES]
        return [open_picture(file) for some in files for file in some]
    drawn = (file for n in CLASS_NAMES for file in drawn_files(n)[:PER_CLASS])
    return [open_picture(file) for file in drawn]


def test_answers_are_those_of_the_onnx_file(content, prepare):
    predictor = Predictor(COMMITTED, threads=1)
    ask = Interpreter(model_content=content, num_threads=1).get_signature_runner()
    apart = []
    for pixels in pictures():
        prepared = np.ascontiguousarray(prepare(pixels).transpose(1, 2, 0)[None])
        theirs, ours = ask(picture=prepared), predictor.predict(pixels)
        probabilities = [ours.probabilities[n] for n in predictor.about.class_names]
        assert theirs["probabilities"].argmax() == np.argmax(probabilities)
        apart.append(
            (
                np.abs(theirs["probabilities"][0] - probabilities).max(),
                abs(theirs["knn_similarity"].item() - ours.knn_similarity),
                abs(
                    theirs["in_distribution_score"].item() - ours.in_distribution_score
                ),
            )
        )
    largest = np.max(apart, axis=0)
    assert (largest < (0.001, 0.01, 0.02)).all(), f"{OUTPUTS}: {largest}"


def test_no_weight_is_quantised_a_second_time(content):
    """Every constant of 8 bits and its scale stand in both files."""
    model = onnx.load(COMMITTED)
    values = {c.name: numpy_helper.to_array(c) for c in model.graph.initializer}
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    arrays = {d["name"]: d for d in interpreter.get_tensor_details()}
    weights = [name for name in values if name.endswith("weight_quantized")]
    assert len(weights) == 64
    for name in weights:
        scales = values[f"{name.removesuffix('_quantized')}_scale"]
        theirs = arrays[name]["quantization_parameters"]
        assert np.array_equal(theirs["scales"], scales)
        assert not theirs["zero_points"].any()
        copied = interpreter.get_tensor(arrays[name]["index"])
        assert np.array_equal(np.sort(copied, None), np.sort(values[name], None))


def test_file_is_written_whole_and_compresses(content, tmp_path):
    target = write_tflite(COMMITTED, tmp_path / "new" / "model.tflite")
    assert target.read_bytes() == content
    assert content[4:8] == b"TFL3"
    assert len(gzip.compress(content)) < 0.8 * len(content)
    (tmp_path / "taken").write_text("")
    with pytest.raises(FileError):
        write_tflite(COMMITTED, tmp_path / "taken" / "model.tflite")


def test_preparation_is_what_the_lesson_s_module_does():
    how = preparation_of(COMMITTED)
    assert how.size == 224 and how.crop == pytest.approx(0.89)
    assert how.scale == pytest.approx(1 / 127.5) and how.shift == -1


def broken(change, tmp_path) -> Path:
    """The committed model with one change."""
    model = onnx.load(COMMITTED)
    change(model.graph)
    onnx.save(model, tmp_path / "changed.onnx")
    return tmp_path / "changed.onnx"


def node_of(graph, kind: str):
    return next(node for node in graph.node if node.op_type == kind)


def set_attribute(node, name: str, value) -> None:
    kept = [a for a in node.attribute if a.name != name]
    del node.attribute[:]
    node.attribute.extend([*kept, helper.make_attribute(name, value)])


def use_all_8_bits(graph) -> None:
    name = node_of(graph, "DequantizeLinear").input[0]
    for constant in graph.initializer:
        if constant.name.endswith("conv_stem.weight_quantized"):
            name, values = constant.name, numpy_helper.to_array(constant).copy()
            values.flat[0] = 127
            constant.CopyFrom(numpy_helper.from_array(values, name))


CHANGES = {
    "another step": (
        lambda graph: setattr(node_of(graph, "Sigmoid"), "op_type", "HardSwish"),
        r"HardSwish \(\w+\) is not known here",
    ),
    "another resize": (
        lambda graph: set_attribute(node_of(graph, "Resize"), "mode", b"linear"),
        "it has another way of resizing",
    ),
    "another padding": (
        lambda graph: set_attribute(node_of(graph, "Conv"), "pads", [1, 1, 1, 1]),
        r"Conv \(\w+\) is padded",
    ),
    "dilation": (
        lambda graph: set_attribute(node_of(graph, "Conv"), "dilations", [2, 2]),
        r"Conv \(\w+\) is grouped or dilated",
    ),
    "wide weights": (use_all_8_bits, r"Conv \(\w+\) has weights beyond 64"),
    "another axis": (
        lambda graph: set_attribute(node_of(graph, "Gemm"), "transB", 0),
        r"Gemm \(\w+\) is not a plain linear layer",
    ),
}


@pytest.mark.parametrize(("change", "sentence"), CHANGES.values(), ids=CHANGES)
def test_a_graph_that_is_not_known_is_refused(change, sentence, tmp_path):
    file = broken(change, tmp_path)
    with pytest.raises(ConvertError, match=sentence):
        write_tflite(file, tmp_path / "model.tflite")
    assert not (tmp_path / "model.tflite").exists()


def test_floats_are_refused_and_get_the_other_engine(tmp_path):
    model = make_model(tmp_path / "model.onnx")
    with pytest.raises(ConvertError, match="only int8 is copied"):
        tflite_of(model)
    engine, why = choose_engine(model)
    assert engine is ORT_WEB and "floats" in why
