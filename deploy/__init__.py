"""The same model in every place of the lesson's table, one folder a place."""

import argparse
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DEFAULT_MODEL = ROOT / "models" / "foodvision_mini.onnx"


def server_options(description: str, port: int) -> argparse.ArgumentParser:
    """What the command of every server here can be told."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--port", type=int, default=port, help="default: %(default)s")
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL)
    return parser
