"""Turn a trained feature extractor into one ONNX file that needs nothing else.

The file holds preprocessing, network, softmax and the gate: a picture goes in as it was
decoded, probabilities and the gate's two scores come out. What a program must know to
show them (class names, thresholds, what it was trained on) travels in its metadata.
"""

import contextlib
import io
import logging
import warnings
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import onnx
import onnxruntime
import torch
from torch import nn
from torch.utils.data import TensorDataset

from going_modular.app.model import CPUS, OUTPUTS, ModelMetadata
from going_modular.calibration import (
    expected_calibration_error,
    fit_temperature,
    held_out_probabilities,
    reliability,
)
from going_modular.engine import HEAD, Settings, cross_validate
from going_modular.files import LessonError, atomic_write
from going_modular.gate import OODDetector, make_gate
from going_modular.model_builder import Built, FeatureExtractor, Preprocess

EXAMPLE_SHAPE = (384, 512, 3)  # traced with; any other height and width works too


class ExportError(LessonError):
    """The exported file is not what it should be; says what to do next."""


class Deployable(nn.Module):
    """A feature extractor with all that stands between a picture and an answer.

    Args:
        preprocess: Turns a uint8 picture (H, W, 3) into (3, S, S).
        model: Base and trained head.
        gate: Tells strangers from our dishes.
        temperature: What the logits are divided by before the softmax.
    """

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
        self.temperature = temperature
        self.eval()

    def forward(self, picture: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Answer for one RGB picture, uint8 (H, W, 3).

        Returns:
            Probabilities (C,) in [0, 1], knn_similarity () in [-1, 1],
            in_distribution_score () in [0, 1].
        """
        features = self.model.base(self.preprocess(picture).unsqueeze(0))
        return tuple(score[0] for score in self.answer(features))

    def answer(self, features: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The same for features (N, D): (N, C), (N,) and (N,)."""
        logits = self.model.head(features)
        probabilities = (logits / self.temperature).softmax(dim=1)
        return probabilities, *self.gate(features, logits)


def make_deployable(
    built: Built,
    features: TensorDataset,
    others: torch.Tensor | None = None,
    *,
    settings: Settings = HEAD,
    carried: torch.Tensor | None = None,
) -> tuple[Deployable, dict[str, object]]:
    """Put temperature and gate around a trained model. No test picture is asked.

    Cross-validation gives every training picture logits by a head that has not seen
    it. From those come the temperature and the gate's thresholds.

    Args:
        built: Its base, its trained head, its preparation.
        features: Of the training pictures, (N, D), and their labels (N,).
        others: Features of other dishes that the gate learns from, (M, D), if any.
        settings: How the head was trained.
        carried: Whose features the file carries, (N,) bool; None: all.

    Returns:
        What is to be exported, and what `ModelMetadata` says about it: both thresholds,
        temperature, calibration and reference counts.
    """
    rows, labels = features.tensors
    logits = cross_validate(built.model.head, features, settings=settings).logits
    temperature = fit_temperature(logits, labels)
    fair = held_out_probabilities(logits, labels)
    before, after = (
        expected_calibration_error(reliability(probabilities, labels))
        for probabilities in (logits.softmax(dim=1), fair)
    )
    gate, thresholds = make_gate(rows, labels, logits, others, carried=carried)
    kept = labels if carried is None else labels[carried]
    facts = {
        "knn_similarity_threshold": thresholds.knn_similarity,
        "in_distribution_threshold": thresholds.in_distribution_score,
        "temperature": temperature,
        "calibration": {"before": before, "after": after, "pictures": len(labels)},
        "reference_counts": kept.bincount().tolist(),
    }
    model = built.model.cpu()
    deployable = Deployable(built.preprocess, model, gate, temperature=temperature)
    return deployable, facts


def made_with() -> dict[str, str]:
    """The versions of the packages that write the file."""
    return {name: version(name) for name in ("torch", "onnx", "onnxruntime")}


def export_onnx(deployable: Deployable, file: Path, *, about: ModelMetadata) -> Path:
    """Export and write the ONNX file, as `save_onnx` does.

    Args:
        deployable: What to export; moved to the CPU.
        file: Where it goes.
        about: What the file says about itself.
    """
    return save_onnx(_to_onnx(deployable.cpu().eval()), file, about=about)


def save_onnx(
    program: torch.onnx.ONNXProgram, file: Path, *, about: ModelMetadata
) -> Path:
    """Write what `torch.onnx.export` has made of a `Deployable`, all or nothing.

    Args:
        program: With the input "picture" and the outputs `OUTPUTS`.
        file: Where it goes; replaced only by a complete, checked file.
        about: What the file says about itself.

    Raises:
        ExportError: If the file cannot be run.
        FileError: If it cannot be written.
    """
    return _save(_with_metadata(program.model_proto, about.to_metadata()), file)


def _to_onnx(deployable: Deployable) -> torch.onnx.ONNXProgram:
    example = torch.zeros(EXAMPLE_SHAPE, dtype=torch.uint8)
    height = torch.export.Dim("height", min=1, max=100_000)
    width = torch.export.Dim("width", min=1, max=100_000)
    with quiet():
        return torch.onnx.export(
            deployable,
            (example,),
            input_names=["picture"],
            output_names=OUTPUTS,
            dynamic_shapes=({0: height, 1: width},),
            dynamo=True,
        )


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


def _with_metadata(model: onnx.ModelProto, texts: Mapping[str, str]) -> onnx.ModelProto:
    """Attach the metadata, and drop the exporter's notes.

    It notes for each node where in the source code it comes from: paths of the machine
    that exported, which no visitor should read, and a good part of a small file.
    """
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in [*model.graph.value_info, *model.graph.input, *model.graph.output]:
        del value.metadata_props[:]
    del model.graph.metadata_props[:]
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, dict(texts))
    return model


def ship(source: Path, target: Path, **changes) -> Path:
    """Copy an exported file to where it is used, with changes to its metadata.

    Args:
        source: Written by `export_onnx` or `quantize`.
        target: Replaced only by a complete, checked file.
        changes: New values of `ModelMetadata`'s fields.
    """
    model = onnx.load(source)
    about = replace(ModelMetadata.from_metadata(metadata_of(model)), **changes)
    return _save(_with_metadata(model, about.to_metadata()), target)


def metadata_of(model: onnx.ModelProto) -> dict[str, str]:
    """The texts that a model carries along, by key."""
    return {prop.key: prop.value for prop in model.metadata_props}


def _save(model: onnx.ModelProto, file: Path) -> Path:
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
        picture = torch.zeros((37, 53, 3), dtype=torch.uint8).numpy()
        session.run(None, {"picture": picture})
    except Exception as error:
        raise ExportError(f"the exported model does not run: {error}") from error
