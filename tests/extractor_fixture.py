"""A stand-in for an exported base: a picture's features are its mean colours."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def make_extractor(path: Path, network: str = "mean colours") -> Path:
    """Write it to `path`, with what `OnnxExtractor` reads from the metadata."""
    nodes = [
        helper.make_node("Cast", ["picture"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node(
            "ReduceMean", ["numbers", "height_and_width"], ["features"], keepdims=0
        ),
    ]
    shape = ["height", "width", 3]
    graph = helper.make_graph(
        nodes,
        "stand-in",
        [helper.make_tensor_value_info("picture", TensorProto.UINT8, shape)],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [3])],
        [numpy_helper.from_array(np.array([0, 1], np.int64), "height_and_width")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 10
    helper.set_model_props(model, {"network": network})
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path
