"""The PyTorch model behind a model file, to which every place's answers are held.

    python -m deploy.try_it reference PHOTOS.json OUT.json

No checkpoint is needed. The base is frozen and public, so it is built anew from its
published weights; what the lesson learned stands in the ONNX file as floats, also where
the convolutions were rounded to int8: the head, the gate and the temperature. Only the
features that knn_similarity compares with are as rounded as in the file.
"""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn

from deploy.try_it import KEPT, TargetResult, ask_all, versions_of
from going_modular.app.model import ModelMetadata, Predictor, open_picture
from going_modular.export import HEAD, KNOWN, Deployable
from going_modular.files import LessonError
from going_modular.gate import OODDetector
from going_modular.model_builder import CONTENDERS

SECOND_HEAD = "gate.second_head.weight"


class RebuildError(LessonError):
    """A file from which the PyTorch model cannot be built anew; says why."""


def read_about(onnx_file: Path) -> ModelMetadata:
    """What a model file says about itself; a RebuildError if it is not the lesson's."""
    try:
        return Predictor(onnx_file, threads=1).about
    except (OSError, ValueError) as error:
        raise RebuildError(str(error)) from error


def read_deployable(onnx_file: Path) -> Deployable:
    """Build the float PyTorch model that a file of `export_onnx` or `quantize` has.

    Raises:
        RebuildError: If it is not such a file, or its base's weights are not here.
    """
    about, graph = read_about(onnx_file), onnx.load(onnx_file).graph
    known = {contender.name: contender for contender in CONTENDERS}
    if not (contender := known.get(about.contender)):
        raise RebuildError(f"There is no base {about.contender!r}, only {[*known]}")
    size = {"input_size": about.input_size} if contender.takes_size else {}
    built = contender.build(len(about.class_names), **size)
    if not built.pretrained:
        raise RebuildError(
            f"The published weights of {contender.name} are not here. Connect to the "
            "internet, then run this again."
        )
    values = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    try:
        _fill(built.model.head[-1], values, HEAD)
        gate = _gate(values)
    except (KeyError, RuntimeError, ValueError) as error:
        raise RebuildError(
            f"{onnx_file.name} lacks a part that the lesson's files have ({error!r}). "
            "Run the lesson to make the file anew."
        ) from error
    parts = built.preprocess, built.model, gate
    return Deployable(*parts, temperature=about.temperature)


def _gate(values: dict[str, np.ndarray]) -> OODDetector:
    if KNOWN in values:
        known = values[KNOWN].T  # stored (D, N)
    else:  # as int8, with a scale a column
        known = (values[f"{KNOWN}_int8"] * values[f"{KNOWN}_scale"]).T
    second = values.get(SECOND_HEAD)
    second_head = None if second is None else nn.Linear(*second.T.shape)
    nothing = dict.fromkeys(("confidence", "second"), torch.zeros(2))
    gate = OODDetector(torch.tensor(known), second_head, **nothing)
    # Rounded rows are not quite 1 long, in the file neither.
    return _fill(gate, values | {"gate.known": known}, "gate")


def _fill(part: nn.Module, values: dict[str, np.ndarray], name: str) -> nn.Module:
    """Give a part of the model its weights and buffers."""
    own = {each: torch.tensor(values[f"{name}.{each}"]) for each in part.state_dict()}
    part.load_state_dict(own)
    return part.requires_grad_(False)


def ask_network(
    name: str, run: Callable, model: Path, photos: list[Path], **facts
) -> TargetResult:
    """Ask a network about photos that PyTorch, on one thread, prepares or answers.

    `run` goes from pixels, uint8 (H, W, 3), to C probabilities and both scores.
    """
    torch.set_num_threads(1)
    class_names = read_about(model).class_names

    @torch.inference_mode()
    def ask(content: bytes) -> dict:
        probabilities, *scores = run(torch.tensor(open_picture(io.BytesIO(content))))
        pairs = zip(class_names, np.ravel(probabilities).tolist(), strict=True)
        plain = [np.asarray(score).item() for score in scores]
        return dict(zip(KEPT, [dict(pairs), *plain], strict=True))

    return ask_all(name, ask, photos, **facts)


def try_all(model: Path, photos: list[Path]) -> list[TargetResult]:
    """The reference's answers."""
    deployable = read_deployable(model)
    facts = {"versions": versions_of("torch torchvision timm"), "precision": "fp32"}
    facts["file_bytes"] = sum(each.nbytes for each in deployable.state_dict().values())
    return [ask_network("PyTorch", deployable, model, photos, **facts)]
