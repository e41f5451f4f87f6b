"""The PyTorch model behind a model file, to which every place's answers are held.

    python -m deploy.try_it reference PHOTOS.json OUT.json

No checkpoint is needed. The base is frozen and public, so it is built anew from its
published weights; what the lesson learned stands in the ONNX file as floats, also where
the convolutions were rounded to int8: the head, the gate and the temperature. Only the
features that knn_similarity compares with are as rounded as in the file.
"""

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import NodeProto
from torch import nn

from deploy.try_it import KEPT, Answers, TargetResult, ask_all, versions_of
from going_modular.app.model import OUTPUTS, ModelMetadata, Predictor, open_picture
from going_modular.export import Deployable
from going_modular.files import LessonError
from going_modular.gate import OODDetector
from going_modular.model_builder import CONTENDERS
from going_modular.pocket.preparation import constants_of

SECOND_HEAD = "gate.second_head"


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
    if about.contender not in known:
        raise RebuildError(
            f"There is no base {about.contender!r} here, only {[*known]}"
        )
    contender = known[about.contender]
    size = {"input_size": about.input_size} if contender.takes_size else {}
    built = contender.build(len(about.class_names), **size)
    if not built.pretrained:
        raise RebuildError(
            f"The published weights of {contender.name} are not here. Connect to the "
            "internet, then run this again."
        )
    try:
        _fill(built.model.head[-1], "model.head.1", constants_of(graph))
        gate = _gate(graph)
    except (KeyError, RuntimeError, ValueError) as error:
        raise RebuildError(
            f"{onnx_file.name} lacks a part that the lesson's files have ({error!r}). "
            "Run the lesson to make the file anew."
        ) from error
    whole = built.preprocess, built.model, gate
    return Deployable(*whole, temperature=about.temperature)


def _fill(layer: nn.Linear, name: str, constants: dict[str, np.ndarray]) -> nn.Linear:
    """Give a layer its weights."""
    parts = ("weight", "bias")
    layer.load_state_dict({p: torch.tensor(constants[f"{name}.{p}"]) for p in parts})
    return layer.requires_grad_(False)


def _gate(graph: onnx.GraphProto) -> OODDetector:
    """The gate, of which the exporter kept the second head's name only."""
    constants = constants_of(graph)
    maker = {name: node for node in graph.node for name in node.output}

    def last(kind: str, output: str) -> NodeProto:
        node = maker[output]
        while node.op_type != kind:
            node = maker[node.input[0]]
        return node

    def scale(name: str) -> tuple[float, float]:
        divide = last("Div", name)
        subtract = last("Sub", divide.input[0])
        middle, width = (constants[step.input[1]] for step in (subtract, divide))
        return middle.item(), width.item()

    _, likeness, score = OUTPUTS
    columns = maker[last("TopK", likeness).input[0]].input[1]  # the features, (D, N)
    if columns in constants:
        known = constants[columns]
    else:
        rounded, factors = maker[columns].input[:2]
        known = constants[rounded] * constants[factors]
    second_head = None
    if f"{SECOND_HEAD}.weight" in constants:
        shape = constants[f"{SECOND_HEAD}.weight"].T.shape
        second_head = _fill(nn.Linear(*shape), SECOND_HEAD, constants)
    rows, no_scores = torch.tensor(known.T), torch.zeros(2)
    gate = OODDetector(rows, second_head, confidence=no_scores, second=no_scores)
    gate.known.copy_(rows)  # rounded rows are not quite 1 long, in the file neither
    # The score is sigmoid((confidence - middle) / width + (second - middle) / width).
    gate.scales = [scale(name) for name in maker[last("Sigmoid", score).input[0]].input]
    return gate


def answering(
    run: Callable[[torch.Tensor], Sequence], class_names: list[str]
) -> Answers:
    """How a trial asks about a picture's bytes; PyTorch has one thread then.

    `run` is a deployable, or whatever goes from pixels, uint8 (H, W, 3), to C
    probabilities and both scores, of any shape.
    """
    torch.set_num_threads(1)

    @torch.inference_mode()
    def ask(content: bytes) -> dict:
        probabilities, *scores = run(torch.tensor(open_picture(io.BytesIO(content))))
        pairs = zip(class_names, np.ravel(probabilities).tolist(), strict=True)
        plain = [np.asarray(score).item() for score in scores]
        return dict(zip(KEPT, [dict(pairs), *plain], strict=True))

    return ask


def try_all(model: Path, photos: list[Path]) -> list[TargetResult]:
    """The reference's answers."""
    deployable, names = read_deployable(model), read_about(model).class_names
    answers, median_ms = ask_all(answering(deployable, names), photos)
    versions = versions_of("torch torchvision timm")
    size = sum(each.nbytes for each in deployable.state_dict().values())
    return [TargetResult("PyTorch", versions, size, answers, median_ms, "fp32")]
