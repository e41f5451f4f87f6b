"""Make an exported model smaller and faster: 8-bit integers in place of 32-bit floats.

Only the convolutions change. Preprocessing before them, and head, softmax and gate
after them, stay in floats: they cost little and would lose the most.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from going_modular.app.model import open_picture
from going_modular.export import ExportError, check_runs, metadata_of, quiet
from going_modular.files import atomic_write

MIN_CONVOLUTIONS = 10


class _Pictures(CalibrationDataReader):
    """Hands training pictures to the calibration, one at a time."""

    def __init__(self, files: Sequence[Path]):
        self._files = iter(files)

    def get_next(self) -> dict[str, np.ndarray] | None:
        file = next(self._files, None)
        return None if file is None else {"picture": open_picture(file)}


def quantize(source: Path, target: Path, *, calibrate_on: Sequence[Path]) -> Path:
    """Write an int8 version of an exported convolutional model, all or nothing.

    Weights get a scale per channel. Activations get one scale a layer, from the
    smallest and largest value met while `calibrate_on` runs through (static, MinMax).
    Weights use 7 of their 8 bits: older x86 processors add products of two full 8-bit
    numbers up in 16 bits, which can overflow, and answers must agree everywhere.

    Args:
        source: Written by `export_onnx`.
        target: Where the int8 file goes.
        calibrate_on: Training pictures, a hundred or so, never test pictures.

    Raises:
        ExportError: If the model has hardly any convolutions to quantise.
        FileError: If the file cannot be written.
    """
    with atomic_write(target) as part, tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"
        with quiet():
            # Folds BatchNorm into the convolutions, so that both are rounded once.
            quant_pre_process(source, prepared, skip_symbolic_shape=True)
            quantize_static(
                prepared,
                part,
                _Pictures(calibrate_on),
                quant_format=QuantFormat.QDQ,
                calibrate_method=CalibrationMethod.MinMax,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                per_channel=True,
                reduce_range=True,
                nodes_to_exclude=_outside_the_network(onnx.load(prepared).graph),
            )
        model = onnx.load(part)
        _round_known_features(model.graph)
        _share_equal_numbers(model.graph)
        about = metadata_of(onnx.load(source)) | {"precision": "int8"}
        onnx.helper.set_model_props(model, about)
        onnx.save(model, part)
        check_runs(part)
    return target


def _outside_the_network(graph: onnx.GraphProto) -> list[str]:
    """Names of the nodes before the first convolution and after the last ones."""
    kinds = [node.op_type for node in graph.node]
    if kinds.count("Conv") < MIN_CONVOLUTIONS:
        raise ExportError(
            "this model has hardly any convolutions to quantise; ship the float file"
        )
    first = kinds.index("Conv")
    last = len(kinds) - 1 - kinds[::-1].index("Conv")
    pooling = next(
        place
        for place in range(last, len(kinds))
        if kinds[place] in ("ReduceMean", "GlobalAveragePool")
    )
    return [node.name for node in [*graph.node[:first], *graph.node[pooling:]]]


def _round_known_features(graph: onnx.GraphProto) -> None:
    """Store the training pictures' features, (D, N), as int8, a scale a picture."""
    matmul = next(node for node in graph.node if node.op_type == "MatMul")
    known = next(i for i in graph.initializer if i.name == matmul.input[1])
    rounded, scale = round_columns(numpy_helper.to_array(known))
    name = "known_features"
    graph.initializer.remove(known)
    graph.initializer.append(numpy_helper.from_array(rounded, f"{name}_int8"))
    graph.initializer.append(numpy_helper.from_array(scale, f"{name}_scale"))
    restore = onnx.helper.make_node(
        "DequantizeLinear", [f"{name}_int8", f"{name}_scale"], [name], name=name, axis=1
    )
    graph.node.insert(0, restore)
    matmul.input[1] = name


def round_columns(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values (D, N) as int8, and the scale (N,) by which each column is multiplied."""
    scale = np.abs(values).max(axis=0) / 127
    return np.round(values / scale).astype(np.int8), scale


def activation_ranges(file: Path) -> dict[str, float]:
    """How wide the range of each rounded activation is, in the order of the network.

    Args:
        file: Written by `quantize`.
    """
    graph = onnx.load(file).graph
    values = {c.name: numpy_helper.to_array(c) for c in graph.initializer}
    rounding = (node for node in graph.node if node.op_type == "QuantizeLinear")
    return {n.input[0]: 255 * float(values[n.input[1]]) for n in rounding}


def _share_equal_numbers(graph: onnx.GraphProto) -> None:
    """Keep equal constants once: the zero points, a tenth of a megabyte of zeros."""
    kept, renamed = {}, {}
    for constant in list(graph.initializer):
        key = (
            constant.data_type,
            *constant.dims,
            numpy_helper.to_array(constant).tobytes(),
        )
        first = kept.setdefault(key, constant.name)
        if first != constant.name:
            renamed[constant.name] = first
            graph.initializer.remove(constant)
    for node in graph.node:
        for place, name in enumerate(node.input):
            node.input[place] = renamed.get(name, name)
