"""A stand-in for the model file: same inputs, outputs and metadata, no training.

It averages the colours of the picture. Red is pizza, dark is steak, green is sushi; the
yellower a picture, the more like another dish, and the bluer, the less familiar it is.
"""

import json
from pathlib import Path

import onnx
import onnx.parser

from going_modular.app.model import ModelMetadata

HERE = Path(__file__).resolve().parent
DEMO = HERE.parent / "demos" / "foodvision_mini"
ABOUT = ModelMetadata(**json.loads((HERE / "demo_about.json").read_text("utf-8")))
METADATA = ABOUT.to_metadata()
RED, DARK, GREEN = (210, 60, 40), (40, 22, 16), (60, 190, 70)
YELLOW, BLUE = (250, 230, 20), (20, 40, 230)
GRAPH = (HERE / "demo_model.onnxtxt").read_text("utf-8")


def make_model(path: Path, **changes: str | None) -> Path:
    """Write the stand-in to `path`; `changes` replace metadata, None removes one."""
    model, texts = onnx.parser.parse_model(GRAPH), (METADATA | changes).items()
    kept = {name: text for name, text in texts if text is not None}
    onnx.helper.set_model_props(model, kept)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path
