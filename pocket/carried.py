"""What a model file carries that a page can teach with: the features of its gate."""

import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch

from going_modular.app.model import ModelMetadata
from going_modular.export import FEATURES, KNOWN, metadata_of, round_columns
from going_modular.files import LessonError
from pocket.preparation import as_model, constants_of

KNOWN_FILE = "known.bin.gz"


class CarriedError(LessonError):
    """A model file's known features are not what it says of them."""


@dataclass(frozen=True)
class ReferenceFeatures:
    """The training pictures' features as a model file carries them, class by class."""

    rounded: np.ndarray  # int8, (N, D)
    scale: np.ndarray  # of each row, float32, (N,): then it has length 1, or nearly
    counts: list[int]  # rows of each class
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


def read_known(model: Path | onnx.ModelProto) -> ReferenceFeatures | None:
    """Read the known features of a model file, or of what is in it, if it carries any.

    If they are not what its metadata says of them, it is a CarriedError.
    """
    model = as_model(model)
    about = ModelMetadata.from_metadata(metadata_of(model))
    constants, count = constants_of(model.graph), sum(about.reference_counts)
    if KNOWN in constants:
        rounded, scale = round_columns(constants[KNOWN])
    elif f"{KNOWN}_int8" in constants:
        rounded, scale = constants[f"{KNOWN}_int8"], constants[f"{KNOWN}_scale"]
    else:
        return None
    if not has_features(model.graph):
        raise CarriedError(
            f"The model file names no {FEATURES}: it was made before its parts had "
            "names. Run the lesson to make it anew."
        )
    if count != rounded.shape[1]:
        raise CarriedError(
            f"The model file says that it carries {count} known features, but has "
            f"{rounded.shape[1]}. Run the lesson to make it anew."
        )
    rows = np.ascontiguousarray(rounded.T)
    return ReferenceFeatures(rows, scale, about.reference_counts, about.class_names)


def has_features(graph: onnx.GraphProto) -> bool:
    """Whether a graph names the features (1, D) of a picture."""
    return any(FEATURES in node.output for node in graph.node)


def with_features(model: Path | onnx.ModelProto) -> bytes:
    """A model's content with its pictures' features (1, D), if named, as an output."""
    changed, kind = onnx.ModelProto(), onnx.TensorProto.FLOAT
    changed.CopyFrom(as_model(model))
    if has_features(changed.graph):
        output = onnx.helper.make_tensor_value_info(FEATURES, kind, None)
        changed.graph.output.append(output)
    return changed.SerializeToString()
