"""What a model file carries that a page can teach with: features, and known ones.

The gate compares a picture's features with those of the training pictures. So both
are in the file already; here they are found, for a page whose head learns more.
"""

import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto

from going_modular.app.model import ModelMetadata
from going_modular.export import metadata_of
from going_modular.files import LessonError
from going_modular.pocket.preparation import constants_of
from going_modular.quantize import round_columns

FEATURES = "features"  # the name of one more output
KNOWN_FILE = "known.bin.gz"


class CarriedError(LessonError):
    """A model file's known features are not what it says of them."""


@dataclass(frozen=True)
class ReferenceFeatures:
    """The training pictures' features as a model file carries them.

    Attributes:
        rounded: int8, (N, D), class after class.
        scale: What each row is multiplied by, float32, (N,); then it has length 1, but
            for rounding.
        counts: How many rows each class has.
        class_names: In the same order.
    """

    rounded: np.ndarray
    scale: np.ndarray
    counts: list[int]
    class_names: list[str]

    @property
    def features(self) -> torch.Tensor:
        """The rows, float32, (N, D)."""
        return torch.from_numpy(self.rounded * self.scale[:, None])

    @property
    def labels(self) -> torch.Tensor:
        """Their classes' numbers, (N,)."""
        counts = torch.tensor(self.counts)
        return torch.arange(len(counts)).repeat_interleave(counts)

    def to_bytes(self) -> bytes:
        """What a page reads: all rows' integers, then all scales, compressed."""
        content = self.rounded.tobytes() + self.scale.astype("<f4").tobytes()
        return gzip.compress(content, 9, mtime=0)


def features_name(graph: onnx.GraphProto) -> str | None:
    """The value that holds a picture's features (1, D): the one whose length is taken.

    None if there is none, or more than one.
    """
    lengths = [node.input[0] for node in graph.node if node.op_type == "ReduceL2"]
    return lengths[0] if len(lengths) == 1 else None


def read_known(model_file: Path) -> ReferenceFeatures | None:
    """Read the known features of a model file; None if it carries none.

    Args:
        model_file: Written by `export_onnx` or `quantize`.

    Raises:
        CarriedError: If there are not as many as its metadata says.
    """
    model = onnx.load(model_file)
    graph, about = model.graph, ModelMetadata.from_metadata(metadata_of(model))
    columns = _known_columns(graph)
    if features_name(graph) is None or columns is None:
        return None
    rounded, scale = columns
    if sum(about.reference_counts) != rounded.shape[1]:
        raise CarriedError(
            f"{Path(model_file).name} says that it carries "
            f"{sum(about.reference_counts)} known "
            f"features, but has {rounded.shape[1]}. Run the lesson to make it anew."
        )
    rows = np.ascontiguousarray(rounded.T)
    return ReferenceFeatures(rows, scale, about.reference_counts, about.class_names)


def _known_columns(graph: onnx.GraphProto) -> tuple[np.ndarray, np.ndarray] | None:
    """Integers (D, N) and scales (N,) of what features are multiplied with."""
    constants = constants_of(graph)
    maker = {name: node for node in graph.node for name in node.output}
    similarity = [node for node in graph.node if node.op_type == "MatMul"]
    if len(similarity) != 1:
        return None
    name = similarity[0].input[1]
    if name in constants:
        return round_columns(constants[name])
    source = maker.get(name)
    if source is not None and source.op_type == "Transpose":
        return round_columns(constants[source.input[0]].T)
    if source is not None and source.op_type == "DequantizeLinear":
        integers, scale = (constants[each] for each in source.input[:2])
        return integers, scale
    return None


def with_features(model_file: Path) -> bytes:
    """A model file's content with one output more, its pictures' features (1, D).

    As it is, if it has none.
    """
    model = onnx.load(model_file)
    name = features_name(model.graph)
    if name is None:
        return Path(model_file).read_bytes()
    node = onnx.helper.make_node("Identity", [name], [FEATURES], name=FEATURES)
    model.graph.node.append(node)
    output = onnx.helper.make_tensor_value_info(FEATURES, TensorProto.FLOAT, None)
    model.graph.output.append(output)
    return model.SerializeToString()
