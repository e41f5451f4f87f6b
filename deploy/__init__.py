"""The same model in every place of the lesson's table, one folder a place."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DEFAULT_MODEL = ROOT / "models" / "foodvision_mini.onnx"
