"""Write an int8 ONNX file once more, as the .tflite file that LiteRT runs.

LiteRT's engine in a browser is several times as fast with this network as ONNX
Runtime's. Nothing is quantised a second time: weights, biases and scales are copied, so
both files hold one network and answer alike. Three things differ: the picture goes in
prepared, for LiteRT knows no antialiased bicubic resizing; channels come last (NHWC);
and activations are int8, not uint8: integers and zero points are less by 128.

Sums of two branches are computed in floats: LiteRT's int8 addition rounds differently.
The format's schema comes with `ai-edge-litert`, whose names are used here.
"""

from pathlib import Path

import flatbuffers
import numpy as np
import onnx
from ai_edge_litert import schema_py_generated as schema
from onnx import NodeProto

from going_modular.app.model import OUTPUTS
from going_modular.export import FEATURES
from going_modular.files import atomic_write
from pocket import model_file

IDENTIFIER = b"TFL3"
UINT8_TO_INT8 = -128
DESCRIPTION = "FoodVision: weights and scales of an int8 ONNX file"
MOST = 64  # of a weight: `quantize` uses 7 bits, and engine_edits.json counts on it
ALONG_ROW = ([-1], [1])  # two names of the axis of a row (1, D)
# Operators without attributes; LiteRT calls them so, too, in capitals, but for two.
ELEMENTWISE = ("Abs", "Add", "Clip", "Div", "Mul", "Sigmoid", "Sign", "Sqrt", "Sub")
OTHER_NAMES = {"Clip": "MAXIMUM", "Sigmoid": "LOGISTIC"}
# The lowest version of an operator that takes what is given here; else 1.
OPERATOR_VERSIONS = {"CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "DEQUANTIZE": 2}
OPTIONS = {"CONV_2D": "Conv2DOptions", "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions"}
OPTIONS |= {"SOFTMAX": "SoftmaxOptions", "SUM": "ReducerOptions"}


def write_tflite(source: Path, target: Path) -> Path:
    """Write a model as .tflite, all or nothing; errors as of `tflite_of`."""
    content = tflite_of(source)
    with atomic_write(target) as part:
        part.write_bytes(content)
    return Path(target)


def tflite_of(model: Path | onnx.ModelProto, *, with_features: bool = False) -> bytes:
    """The content of a .tflite file for a model made by `quantize`, or for its file.

    It takes a prepared picture, float32 (1, S, S, 3), and gives what the ONNX file
    gives, each with an axis for one picture before; and with `with_features` the
    picture's "features" (1, D), if the file has them. A step that is not known here,
    as EffNetB2 and ViT have, is a ConvertError, and so are weights of floats.
    """
    model = model_file.as_model(model)
    try:
        size = model_file.preparation_of(model).size
        return _Converter(model.graph).convert(size, with_features)
    except (AttributeError, KeyError, ValueError) as error:  # parts it counts on
        raise model_file.ConvertError(
            "The model cannot be written as .tflite: it is built in a way that is not "
            f"known here ({error!r})."
        ) from error


class _Converter:
    """Goes through a graph and adds arrays, which have numbers, and operators."""

    def __init__(self, graph: onnx.GraphProto):
        self.graph, self.constants = graph, model_file.constants_of(graph)
        self.maker = {name: node for node in graph.node for name in node.output}
        self.arrays: dict[str, int] = {}  # their numbers, by name
        self.codes: dict[str, int] = {}  # place of each kind of operator
        self.tensors, self.operators = [], []
        self.buffers = [schema.BufferT()]  # by convention the first one is empty

    def convert(self, size: int, with_features: bool) -> bytes:
        preparing = model_file.preparing_steps(self.graph)
        prepared = {node.output[0] for node in preparing}
        self.arrays["picture"] = self.array(preparing[-1].output[0], [1, size, size, 3])
        for node in self.graph.node:
            # Convolutions take integers; for other steps, `floats` dequantises.
            if node.op_type != "DequantizeLinear" and node.output[0] not in prepared:
                _need(node.op_type in self.KNOWN, node, "is not known here")
                self.KNOWN[node.op_type](self, node)
        more = [FEATURES] if with_features and FEATURES in self.arrays else []
        return self.finish(inputs=["picture"], outputs=[*OUTPUTS, *more])

    def array(self, name, shape, kind="float32", scale=None, zero=0, axis=0) -> int:
        """Add an array that is computed: "float32", "int32" or "int8".

        Integers may stand for real numbers, scale * (integer - zero), with one scale,
        or one for each index of `axis`.
        """
        kind = getattr(schema.TensorType, kind.upper())
        tensor = schema.TensorT(name=name, shape=[*map(int, shape)], type=kind)
        if scale is not None:
            scales = np.atleast_1d(scale).astype(np.float32)
            zeros = np.full(len(scales), zero, np.int64)
            tensor.quantization = schema.QuantizationParametersT(
                scale=scales, zeroPoint=zeros, quantizedDimension=axis
            )
        self.arrays[name] = len(self.tensors)
        self.tensors.append(tensor)
        return self.arrays[name]

    def constant(self, name: str, values: np.ndarray, **how) -> int:
        number = self.array(name, values.shape, str(values.dtype), **how)
        data = np.frombuffer(values.tobytes(), np.uint8)
        self.tensors[number].buffer = len(self.buffers)
        self.buffers.append(schema.BufferT(data=data))
        return number

    def shape(self, number: int) -> list[int]:
        return self.tensors[number].shape

    def operator(self, kind: str, inputs: list[int], outputs: list[int], **options):
        """Add one of the schema's `BuiltinOperator`; -1 leaves an input out."""
        code = self.codes.setdefault(kind, len(self.codes))
        operator = schema.OperatorT(opcodeIndex=code, inputs=inputs, outputs=outputs)
        if options:
            name = OPTIONS[kind]
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, name)
            operator.builtinOptions = getattr(schema, f"{name}T")(**options)
        self.operators.append(operator)

    def finish(self, **ends: list[str]) -> bytes:
        """The file's content; by these arrays' names a program asks and is told."""
        numbers, named = {}, {}
        for end, names in ends.items():
            places = numbers[end] = [self.arrays[name] for name in names]
            named[end] = list(map(schema.TensorMapT, names, places))
        graph = schema.SubGraphT(name="main", tensors=self.tensors, **numbers)
        graph.operators = self.operators
        asked = schema.SignatureDefT(signatureKey="serving_default", **named)
        model = schema.ModelT(version=3, description=DESCRIPTION)
        model.operatorCodes = [_operator_code(kind) for kind in self.codes]
        model.subgraphs, model.signatureDefs = [graph], [asked]
        model.buffers = self.buffers
        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(model.Pack(builder), IDENTIFIER)
        return bytes(builder.Output())

    def floats(self, name: str) -> int:
        """The array of a value as floats, made from integers if need be."""
        if name in self.constants and name not in self.arrays:
            values = self.constants[name]  # more axes would have another order here
            _need(values.ndim <= 2, self.users(name)[0], "has a constant of many axes")
            self.constant(name, values)
        if name not in self.arrays:
            integers = self.arrays[self.maker[name].input[0]]
            self.compute("DEQUANTIZE", [integers], name, self.shape(integers))
        return self.arrays[name]

    def users(self, name: str) -> list[NodeProto]:
        return [node for node in self.graph.node if name in node.input]

    def compute(self, kind: str, inputs, name: str, shape: list[int], **options) -> int:
        """Add an operator with one result of floats; `name` is the result's."""
        number = self.array(name, shape)
        self.operator(kind, inputs, [number], **options)
        return number

    def integers(self, quantize: NodeProto, shape: list[int]) -> int:
        """Add the int8 array that a QuantizeLinear makes."""
        scale, zero_point = (self.constants[name] for name in quantize.input[1:])
        zero = int(zero_point) + UINT8_TO_INT8
        return self.array(quantize.output[0], shape, "int8", scale, zero)

    def elementwise(self, node: NodeProto) -> None:
        is_clipped = node.op_type == "Clip" and any(node.input[2:])
        _need(not is_clipped, node, "has an upper limit")
        inputs = [self.floats(name) for name in node.input if name]
        shape = np.broadcast_shapes(*(self.shape(number) for number in inputs))
        kind = OTHER_NAMES.get(node.op_type, node.op_type.upper())
        options = {"beta": 1.0} if kind == "SOFTMAX" else {}
        self.compute(kind, inputs, node.output[0], list(shape), **options)

    def quantize(self, node: NodeProto) -> None:
        source = self.maker.get(node.input[0])
        if source is None or source.op_type != "Conv":  # whose rounding is part of it
            floats = self.floats(node.input[0])
            integers = self.integers(node, self.shape(floats))
            self.operator("QUANTIZE", [floats], [integers])

    def convolution(self, node: NodeProto) -> None:
        picture, weight, bias = (self.maker[name].input for name in node.input)
        numbers, scale, zero_point = (self.constants[name] for name in weight)
        inputs, kernel = self.arrays[picture[0]], numbers.shape[2]
        _, height, width, channels = self.shape(inputs)
        told, (rounding,) = model_file.attributes_of(node), self.users(node.output[0])
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
        turned, axis = numbers.transpose(order), order.index(0)
        weights = self.constant(weight[0], turned, scale=scale, axis=axis)
        shift, shift_scale = (self.constants[name] for name in bias[:2])
        biases = self.constant(bias[0], shift, scale=shift_scale)
        result = self.integers(rounding, [1, out, out, len(numbers)])
        options = {"padding": schema.Padding.SAME, "strideH": stride, "strideW": stride}
        options |= {"depthMultiplier": 1} if depthwise else {}
        kind = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
        self.operator(kind, [inputs, weights, biases], [result], **options)

    def reduce(self, node: NodeProto) -> None:
        inputs, is_mean = self.floats(node.input[0]), node.op_type == "ReduceMean"
        axes = sorted(self.constants[node.input[1]].tolist())
        if is_mean and len(self.shape(inputs)) == 4:
            known, along, left = ([-2, -1], [2, 3]), [1, 2], [1, self.shape(inputs)[3]]
        else:
            known, along, left = ALONG_ROW, [1], [1]
        _need(axes in known, node, "runs over other axes")
        over = self.constant(f"{node.name} axes", np.array(along, np.int32))
        kind = "MEAN" if is_mean else "REDUCE_MAX"
        self.compute(kind, [inputs, over], node.output[0], left)

    def length(self, node: NodeProto) -> None:
        """A row's length: the root of the sum of its squares."""
        axes = self.constants[node.input[1]].tolist()
        _need(axes in ALONG_ROW, node, "runs over other axes")
        inputs, name, one = self.floats(node.input[0]), node.output[0], [1, 1]
        shape = self.shape(inputs)
        squares = self.compute("MUL", [inputs, inputs], f"{name} squares", shape)
        terms = [squares, self.constant(f"{name} axes", np.array([1], np.int32))]
        total = self.compute("SUM", terms, f"{name} sum", one, keepDims=True)
        self.compute("SQRT", [total], name, one)

    def linear(self, node: NodeProto) -> None:
        plain = {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 1}
        as_plain = not plain.items() - model_file.attributes_of(node).items()
        _need(as_plain, node, "is not a plain linear layer")
        inputs = [self.floats(name) for name in node.input]
        shape = [1, self.shape(inputs[1])[0]]
        self.compute("FULLY_CONNECTED", inputs, node.output[0], shape)

    def similarity(self, node: NodeProto) -> None:
        """A row times an int8 matrix (D, N), which is stored as (N, D) here."""
        row, (_, known) = self.floats(node.input[0]), node.input
        matrix, scale = (self.constants[name] for name in self.maker[known].input)
        stored = self.constant(f"{known} rows", matrix.T, scale=scale)
        floats = self.compute("DEQUANTIZE", [stored], known, self.shape(stored))
        shape = [1, self.shape(stored)[0]]
        self.compute("FULLY_CONNECTED", [row, floats, -1], node.output[0], shape)

    def top(self, node: NodeProto) -> None:
        inputs, (count,) = self.floats(node.input[0]), self.constants[node.input[1]]
        how_many = self.constant(f"{node.name} k", count.astype(np.int32))
        kinds = zip(node.output, ("float32", "int32"), strict=True)
        outputs = [self.array(name, [1, count], kind) for name, kind in kinds]
        self.operator("TOPK_V2", [inputs, how_many], outputs)

    def same_numbers(self, node: NodeProto) -> None:
        """Another shape for the same numbers in the same order: nothing to compute."""
        inputs = self.floats(node.input[0])
        in_order = len(self.shape(inputs)) <= 2
        if node.op_type == "Gather":
            places = self.constants[node.input[1]].ravel()
            in_order = in_order and np.array_equal(places, np.arange(len(places)))
        _need(in_order, node, "moves numbers")
        self.arrays[node.output[0]] = inputs

    KNOWN = {
        **dict.fromkeys(ELEMENTWISE, elementwise),
        **dict.fromkeys(["Expand", "Gather", "Reshape"], same_numbers),
        **dict.fromkeys(["ReduceMax", "ReduceMean"], reduce),
        "Conv": convolution,
        "Gemm": linear,
        "MatMul": similarity,
        "QuantizeLinear": quantize,
        "ReduceL2": length,
        "Softmax": elementwise,
        "TopK": top,
    }


def _operator_code(kind: str) -> schema.OperatorCodeT:
    code = getattr(schema.BuiltinOperator, kind)
    how = {"deprecatedBuiltinCode": min(code, 127)}  # for old readers: a byte
    version = OPERATOR_VERSIONS.get(kind, 1)
    return schema.OperatorCodeT(builtinCode=code, version=version, **how)


def _need(is_so: bool, node: NodeProto, why: str) -> None:
    if not is_so:
        raise model_file.ConvertError(
            f"This model cannot be written as .tflite: its step {node.op_type} "
            f"({node.name}) {why}."
        )
