"""What a page must know of a model file: how it prepares, and its known features."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import NodeProto, numpy_helper

from going_modular.app.model import CPUS, ModelMetadata
from going_modular.export import FEATURES, KNOWN, metadata_of, round_columns
from going_modular.files import LessonError

KNOWN_FILE = "known.bin.gz"  # all rows' integers, then all scales


class ConvertError(LessonError):
    """This model cannot be written as .tflite; says which step stands in the way."""


@dataclass(frozen=True)
class Preparation:
    """What is done to a picture before it enters the network, all in float32."""

    crop: float  # a centred square is cut out, of this share of the shorter side;
    size: int  # resized to so many pixels a side, bicubic (a = -0.5), antialiased;
    scale: float  # values, kept within 0 and 255, are multiplied by this;
    shift: float  # then this is added


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


def as_model(model: Path | onnx.ModelProto) -> onnx.ModelProto:
    """A model, read if it is given as a file."""
    return model if isinstance(model, onnx.ModelProto) else onnx.load(model)


def constants_of(graph: onnx.GraphProto) -> dict[str, np.ndarray]:
    """A graph's weights and other fixed numbers, by name."""
    return {each.name: numpy_helper.to_array(each) for each in graph.initializer}


def attributes_of(node: NodeProto) -> dict:
    """What a node is told besides its inputs, by name."""
    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}


def preparing_steps(graph: onnx.GraphProto) -> list[NodeProto]:
    """The nodes before the first QuantizeLinear."""
    nodes = [node for node in graph.node if node.op_type != "DequantizeLinear"]
    kinds = [node.op_type for node in nodes]
    if "QuantizeLinear" not in kinds:
        raise ConvertError("The model's numbers are floats; only int8 is copied.")
    return nodes[: kinds.index("QuantizeLinear")]


def preparation_of(model: Path | onnx.ModelProto) -> Preparation:
    """How a model prepares a picture; a ConvertError if it does anything else."""
    graph = as_model(model).graph
    constants, steps = constants_of(graph), preparing_steps(graph)
    kinds = {node.op_type: node for node in steps}
    after = {name: node for node in steps for name in node.input}
    unlike = "The model prepares pictures otherwise than the page can: it has"
    try:
        resize, shorter_side = kinds["Resize"], kinds["Min"].output[0]
        cut = after[after[shorter_side].output[0]]  # the side is made a float before
        _, _, height, width = constants[resize.input[3]].tolist()
        scale, shift = (constants[f"preprocess.{part}"] for part in ("scale", "shift"))
        numbers = constants[cut.input[1]].item(), height, scale.item(), shift.item()
    except (KeyError, ValueError) as error:
        what = f"no part that is known here ({error!r})"
        raise ConvertError(f"{unlike} {what}.") from error
    if height != width or attributes_of(resize)["mode"] != b"cubic":
        raise ConvertError(f"{unlike} another way of resizing.")
    return Preparation(*numbers)


def preparing_session(source: Path) -> Callable[[np.ndarray], np.ndarray]:
    """The model's own preparation, cut out of its file, as ONNX Runtime computes it.

    It takes pixels, uint8 (H, W, 3), and gives a prepared picture, float32 (3, S, S).
    """
    model = onnx.load(source)
    last = preparing_steps(model.graph)[-1].output[0]
    steps = onnx.utils.Extractor(model).extract_model(["picture"], [last])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = CPUS
    session = onnxruntime.InferenceSession(steps.SerializeToString(), options)
    return lambda pixels: session.run(None, {"picture": pixels})[0][0]


def read_known(model: Path | onnx.ModelProto) -> ReferenceFeatures | None:
    """The known features that a model carries, if any; None if not.

    If they are not what its metadata says of them, it is a LessonError.
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
    if not any(FEATURES in node.output for node in model.graph.node):
        raise LessonError(
            f"The model file names no {FEATURES}: it was made before its parts had "
            "names. Run the lesson to make it anew."
        )
    if count != rounded.shape[1]:
        raise LessonError(
            f"The model file says that it carries {count} known features, but has "
            f"{rounded.shape[1]}. Run the lesson to make it anew."
        )
    rows = np.ascontiguousarray(rounded.T)
    return ReferenceFeatures(rows, scale, about.reference_counts, about.class_names)


def with_features(model: Path | onnx.ModelProto) -> bytes:
    """A model's content with its pictures' features (1, D), if named, as an output."""
    changed, kind = onnx.ModelProto(), onnx.TensorProto.FLOAT
    changed.CopyFrom(as_model(model))
    if any(FEATURES in node.output for node in changed.graph.node):
        output = onnx.helper.make_tensor_value_info(FEATURES, kind, None)
        changed.graph.output.append(output)
    return changed.SerializeToString()
