"""A stand-in for the model file: same inputs, outputs and metadata, no training.

It averages the colours of the picture. Red is pizza, dark is steak, green is sushi; the
yellower a picture, the more like another dish, and the bluer, the less familiar it is.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from going_modular.app.model import ModelMetadata

DEMO = Path(__file__).resolve().parents[1] / "demos" / "foodvision_mini"
ABOUT = ModelMetadata(
    name="foodvision_mini",
    title="FoodVision Mini",
    class_names=["pizza", "steak", "sushi"],
    knn_similarity_threshold=0.5,
    in_distribution_threshold=0.25,
    temperature=1.0,
    calibration={"before": 0.02, "after": 0.01, "pictures": 450},
    gate={
        "made_with": "750 photos of 5 other dishes",
        "judged_on": "dishes that it had not met",
        "near": {"baklava": [40, 75]},
        "far": [37, 37],
        "ours": [4, 150],
    },
    reference_counts=[154, 146, 150],
    contender="EffNet-Lite2",
    input_size=224,
    precision="fp32",
    trained_on="450 real photos",
    is_practice=False,
    test_result={"correct": 147, "total": 150},
    made_with={"onnx": onnx.__version__},
)
METADATA = ABOUT.to_metadata()
RED, DARK, GREEN = (210, 60, 40), (40, 22, 16), (60, 190, 70)
YELLOW, BLUE = (250, 230, 20), (20, 40, 230)


def _constants(classes: int) -> list[onnx.TensorProto]:
    more = max(0, classes - 3)  # that are never likely
    arrays = {
        # columns: pizza, steak, sushi; rows: red, green, blue
        "weights": np.pad([[7, -5, -4], [-4, -5, 7], [0, -5, 0]], ((0, 0), (0, more))),
        "bias": [0, 4, 0] + more * [-9],
        "bluish": [[0.8], [0.6], [-1.5]],
        "yellowish": [[-20], [-20], [20]],
        "no_yellow": 25.0,
        "one_half": 0.5,
        "white": 255.0,
    }
    for name in ("weights", "bias"):
        arrays[name] = np.array(arrays[name])[..., :classes]
    return [
        numpy_helper.from_array(np.array(values, np.float32), name)
        for name, values in arrays.items()
    ] + [
        numpy_helper.from_array(np.array([0, 1], np.int64), "height_and_width"),
        numpy_helper.from_array(np.array([], np.int64), "scalar"),
    ]


def make_model(path: Path, *, classes: int = 3, **changes: str | None) -> Path:
    """Write the stand-in to `path`; `changes` replace metadata, None removes one."""
    names = [*ABOUT.class_names, *(f"dish_{n}" for n in range(4, classes + 1))]
    counts = [*ABOUT.reference_counts, *[150] * classes]
    about = replace(
        ABOUT, class_names=names[:classes], reference_counts=counts[:classes]
    )
    node = helper.make_node
    nodes = [
        node("Cast", ["picture"], ["numbers"], to=TensorProto.FLOAT),
        node("Div", ["numbers", "white"], ["scaled"]),
        node("ReduceMean", ["scaled", "height_and_width"], ["mean"], keepdims=0),
        node("MatMul", ["mean", "weights"], ["product"]),
        node("Add", ["product", "bias"], ["logits"]),
        node("Softmax", ["logits"], ["probabilities"], axis=-1),
        node("MatMul", ["mean", "bluish"], ["warmth"]),
        node("Add", ["warmth", "one_half"], ["shifted"]),
        node("Sigmoid", ["shifted"], ["squashed"]),
        node("Reshape", ["squashed", "scalar"], ["knn_similarity"]),
        node("MatMul", ["mean", "yellowish"], ["yellowness"]),
        node("Add", ["yellowness", "no_yellow"], ["other"]),
        node("Sigmoid", ["other"], ["mine"]),
        node("Reshape", ["mine", "scalar"], ["in_distribution_score"]),
    ]
    shape = ["height", "width", 3]
    graph = helper.make_graph(
        nodes,
        "stand-in",
        [helper.make_tensor_value_info("picture", TensorProto.UINT8, shape)],
        [
            helper.make_tensor_value_info(
                "probabilities", TensorProto.FLOAT, [classes]
            ),
            helper.make_tensor_value_info("knn_similarity", TensorProto.FLOAT, []),
            helper.make_tensor_value_info(
                "in_distribution_score", TensorProto.FLOAT, []
            ),
        ],
        _constants(classes),
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 10
    texts = {**about.to_metadata(), **changes}
    helper.set_model_props(
        model, {name: text for name, text in texts.items() if text is not None}
    )
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path
