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
        """Add an array that is computed.

        Args:
            name: Of its own.
            shape: All of its sizes.
            kind: "float32", "int32" or "int8".
            scale: Of integers that stand for real numbers, one or one for each index of
                `axis`: real = scale * (integer - zero_point).
            zero_point: The integer that stands for 0.
            axis: See `scale`.
        """
        number = self.arrays[name] = len(self._tensors)
        kind = getattr(schema.TensorType, kind.upper())
        tensor = _made(schema.TensorT, name=name, shape=[*map(int, shape)], type=kind)
        if scale is not None:
            scales = np.atleast_1d(scale).astype(np.float32)
            tensor.quantization = _made(
                schema.QuantizationParametersT,
                scale=scales,
                zeroPoint=np.full(len(scales), zero_point, np.int64),
                quantizedDimension=axis,
            )
        self._tensors.append(tensor)
        return number

    def constant(self, name: str, values: np.ndarray, **more) -> int:
        """Add an array of constants; `more` as for `array`."""
        number = self.array(name, values.shape, str(values.dtype), **more)
        data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
        self._tensors[number].buffer = len(self._buffers)
        self._buffers.append(_made(schema.BufferT, data=data))
        return number

    def shape(self, number: int) -> list[int]:
        """All sizes of an array."""
        return self._tensors[number].shape

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
        code = self._codes.setdefault(kind, len(self._codes))
        ends = {"inputs": list(inputs), "outputs": list(outputs)}
        operator = _made(schema.OperatorT, opcodeIndex=code, **ends)
        # ADD has AddOptions; some kinds have none.
        stem = f"{OPTIONS.get(kind) or kind.title().replace('_', '')}Options"
        if hasattr(schema.BuiltinOptions, stem):
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, stem)
            operator.builtinOptions = _made(getattr(schema, f"{stem}T"), **options)
        self._operators.append(operator)

    def finish(
        self, inputs: Sequence[str], outputs: Sequence[str], *, description: str
    ) -> bytes:
        """The file's content; by these arrays' names a program asks and is told."""
        ends = {"inputs": inputs, "outputs": outputs}
        numbers = {end: [self.arrays[n] for n in names] for end, names in ends.items()}
        arrays = {"tensors": self._tensors, "operators": self._operators}
        named = {
            end: [
                _made(schema.TensorMapT, name=name, tensorIndex=self.arrays[name])
                for name in names
            ]
            for end, names in ends.items()
        }
        asked = _made(schema.SignatureDefT, signatureKey="serving_default", **named)
        model = _made(
            schema.ModelT,
            version=VERSION,
            description=description,
            operatorCodes=[_operator_code(kind) for kind in self._codes],
            subgraphs=[_made(schema.SubGraphT, name="main", **arrays, **numbers)],
            buffers=self._buffers,
            signatureDefs=[asked],
        )
        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(model.Pack(builder), IDENTIFIER)
        return bytes(builder.Output())


def _made(kind: type, **fields):
    """One of the schema's objects, with these fields."""
    made = kind()
    vars(made).update(fields)
    return made


def _operator_code(kind: str) -> schema.OperatorCodeT:
    code = getattr(schema.BuiltinOperator, kind)
    return _made(
        schema.OperatorCodeT,
        builtinCode=code,
        deprecatedBuiltinCode=min(code, 127),  # for old readers: a byte
        version=OPERATOR_VERSIONS.get(kind, 1),
    )
