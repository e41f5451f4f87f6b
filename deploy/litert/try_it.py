"""Convert, and ask LiteRT's interpreter about photos, with int8 and with floats."""

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from ai_edge_litert.interpreter import Interpreter

from deploy.converting import try_runtime
from deploy.litert.convert import write_tflite
from deploy.trial import TargetResult
from going_modular.app.model import OUTPUTS
from going_modular.pocket.litert import without_remarks

PACKAGES = {"int8": ["ai-edge-litert"], "fp32": ["ai-edge-litert", "litert-torch"]}


def runner(file: Path) -> Callable[[torch.Tensor], list[np.ndarray]]:
    """What a .tflite file says about a prepared picture (1, 3, S, S), on one thread."""
    with without_remarks():
        interpreter = Interpreter(str(file), num_threads=1)
        interpreter.allocate_tensors()
    ask = interpreter.get_signature_runner()

    def run(picture: torch.Tensor) -> list[np.ndarray]:
        outputs = ask(picture=picture.permute(0, 2, 3, 1).contiguous().numpy())
        return [outputs[name] for name in OUTPUTS]

    return run


def try_all(model: Path, photos: list[Path]) -> list[TargetResult]:
    """Convert and ask: int8, and floats where litert-torch is installed."""
    trials = []
    for precision in ["int8", *(["fp32"] if find_spec("litert_torch") else [])]:
        write = partial(write_tflite, fp32=precision == "fp32")
        told = {"packages": PACKAGES[precision], "precision": precision}
        trials.append(try_runtime("LiteRT", write, runner, model, photos, **told))
    return trials
