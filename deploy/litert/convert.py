"""Write the model as .tflite with labels, for LiteRT and ML Kit."""

import os
import tempfile
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from ai_edge_litert.interpreter import Interpreter

from deploy import reference
from deploy.litert.metadata import with_metadata
from deploy.try_it import TargetResult, versions_of
from going_modular.app.model import OUTPUTS
from going_modular.export import Deployable, quiet
from going_modular.files import atomic_write
from pocket.convert import tflite_of
from pocket.litert import without_remarks
from pocket.model_file import preparation_of

NAME = "foodvision_mini.tflite"
PACKAGES = {"int8": "ai-edge-litert", "fp32": "ai-edge-litert litert-torch"}


def write_tflite(model: Path, out: Path, *, fp32=False, for_ml_kit=False) -> Path:
    """Write an int8 model file's network, channels last, all or nothing.

    With `fp32` it is made of floats from the PyTorch model; `for_ml_kit` gives out the
    probabilities alone. If it cannot be converted or written, it is a LessonError.
    """
    about, outputs = reference.read_about(model), OUTPUTS[:1] if for_ml_kit else OUTPUTS
    if fp32:
        deployable = reference.read_deployable(model)
        content, how = _floats(deployable), deployable.preprocess
    else:
        content, how = tflite_of(model), preparation_of(model)
    with atomic_write(out) as part:
        part.write_bytes(with_metadata(content, about, how, outputs))
    return out


def _floats(deployable: Deployable) -> bytes:
    # Lowers the five nearest to LiteRT's own TOPK_V2; without, to a step that the
    # interpreter does not know (litert-torch 0.10). It is read while converting.
    os.environ["LITERT_TORCH_FULL_TFL_DECOMPS"] = "1"
    import litert_torch  # here: the int8 file needs none of it

    network = reference.Network(deployable, channels_last=True)
    with quiet(), tempfile.TemporaryDirectory() as folder:
        file = Path(folder, NAME)
        litert_torch.convert(network, (network.example,)).export(str(file))
        return file.read_bytes()


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
        facts = {"versions": versions_of(PACKAGES[precision]), "precision": precision}
        how = "LiteRT", write, runner, model, photos
        trials.append(reference.try_runtime(*how, **facts))
    return trials


if __name__ == "__main__":
    fp32 = "--fp32", "floats in place of int8; needs litert-torch"
    for_ml_kit = "--for-ml-kit", "probabilities only, without the gate"
    reference.convert_command(write_tflite, NAME, fp32, for_ml_kit)
