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
OPTIONS = {
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "SOFTMAX": "SoftmaxOptions",
    "SUM": "ReducerOptions",
}


class TfliteWriter:
    """A model with one graph, to which arrays and operators are added in order.

    Attributes:
        arrays: Their numbers, by name; operators refer to arrays by number.
    """

    def __init__(self):
        self.arrays: dict[str, int] = {}
        self._tensors, self._operators = [], []
        self._buffers = [schema.BufferT()]  # by convention the first one is empty
        self._codes: dict[str, int] = {}  # place of each kind of operator

    def array(
        self,
        name: str,
        shape: Sequence[int],
        kind: str = "float32",
        *,
        scale: np.ndarray | float | None = None,
        zero_point: int = 0,
        axis: int = 0,
    ) -> int:
        """Add an array that is computed: "float32", "int32" or "int8".

        Integers may stand for real numbers, scale * (integer - zero_point), with one
        scale, or one for each index of `axis`.
        """
        kind = getattr(schema.TensorType, kind.upper())
        tensor = schema.TensorT(name=name, shape=[*map(int, shape)], type=kind)
        if scale is not None:
            scales = np.atleast_1d(scale).astype(np.float32)
            zeros = np.full(len(scales), zero_point, np.int64)
            how = {"scale": scales, "zeroPoint": zeros, "quantizedDimension": axis}
            tensor.quantization = schema.QuantizationParametersT(**how)
        self.arrays[name] = len(self._tensors)
        self._tensors.append(tensor)
        return self.arrays[name]

    def constant(self, name: str, values: np.ndarray, **more) -> int:
        """Add an array of constants; `more` as for `array`."""
        number = self.array(name, values.shape, str(values.dtype), **more)
        data = np.frombuffer(values.tobytes(), np.uint8)
        self._tensors[number].buffer = len(self._buffers)
        self._buffers.append(schema.BufferT(data=data))
        return number

    def shape(self, number: int) -> list[int]:
        """All sizes of an array."""
        return self._tensors[number].shape

    def operator(
        self, kind: str, inputs: list[int], outputs: list[int], **options
    ) -> None:
        """Add an operator by its name in the schema's `BuiltinOperator`.

        An input of -1 leaves an optional one out.
        """
        code = self._codes.setdefault(kind, len(self._codes))
        ends = {"inputs": inputs, "outputs": outputs}
        operator = schema.OperatorT(opcodeIndex=code, **ends)
        if options:
            name = OPTIONS[kind]
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, name)
            operator.builtinOptions = getattr(schema, f"{name}T")(**options)
        self._operators.append(operator)

    def finish(
        self, inputs: Sequence[str], outputs: Sequence[str], description: str
    ) -> bytes:
        """The file's content; by these arrays' names a program asks and is told."""
        ends = {"inputs": inputs, "outputs": outputs}
        numbers = {end: [self.arrays[n] for n in names] for end, names in ends.items()}
        arrays = {"tensors": self._tensors, "operators": self._operators}
        graph = schema.SubGraphT(name="main", **arrays, **numbers)
        named = {}
        for end, names in ends.items():
            pairs = [{"name": name, "tensorIndex": self.arrays[name]} for name in names]
            named[end] = [schema.TensorMapT(**pair) for pair in pairs]
        asked = schema.SignatureDefT(signatureKey="serving_default", **named)
        model = schema.ModelT(
            version=VERSION,
            description=description,
            operatorCodes=[_operator_code(kind) for kind in self._codes],
            subgraphs=[graph],
            buffers=self._buffers,
            signatureDefs=[asked],
        )
        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(model.Pack(builder), IDENTIFIER)
        return bytes(builder.Output())


def _operator_code(kind: str) -> schema.OperatorCodeT:
    code = getattr(schema.BuiltinOperator, kind)
    return schema.OperatorCodeT(
        builtinCode=code,
        deprecatedBuiltinCode=min(code, 127),  # for old readers: a byte
        version=OPERATOR_VERSIONS.get(kind, 1),
    )
