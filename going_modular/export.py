"""Turn a trained feature extractor into one ONNX file that needs nothing else.

A picture goes in as it was decoded, probabilities and the gate's two scores come out.
What a program must know to show them, such as class names, travels in its metadata.
"""

import contextlib
import io
import logging
import warnings
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx_ir.passes import common as passes
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from going_modular import calibration
from going_modular.app.model import CPUS, OUTPUTS, ModelMetadata
from going_modular.engine import HEAD as HEAD_SETTINGS
from going_modular.engine import cross_validate
from going_modular.files import LessonError, atomic_write
from going_modular.gate import OODDetector, make_gate
from going_modular.model_builder import Built, FeatureExtractor, Preprocess

EXAMPLE_SHAPE = (384, 512, 3)  # traced with; any other height and width works too
# Others find parts of the file by these names, and by those of weights and buffers:
HEAD = "model.head.1"  # the linear layer; its weights are `HEAD`.weight and .bias
FEATURES = "features"  # what it is given, (1, D)
KNOWN = "known_features"  # (D, N); in an int8 file made of KNOWN_int8 and KNOWN_scale


class ExportError(LessonError):
    """The exported file is not what it should be; says what to do next."""


class Deployable(nn.Module):
    """A feature extractor with all that stands between a picture and an answer."""

    def __init__(
        self,
        preprocess: Preprocess,
        model: FeatureExtractor,
        gate: OODDetector,
        *,
        temperature: float = 1.0,
    ):
        super().__init__()
        self.preprocess, self.model, self.gate = preprocess, model, gate
        self.temperature = temperature  # logits are divided by it before the softmax
        self.eval()

    def forward(self, picture: Tensor) -> tuple[Tensor, ...]:
        """From an RGB picture, uint8 (H, W, 3), to probabilities (C,) and two scores.

        These are knn_similarity in [-1, 1] and in_distribution_score in [0, 1].
        """
        features = self.model.base(self.preprocess(picture).unsqueeze(0))
        return tuple(score[0] for score in self.answer(features))

    def answer(self, features: Tensor) -> tuple[Tensor, ...]:
        """The same for features (N, D): (N, C), (N,) and (N,)."""
        logits = self.model.head(features)
        probabilities = (logits / self.temperature).softmax(dim=1)
        return probabilities, *self.gate(features, logits)


def make_deployable(
    built: Built,
    features: TensorDataset,
    others: Tensor | None = None,
    *,
    carried: Tensor | None = None,
) -> tuple[Deployable, dict[str, object]]:
    """Put temperature and gate around a trained model. No test picture is asked.

    Cross-validation gives every training picture, of features (N, D), logits by a head
    that has not seen it; they set temperature and thresholds. The gate learns from
    features of `others`, (M, D), if there are any, and the file carries those that are
    `carried`, (N,) bool, or all. Returns also what `ModelMetadata` says about it.
    """
    rows, labels = features.tensors
    head = built.model.head
    logits = cross_validate(head, features, settings=HEAD_SETTINGS).logits
    temperature, errors = calibration.fit_temperature(logits, labels), {}
    fair = calibration.held_out_probabilities(logits, labels)
    for when, answers in {"before": logits.softmax(dim=1), "after": fair}.items():
        table = calibration.reliability(answers, labels)
        errors[when] = calibration.expected_calibration_error(table)
    gate, thresholds = make_gate(rows, labels, logits, others, carried=carried)
    kept = labels if carried is None else labels[carried]
    facts = {
        "knn_similarity_threshold": thresholds.knn_similarity,
        "in_distribution_threshold": thresholds.in_distribution_score,
        "temperature": temperature,
        "calibration": errors | {"pictures": len(labels)},
        "reference_counts": kept.bincount().tolist(),
    }
    model = built.model.cpu()
    return Deployable(built.preprocess, model, gate, temperature=temperature), facts


def made_with() -> dict[str, str]:
    """The versions of the packages that write the file."""
    return {name: version(name) for name in ("torch", "onnx", "onnxruntime")}


def export_onnx(deployable: Deployable, file: Path, *, about: ModelMetadata) -> Path:
    """Export a model, which is moved to the CPU, and write it, as `save_onnx` does."""
    example = torch.zeros(EXAMPLE_SHAPE, dtype=torch.uint8)
    sides = (torch.export.Dim(s, min=1, max=100_000) for s in ("height", "width"))
    names = {"input_names": ["picture"], "output_names": OUTPUTS}
    shapes, model = (dict(enumerate(sides)),), deployable.cpu().eval()
    with quiet():
        program = torch.onnx.export(
            model, (example,), **names, dynamic_shapes=shapes, dynamo=True
        )
    return save_onnx(program, file, about=about)


def save_onnx(
    program: torch.onnx.ONNXProgram, file: Path, *, about: ModelMetadata
) -> Path:
    """Write what `torch.onnx.export` has made of a `Deployable`, all or nothing.

    Its input is "picture", its outputs are `OUTPUTS`; the file says `about` of itself.
    One that does not run, or lacks a part that others look for, is an ExportError; one
    that cannot be written a FileError.
    """
    return _save(name_parts(program), about, file)


def name_parts(program: torch.onnx.ONNXProgram) -> onnx.ModelProto:
    """Name what others look for in the file; drop notes with paths of this machine."""
    model, known = program.model, program.exported_program.state_dict["gate.known"]
    constants, columns = model.graph.initializers, known.T.numpy()
    try:
        (head,) = constants[f"{HEAD}.weight"].consumers()
        stored = constants.values()
        (turned,) = [c for c in stored if np.array_equal(c.const_value, columns)]
    except (KeyError, ValueError) as error:
        raise ExportError(
            f"the exporter has lost the head or the known features ({error!r}): "
            "install the versions of torch and onnxscript in constraints.txt"
        ) from error
    head.inputs[0].name, turned.name = FEATURES, KNOWN
    passes.ClearMetadataAndDocStringPass()(model)
    for value in (v for node in model.graph for v in node.outputs):
        value.metadata_props.clear()
    model.metadata_props.clear()
    return program.model_proto


@contextlib.contextmanager
def quiet():
    """Keep the exporter's progress and its notes to developers off the page."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)


def ship(source: Path, target: Path, **changes) -> Path:
    """Copy an exported file to where it is used, checked, its metadata changed."""
    model = onnx.load(source)
    about = ModelMetadata.from_metadata(metadata_of(model))
    return _save(model, replace(about, **changes), target)


def metadata_of(model: onnx.ModelProto) -> dict[str, str]:
    """The texts that a model carries along, by key."""
    return {prop.key: prop.value for prop in model.metadata_props}


def _save(model: onnx.ModelProto, about: ModelMetadata, file: Path) -> Path:
    onnx.helper.set_model_props(model, about.to_metadata())
    with atomic_write(file) as part:
        onnx.save(model, part)
        check_runs(part)
    return file


def check_runs(file: Path) -> None:
    """Raise ExportError unless ONNX Runtime can answer for a small picture."""
    try:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = CPUS
        session = onnxruntime.InferenceSession(file, options)
        session.run(None, {"picture": np.zeros((37, 53, 3), np.uint8)})
    except Exception as error:
        raise ExportError(f"the exported model does not run: {error}") from error
