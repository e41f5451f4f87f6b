"""What a model does to a picture before its network, so that a page can do the same."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import NodeProto, numpy_helper

from going_modular.app.model import CPUS
from going_modular.files import LessonError


class ConvertError(LessonError):
    """This model cannot be written as .tflite; says which step stands in the way."""


@dataclass(frozen=True)
class Preparation:
    """What is done to a picture before it enters the network, all in float32."""

    crop: float  # a centred square is cut out, of this share of the shorter side;
    size: int  # resized to so many pixels a side, bicubic (a = -0.5), antialiased;
    scale: float  # values, kept within 0 and 255, are multiplied by this;
    shift: float  # then this is added


def as_model(model: Path | onnx.ModelProto) -> onnx.ModelProto:
    """A model, read if it is given as a file."""
    return model if isinstance(model, onnx.ModelProto) else onnx.load(model)


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


def preparing_steps(graph: onnx.GraphProto) -> list[NodeProto]:
    """The nodes before the first QuantizeLinear."""
    nodes = [node for node in graph.node if node.op_type != "DequantizeLinear"]
    kinds = [node.op_type for node in nodes]
    if "QuantizeLinear" not in kinds:
        raise ConvertError("The model's numbers are floats; only int8 is copied.")
    return nodes[: kinds.index("QuantizeLinear")]


def constants_of(graph: onnx.GraphProto) -> dict[str, np.ndarray]:
    """A graph's weights and other fixed numbers, by name."""
    return {each.name: numpy_helper.to_array(each) for each in graph.initializer}


def attributes_of(node: NodeProto) -> dict:
    """What a node is told besides its inputs, by name."""
    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
