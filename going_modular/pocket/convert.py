"""Write an int8 ONNX file once more, as the .tflite file that LiteRT runs.

LiteRT's engine in a browser is several times as fast with this network as ONNX
Runtime's. Nothing is quantised a second time: weights, biases and scales are copied, so
both files hold one network and answer alike. Three things differ:

* The picture goes in prepared (cropped, resized, scaled), for LiteRT knows no
  antialiased bicubic resizing. `preparation_of` says what is to be done.
* Channels come last in every array (NHWC), as LiteRT wants it.
* Activations are int8, not uint8: both integers and zero points are less by 128, which
  changes none of the numbers that they stand for.

Sums of two branches are computed in floats: LiteRT's int8 addition rounds differently.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import NodeProto

from going_modular.app.model import OUTPUTS
from going_modular.files import atomic_write
from going_modular.pocket.carried import FEATURES, features_name
from going_modular.pocket.preparation import (
    ConvertError,
    as_model,
    attributes_of,
    constants_of,
    preparation_of,
    preparing_steps,
)
from going_modular.pocket.tflite import TfliteWriter, schema

UINT8_TO_INT8 = -128
MOST = 64  # of a weight: `quantize` uses 7 bits, and engine_edits.py counts on it
ALONG_ROW = ([-1], [1])  # two names of the axis of a row (1, D)
# Operators that both have, elementwise and without attributes.
ELEMENTWISE = {
    **{"Abs": "ABS", "Add": "ADD", "Div": "DIV", "Mul": "MUL"},
    **{"Sigmoid": "LOGISTIC", "Sign": "SIGN", "Sqrt": "SQRT", "Sub": "SUB"},
}


def write_tflite(source: Path, target: Path) -> Path:
    """Write a model as .tflite, all or nothing; see `tflite_of`.

    Raises:
        ConvertError: As `tflite_of` does.
        FileError: If the file cannot be written.
    """
    content = tflite_of(source)
    with atomic_write(target) as part:
        part.write_bytes(content)
    return Path(target)


def tflite_of(model: Path | onnx.ModelProto, *, with_features: bool = False) -> bytes:
    """The content of a .tflite file for a model made by `quantize`.

    The file takes a prepared picture, float32 (1, S, S, 3), and gives what the ONNX
    file gives, each with an axis for one picture before.

    Args:
        model: The ONNX file, or what is in it.
        with_features: Give the picture's "features" (1, D), too, if the file compares
            any with known ones.

    Raises:
        ConvertError: If a step of it is not known here (EffNetB2 and ViT have such
            steps), or nothing was quantised.
    """
    model = as_model(model)
    try:
        features = features_name(model.graph) if with_features else None
        return _Converter(model.graph).convert(preparation_of(model).size, features)
    except (AttributeError, KeyError, ValueError) as error:  # parts it counts on
        raise ConvertError(
            "The model cannot be written as .tflite: it is built in a way that is not "
            f"known here ({error!r})."
        ) from error


class _Converter:
    """Goes through a graph and adds step after step to a .tflite."""

    def __init__(self, graph: onnx.GraphProto):
        self.graph, self.constants = graph, constants_of(graph)
        self.maker = {name: node for node in graph.node for name in node.output}
        self.writer = TfliteWriter()
        self.arrays: dict[str, int] = {}  # the number of each value's array
        self.shapes: dict[int, list[int]] = {}  # in LiteRT's order of axes

    def convert(self, size: int, features: str | None) -> bytes:
        """The .tflite file's content, for prepared pictures of `size` pixels a side.

        `features` is the value that is given out as the picture's features, too.
        """
        preparing = preparing_steps(self.graph)
        prepared = {name for node in preparing for name in node.output}
        picture = self.new(preparing[-1].output[0], [1, size, size, 3])
        for node in self.graph.node:
            if node.output[0] not in prepared:
                _need(node.op_type in self.KNOWN, node, "is not known here")
                self.KNOWN[node.op_type](self, node)
        outputs = {name: self.arrays[name] for name in OUTPUTS}
        if features:
            outputs[FEATURES] = self.arrays[features]
        about = "FoodVision: weights and scales of an int8 ONNX file"
        return self.writer.finish({"picture": picture}, outputs, description=about)

    def new(self, name: str, shape: list[int], kind: str = "float32", **more) -> int:
        """Add an array; `more` as for `TfliteWriter.array`."""
        number = self.writer.array(name, shape, kind, **more)
        self.arrays[name], self.shapes[number] = number, list(shape)
        return number

    def constant(self, name: str, values: np.ndarray, **more) -> int:
        """Add an array of constants."""
        kind = str(values.dtype)
        return self.new(name, values.shape, kind, values=values, **more)

    def floats(self, name: str) -> int:
        """The array of a value as floats, made from integers if need be."""
        if name in self.arrays:
            return self.arrays[name]
        if name in self.constants:
            values = self.constants[name]  # more axes would have another order here
            _need(values.ndim <= 2, self.users(name)[0], "has a constant of many axes")
            return self.constant(name, values)
        integers = self.arrays[self.maker[name].input[0]]
        return self.compute("DEQUANTIZE", [integers], name, self.shapes[integers])

    def users(self, name: str) -> list[NodeProto]:
        """The steps that take a value."""
        return [node for node in self.graph.node if name in node.input]

    def compute(
        self, kind: str, inputs: list[int], name: str, shape: list[int], **options
    ) -> int:
        """Add an operator with one result of floats; `name` is the result's."""
        number = self.new(name, shape)
        self.writer.operator(kind, inputs, [number], **options)
        return number

    def integers(self, quantize: NodeProto, shape: list[int]) -> int:
        """Add the int8 array that a QuantizeLinear makes."""
        scale, zero_point = (self.constants[name] for name in quantize.input[1:])
        _need(zero_point.dtype == np.uint8, quantize, "does not make uint8")
        zero_point = int(zero_point) + UINT8_TO_INT8
        return self.new(
            quantize.output[0], shape, "int8", scale=scale, zero_point=zero_point
        )

    def elementwise(self, node: NodeProto) -> None:
        """One number for one number, or one for two."""
        inputs = [self.floats(name) for name in node.input]
        shape = np.broadcast_shapes(*(self.shapes[number] for number in inputs))
        self.compute(ELEMENTWISE[node.op_type], inputs, node.output[0], list(shape))

    def at_least(self, node: NodeProto) -> None:
        """Keep numbers from falling below one."""
        _need(not any(node.input[2:]), node, "has an upper limit")
        inputs = [self.floats(name) for name in node.input[:2]]
        self.compute("MAXIMUM", inputs, node.output[0], self.shapes[inputs[0]])

    def quantize(self, node: NodeProto) -> None:
        """Floats to int8; what follows a convolution belongs to it (see there)."""
        source = self.maker.get(node.input[0])
        if source is None or source.op_type != "Conv":
            floats = self.floats(node.input[0])
            integers = self.integers(node, self.shapes[floats])
            self.writer.operator("QUANTIZE", [floats], [integers])

    def dequantize(self, node: NodeProto) -> None:
        """Nothing yet: convolutions take integers, `floats` serves the others."""

    def convolution(self, node: NodeProto) -> None:
        """A convolution of integers, with the rounding of its result."""
        picture, weight, bias = (self.maker[name].input for name in node.input)
        numbers, scale, zero_point = (self.constants[name] for name in weight)
        inputs, kernel = self.arrays[picture[0]], numbers.shape[2]
        _, height, width, channels = self.shapes[inputs]
        told, (rounding,) = attributes_of(node), self.users(node.output[0])
        stride, depthwise = told["strides"][0], told["group"] > 1
        out = -(-height // stride)
        around = max((out - 1) * stride + kernel - height, 0)
        pads = 2 * [around // 2] + 2 * [around - around // 2]
        plain = told["group"] in (1, channels) and told["dilations"] == [1, 1]
        same = told["strides"] == 2 * [stride] and told["pads"] == pads
        same = same and height == width and not zero_point.any()
        few = np.abs(numbers.astype(int)).max() <= MOST
        _need(few, node, f"has weights beyond {MOST}")
        _need(plain, node, "is grouped or dilated")
        _need(same, node, "is padded, stepped or rounded in another way")
        _need(rounding.op_type == "QuantizeLinear", node, "is not rounded to integers")
        order = (1, 2, 3, 0) if depthwise else (0, 2, 3, 1)
        weights = self.constant(
            weight[0], numbers.transpose(order), scale=scale, axis=order.index(0)
        )
        biases = self.constant(
            bias[0], self.constants[bias[0]], scale=self.constants[bias[1]]
        )
        result = self.integers(rounding, [1, out, out, len(numbers)])
        self.writer.operator(
            "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D",
            [inputs, weights, biases],
            [result],
            padding=schema.Padding.SAME,
            **{"strideH": stride, "strideW": stride},
            **{"dilationHFactor": 1, "dilationWFactor": 1},
            **({"depthMultiplier": 1} if depthwise else {}),
        )

    def reduce(self, node: NodeProto) -> None:
        """One number, the mean or the largest, for all of a picture or of a row."""
        inputs = self.floats(node.input[0])
        of_picture = len(self.shapes[inputs]) == 4 and node.op_type == "ReduceMean"
        axes = sorted(self.constants[node.input[1]].tolist())
        known = ([-2, -1], [2, 3]) if of_picture else ALONG_ROW
        _need(axes in known, node, "runs over other axes")
        along = [1, 2] if of_picture else [1]
        left = [n for axis, n in enumerate(self.shapes[inputs]) if axis not in along]
        over = self.constant(f"{node.name} axes", np.array(along, np.int32))
        kind = "MEAN" if node.op_type == "ReduceMean" else "REDUCE_MAX"
        self.compute(kind, [inputs, over], node.output[0], left)

    def length(self, node: NodeProto) -> None:
        """A row's length: the root of the sum of its squares."""
        axes = self.constants[node.input[1]].tolist()
        _need(axes in ALONG_ROW, node, "runs over other axes")
        inputs, name = self.floats(node.input[0]), node.output[0]
        shape = self.shapes[inputs]
        squares = self.compute("MUL", [inputs, inputs], f"{name} squares", shape)
        over = self.constant(f"{name} axes", np.array([1], np.int32))
        total = self.compute(
            "SUM", [squares, over], f"{name} sum", [1, 1], keepDims=True
        )
        self.compute("SQRT", [total], name, [1, 1])

    def linear(self, node: NodeProto) -> None:
        """A linear layer of floats."""
        plain = {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 1}
        as_plain = not plain.items() - attributes_of(node).items()
        _need(as_plain, node, "is not a plain linear layer")
        inputs = [self.floats(name) for name in node.input]
        shape = [1, self.shapes[inputs[1]][0]]
        self.compute("FULLY_CONNECTED", inputs, node.output[0], shape)

    def similarity(self, node: NodeProto) -> None:
        """A row times an int8 matrix (D, N), which is stored as (N, D) here."""
        matrix, scale = (self.constants[n] for n in self.maker[node.input[1]].input)
        stored = self.constant(f"{node.input[1]} rows", matrix.T, scale=scale)
        shape, row = self.shapes[stored], self.floats(node.input[0])
        floats = self.compute("DEQUANTIZE", [stored], node.input[1], shape)
        inputs = [row, floats, -1]
        self.compute("FULLY_CONNECTED", inputs, node.output[0], [1, shape[0]])

    def softmax(self, node: NodeProto) -> None:
        """Logits of a row to probabilities."""
        inputs = self.floats(node.input[0])
        self.compute("SOFTMAX", [inputs], node.output[0], self.shapes[inputs], beta=1.0)

    def top(self, node: NodeProto) -> None:
        """The largest numbers of a row, the largest first."""
        inputs, count = self.floats(node.input[0]), self.constants[node.input[1]]
        how_many = self.constant(f"{node.name} k", count[0].astype(np.int32))
        values, places = node.output
        shape = [1, int(count[0])]
        outputs = [self.new(values, shape), self.new(places, shape, "int32")]
        self.writer.operator("TOPK_V2", [inputs, how_many], outputs)

    def same_numbers(self, node: NodeProto) -> None:
        """Another shape for the same numbers in the same order: nothing to compute."""
        inputs = self.floats(node.input[0])
        in_order = len(self.shapes[inputs]) <= 2
        if node.op_type == "Gather":
            places = self.constants[node.input[1]].ravel()
            in_order = in_order and np.array_equal(places, np.arange(len(places)))
        _need(in_order, node, "moves numbers")
        self.arrays[node.output[0]] = inputs

    KNOWN = {
        **dict.fromkeys(ELEMENTWISE, elementwise),
        **dict.fromkeys(["Expand", "Gather", "Reshape"], same_numbers),
        **dict.fromkeys(["ReduceMax", "ReduceMean"], reduce),
        "Clip": at_least,
        "Conv": convolution,
        "DequantizeLinear": dequantize,
        "Gemm": linear,
        "MatMul": similarity,
        "QuantizeLinear": quantize,
        "ReduceL2": length,
        "Softmax": softmax,
        "TopK": top,
    }


def _need(is_so: bool, node: NodeProto, why: str) -> None:
    if not is_so:
        step = f"{node.op_type} ({node.name})"
        raise ConvertError(
            f"This model cannot be written as .tflite: its step {step} {why}."
        )
