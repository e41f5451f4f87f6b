"""A stand-in for the model file: same inputs, outputs and metadata, no training.

It averages the colours of the picture. Red is pizza, dark is steak, green is sushi; the
yellower a picture, the more like another dish, and the bluer, the less familiar it is.
"""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
from onnx import numpy_helper

from going_modular.app.model import ModelMetadata

HERE = Path(__file__).resolve().parent
DEMO = HERE.parent / "demos" / "foodvision_mini"
ABOUT = ModelMetadata(**json.loads((HERE / "demo_about.json").read_text("utf-8")))
METADATA = ABOUT.to_metadata()
RED, DARK, GREEN = (210, 60, 40), (40, 22, 16), (60, 190, 70)
YELLOW, BLUE = (250, 230, 20), (20, 40, 230)
GRAPH = (HERE / "demo_model.onnxtxt").read_text("utf-8")


def make_model(path: Path, *, classes: int = 3, **changes: str | None) -> Path:
    """Write the stand-in to `path`; `changes` replace metadata, None removes one."""
    more = max(0, classes - 3)  # that are never likely
    # Columns: pizza, steak, sushi; rows: red, green, blue.
    weights = np.pad([[7, -5, -4], [-4, -5, 7], [0, -5, 0]], ((0, 0), (0, more)))
    arrays = {
        "weights": weights[:, :classes].astype(np.float32),
        "bias": np.array(([0, 4, 0] + more * [-9])[:classes], np.float32),
        "scalar": np.array([], np.int64),
    }
    model = onnx.parser.parse_model(GRAPH.replace("CLASSES", str(classes)))
    for name, values in arrays.items():
        model.graph.initializer.append(numpy_helper.from_array(values, name))
    names = [*ABOUT.class_names, *(f"dish_{n}" for n in range(4, classes + 1))]
    counts = [*ABOUT.reference_counts, *[150] * classes]
    like = {"class_names": names[:classes], "reference_counts": counts[:classes]}
    texts = replace(ABOUT, **like).to_metadata() | changes
    kept = {name: text for name, text in texts.items() if text is not None}
    onnx.helper.set_model_props(model, kept)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path
