"""Make an exported model smaller and faster: its convolutions in 8-bit integers.

What stands before and after them stays in floats: it costs little and would lose most.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnx_ir
from onnx import numpy_helper
from onnx_ir.passes.common import DeduplicateInitializersPass
from onnxruntime import quantization
from onnxruntime.quantization.shape_inference import quant_pre_process

from going_modular.app.model import open_picture
from going_modular.export import KNOWN, ExportError, check_runs, metadata_of, quiet
from going_modular.files import atomic_write

MIN_CONVOLUTIONS = 10
POOLING = ("ReduceMean", "GlobalAveragePool")
MOST_SHARED = 100_000  # numbers of a constant that may occur twice: zero points, mostly


class _Pictures(quantization.CalibrationDataReader):
    """Hands training pictures to the calibration, one at a time."""

    def __init__(self, files: Sequence[Path]):
        self._inputs = ({"picture": open_picture(file)} for file in files)

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._inputs, None)


def quantize(source: Path, target: Path, *, calibrate_on: Sequence[Path]) -> Path:
    """Write an int8 version of an exported convolutional model, all or nothing.

    Weights get a scale per channel. Activations get one scale a layer, from the
    smallest and largest value met while `calibrate_on` runs through (static, MinMax): a
    hundred training pictures or so, never test pictures. Weights use 7 of their 8 bits:
    older x86 processors add products of two full 8-bit numbers up in 16 bits, which can
    overflow, and answers must agree everywhere.

    A model with hardly any convolutions, or without the names that `export_onnx` gives,
    is an ExportError; a file that cannot be written a FileError.
    """
    exported = onnx.load(source)
    if KNOWN not in {constant.name for constant in exported.graph.initializer}:
        raise ExportError(
            f"{source.name} names no {KNOWN}: it was made before its parts had names. "
            "Export it anew"
        )
    with atomic_write(target) as part, tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"
        with quiet():
            # Folds BatchNorm into the convolutions, so that both are rounded once.
            quant_pre_process(source, prepared, skip_symbolic_shape=True)
            quantization.quantize_static(
                prepared,
                part,
                _Pictures(calibrate_on),
                quant_format=quantization.QuantFormat.QDQ,
                calibrate_method=quantization.CalibrationMethod.MinMax,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
                per_channel=True,
                reduce_range=True,
                nodes_to_exclude=_outside_the_network(onnx.load(prepared).graph),
            )
        model = onnx_ir.load(part)
        _round_known_features(model.graph)
        DeduplicateInitializersPass(size_limit=MOST_SHARED)(model)
        model.metadata_props.clear()
        model.metadata_props.update(metadata_of(exported) | {"precision": "int8"})
        onnx.save(onnx_ir.to_proto(model), part)
        check_runs(part)
    return target


def _outside_the_network(graph: onnx.GraphProto) -> list[str]:
    """Names of the nodes before the first convolution and after the last ones."""
    kinds = [node.op_type for node in graph.node]
    first, *more = [n for n, kind in enumerate(kinds) if kind == "Conv"] or [0]
    if len(more) < MIN_CONVOLUTIONS - 1:
        raise ExportError(
            "this model has hardly any convolutions to quantise; ship the float file"
        )
    end = next(n for n, kind in enumerate(kinds) if n > more[-1] and kind in POOLING)
    return [node.name for node in [*graph.node[:first], *graph.node[end:]]]


def _round_known_features(graph: onnx_ir.Graph) -> None:
    """Store the training pictures' features, (D, N), as int8, a scale a picture."""
    floats = graph.initializers.pop(KNOWN)
    rounded, scale = round_columns(floats.const_value.numpy())
    parts = [
        onnx_ir.val(f"{KNOWN}_int8", const_value=onnx_ir.tensor(rounded)),
        onnx_ir.val(f"{KNOWN}_scale", const_value=onnx_ir.tensor(scale)),
    ]
    for part in parts:
        graph.initializers.add(part)
    restore = onnx_ir.node(
        "DequantizeLinear", parts, {"axis": 1}, name=KNOWN, outputs=[onnx_ir.val(KNOWN)]
    )
    floats.replace_all_uses_with(restore.outputs[0])
    graph.insert_before(graph[0], restore)


def round_columns(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values (D, N) as int8, and the scale (N,) by which each column is multiplied."""
    scale = np.abs(values).max(axis=0) / 127
    return np.round(values / scale).astype(np.int8), scale


def activation_ranges(file: Path) -> dict[str, float]:
    """How wide the range of each rounded activation of an int8 file is, in order."""
    graph = onnx.load(file).graph
    values = {c.name: numpy_helper.to_array(c) for c in graph.initializer}
    rounding = (node for node in graph.node if node.op_type == "QuantizeLinear")
    return {n.input[0]: 255 * float(values[n.input[1]]) for n in rounding}
