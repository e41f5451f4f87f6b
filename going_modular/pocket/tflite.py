"""Put a .tflite file together: arrays and the operators between them.

The format is described by flatbuffers. Its schema comes with `ai-edge-litert`, whose
names are used here; https://ai.google.dev/edge/litert explains the operators.
"""

from collections.abc import Sequence

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

IDENTIFIER = b"TFL3"
VERSION = 3  # of the format
# The lowest version of an operator that takes what is given here; else 1.
OPERATOR_VERSIONS = {"CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "DEQUANTIZE": 2}
# Options that are not called as their operator is.
OPTIONS = {
    **{"MEAN": "Reducer", "REDUCE_MAX": "Reducer", "SUM": "Reducer"},
    **{"MAXIMUM": "MaximumMinimum", "TOPK_V2": "TopKV2"},
}
TYPES = {
    "float32": schema.TensorType.FLOAT32,
    "int32": schema.TensorType.INT32,
    "int8": schema.TensorType.INT8,
}


class TfliteWriter:
    """A model with one graph, to which arrays and operators are added in order.

    Arrays are referred to by the numbers that `array` returns.
    """

    def __init__(self):
        self._tensors, self._operators = [], []
        self._buffers = [schema.BufferT()]  # by convention the first one is empty
        self._codes: dict[str, int] = {}  # place of each kind of operator

    def array(
        self,
        name: str,
        shape: Sequence[int],
        kind: str = "float32",
        *,
        values: np.ndarray | None = None,
        scale: np.ndarray | float | None = None,
        zero_point: int = 0,
        axis: int = 0,
    ) -> int:
        """Add an array.

        Args:
            name: Any; people see it who open the file.
            shape: All of its sizes.
            kind: "float32", "int32" or "int8".
            values: Of a constant; None if it is computed.
            scale: Of integers that stand for real numbers, one or one for each index of
                `axis`: real = scale * (integer - zero_point).
            zero_point: The integer that stands for 0.
            axis: See `scale`.
        """
        tensor = schema.TensorT()
        tensor.name, tensor.shape = name, [int(size) for size in shape]
        tensor.type = TYPES[kind]
        if values is not None:
            buffer = schema.BufferT()
            content = np.ascontiguousarray(values, dtype=kind).tobytes()
            buffer.data = np.frombuffer(content, np.uint8)
            tensor.buffer = len(self._buffers)
            self._buffers.append(buffer)
        if scale is not None:
            scales = np.atleast_1d(scale).astype(np.float32)
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = scales
            tensor.quantization.zeroPoint = np.full(len(scales), zero_point, np.int64)
            tensor.quantization.quantizedDimension = axis
        self._tensors.append(tensor)
        return len(self._tensors) - 1

    def operator(
        self, kind: str, inputs: Sequence[int], outputs: Sequence[int], **options
    ) -> None:
        """Add an operator.

        Args:
            kind: Its name in the schema's `BuiltinOperator`.
            inputs: Arrays; -1 leaves an optional one out.
            outputs: Arrays that it computes.
            options: Fields of its options in the schema, for an operator that has some.
        """
        operator = schema.OperatorT()
        operator.opcodeIndex = self._codes.setdefault(kind, len(self._codes))
        operator.inputs, operator.outputs = list(inputs), list(outputs)
        stem = _options_name(kind)
        if hasattr(schema.BuiltinOptions, stem):  # some kinds have none
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, stem)
            operator.builtinOptions = getattr(schema, f"{stem}T")()
            for name, value in options.items():
                setattr(operator.builtinOptions, name, value)
        self._operators.append(operator)

    def finish(
        self, inputs: dict[str, int], outputs: dict[str, int], *, description: str
    ) -> bytes:
        """The file's content, with arrays named by which a program asks and is told."""
        graph = schema.SubGraphT()
        graph.name = "main"
        graph.tensors, graph.operators = self._tensors, self._operators
        graph.inputs, graph.outputs = list(inputs.values()), list(outputs.values())
        signature = schema.SignatureDefT()
        signature.signatureKey = "serving_default"
        signature.inputs, signature.outputs = _named(inputs), _named(outputs)
        model = schema.ModelT()
        model.version, model.description = VERSION, description
        model.operatorCodes = [_operator_code(kind) for kind in self._codes]
        model.subgraphs, model.buffers = [graph], self._buffers
        model.signatureDefs = [signature]
        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(model.Pack(builder), IDENTIFIER)
        return bytes(builder.Output())


def _options_name(kind: str) -> str:
    """What the schema calls the options of a kind of operator: ADD has AddOptions."""
    return f"{OPTIONS.get(kind) or kind.title().replace('_', '')}Options"


def _named(arrays: dict[str, int]) -> list[schema.TensorMapT]:
    maps = []
    for name, place in arrays.items():
        maps.append(schema.TensorMapT())
        maps[-1].name, maps[-1].tensorIndex = name, place
    return maps


def _operator_code(kind: str) -> schema.OperatorCodeT:
    code = schema.OperatorCodeT()
    code.builtinCode = getattr(schema.BuiltinOperator, kind)
    code.deprecatedBuiltinCode = min(code.builtinCode, 127)  # for old readers: a byte
    code.version = OPERATOR_VERSIONS.get(kind, 1)
    return code
