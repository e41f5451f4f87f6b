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

from going_modular.app.model import OUTPUTS, ModelMetadata
from going_modular.export import metadata_of
from going_modular.files import LessonError
from going_modular.pocket.preparation import as_model, constants_of
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


def _comparison(graph: onnx.GraphProto) -> tuple[str, str] | None:
    """The values that knn_similarity compares: a picture's features, and known ones.

    Walks back from that output to the five largest of their products; None if it is
    made in another way.
    """
    maker = {name: node for node in graph.node for name in node.output}
    node = maker[OUTPUTS[1]]
    while node is not None and node.op_type != "TopK":
        node = maker.get(node.input[0])
    if node is None:
        return None
    unit, known = maker[node.input[0]].input
    return maker[unit].input[0], known


def read_known(model: Path | onnx.ModelProto) -> ReferenceFeatures | None:
    """Read the known features of a model file; None if it carries none.

    Args:
        model: Written by `export_onnx` or `quantize`; the file, or what is in it.

    Raises:
        CarriedError: If there are not as many as its metadata says.
    """
    model = as_model(model)
    about = ModelMetadata.from_metadata(metadata_of(model))
    if (compared := _comparison(model.graph)) is None:
        return None
    rounded, scale = _columns(model.graph, compared[1])
    if sum(about.reference_counts) != rounded.shape[1]:
        raise CarriedError(
            f"The model file says that it carries {sum(about.reference_counts)} known "
            f"features, but has {rounded.shape[1]}. Run the lesson to make it anew."
        )
    rows = np.ascontiguousarray(rounded.T)
    return ReferenceFeatures(rows, scale, about.reference_counts, about.class_names)


def _columns(graph: onnx.GraphProto, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Integers (D, N) and scales (N,) of known features, rounded or not, by name."""
    constants = constants_of(graph)
    if name in constants:
        return round_columns(constants[name])
    (maker,) = [node for node in graph.node if name in node.output]
    stored = [constants[each] for each in maker.input]
    if maker.op_type == "Transpose":
        return round_columns(stored[0].T)
    return stored[0], stored[1]  # an int8 file's, with a scale for each column


def features_name(graph: onnx.GraphProto) -> str | None:
    """The value that holds a picture's features (1, D); None if none are compared."""
    compared = _comparison(graph)
    return compared and compared[0]


def with_features(model: Path | onnx.ModelProto) -> bytes:
    """A model file's content with one output more, its pictures' features (1, D).

    As it is, if it has none.
    """
    changed = onnx.ModelProto()
    changed.CopyFrom(as_model(model))
    graph = changed.graph
    if name := features_name(graph):
        node = onnx.helper.make_node("Identity", [name], [FEATURES], name=FEATURES)
        graph.node.append(node)
        output = onnx.helper.make_tensor_value_info(FEATURES, TensorProto.FLOAT, None)
        graph.output.append(output)
    return changed.SerializeToString()
