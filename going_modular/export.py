"""Turn a trained feature extractor into one ONNX file that needs nothing else.

The file holds preprocessing, network, softmax and the familiarity score: a picture
goes in as it was decoded, probabilities come out. What a program must know to show
them (class names, threshold, what it was trained on) travels in the file's metadata.
"""

import contextlib
import io
import json
import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

import onnx
import onnxruntime
import torch
from torch import nn
from torch.nn import functional as F

from going_modular.model_builder import FeatureExtractor, Preprocess

NEIGHBOURS = 5
EXAMPLE_SHAPE = (384, 512, 3)  # traced with; any other height and width works too


class ExportError(RuntimeError):
    """The exported file is not what it should be; says what to do next."""


class Deployable(nn.Module):
    """A feature extractor with all that stands between a picture and an answer.

    Args:
        preprocess: Turns a uint8 picture (H, W, 3) into (3, S, S).
        model: Base and trained head.
        train_features: Features of the training pictures, (N, D).
    """

    outputs = ("probabilities", "familiarity")

    def __init__(
        self,
        preprocess: Preprocess,
        model: FeatureExtractor,
        train_features: torch.Tensor,
    ):
        super().__init__()
        self.preprocess, self.model = preprocess, model
        self.register_buffer("known", F.normalize(train_features, dim=1))
        self.eval()

    def forward(self, picture: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Answer for one RGB picture, uint8 (H, W, 3).

        Returns:
            Probabilities (C,) in [0, 1], and familiarity (), the mean cosine
            similarity to the five nearest training pictures, in [-1, 1].
        """
        features = self.model.base(self.preprocess(picture).unsqueeze(0))
        probabilities = self.model.head(features).softmax(dim=1)[0]
        return probabilities, familiarity(features, self.known)[0]


def familiarity(features: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Mean cosine similarity of features (M, D) to their five nearest in known (N, D).

    Args:
        features: One row a picture, of any length.
        known: The training pictures' features, rows of length 1.
    """
    similarity = F.normalize(features, dim=1) @ known.T
    return similarity.topk(min(NEIGHBOURS, len(known)), dim=1).values.mean(dim=1)


def familiarity_threshold(train_features: torch.Tensor, *, kept: float = 0.95) -> float:
    """The familiarity below which a picture is called unlike the training pictures.

    Every training picture is compared with all the others, itself left out; `kept` of
    them lie at or above the threshold. No test picture is asked.
    """
    known = F.normalize(train_features, dim=1)
    similarity = known @ known.T
    similarity.fill_diagonal_(-1)
    neighbours = min(NEIGHBOURS, len(known) - 1)
    scores = similarity.topk(neighbours, dim=1).values.mean(dim=1)
    # "lower" is a picture's own score: between two, one picture too few would be kept.
    return scores.quantile(1 - kept, interpolation="lower").item()


def describe_run(
    *,
    class_names: Sequence[str],
    threshold: float,
    contender: str,
    preprocess: Preprocess,
    trained_on: str,
    is_practice: bool,
    right: int,
    total: int,
) -> dict:
    """What the file's metadata tells whoever runs it.

    Args:
        class_names: In column order.
        threshold: Least familiarity of a picture that is answered.
        contender: The network's name.
        preprocess: The steps inside the file.
        trained_on: What and how many, for people.
        is_practice: Whether those were drawn.
        right: Test pictures answered rightly,
        total: of so many.
    """
    versions = {name: version(name) for name in ("torch", "onnx", "onnxruntime")}
    return {
        "class_names": list(class_names),
        "familiarity_threshold": threshold,
        "contender": contender,
        "input_size": preprocess.size,
        "trained_on": trained_on,
        "is_practice": is_practice,
        "test_result": {"correct": right, "total": total},
        "made_with": versions,
    }


def export_onnx(deployable: nn.Module, file: Path, *, metadata: dict) -> Path:
    """Write the ONNX file, all or nothing.

    Args:
        deployable: What to export; moved to the CPU. Takes a picture, uint8 (H, W, 3),
            and names what it returns in its attribute `outputs`.
        file: Where it goes; replaced only by a complete, checked file.
        metadata: Values that are not text are stored as JSON.

    Raises:
        ExportError: If the file cannot be written, or not be run.
    """
    return _save(_with_metadata(_to_onnx(deployable.cpu().eval()), metadata), file)


def _to_onnx(deployable: nn.Module) -> onnx.ModelProto:
    example = torch.zeros(EXAMPLE_SHAPE, dtype=torch.uint8)
    height = torch.export.Dim("height", min=1, max=100_000)
    width = torch.export.Dim("width", min=1, max=100_000)
    with quiet():
        program = torch.onnx.export(
            deployable,
            (example,),
            input_names=["picture"],
            output_names=list(deployable.outputs),
            dynamic_shapes=({0: height, 1: width},),
            dynamo=True,
        )
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


def _with_metadata(model: onnx.ModelProto, metadata: dict) -> onnx.ModelProto:
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
    texts = {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in metadata.items()
    }
    onnx.helper.set_model_props(model, texts)
    return model


def copy_metadata(source: onnx.ModelProto, target: onnx.ModelProto) -> None:
    """Give one model what another says about itself."""
    del target.metadata_props[:]
    target.metadata_props.extend(source.metadata_props)


def ship(source: Path, target: Path, **changes) -> Path:
    """Copy an exported file to where it is used, with changes to its metadata.

    Args:
        source: Written by `export_onnx` or `quantize`.
        target: Replaced only by a complete, checked file.
        changes: New or corrected metadata; what is not text is stored as JSON.
    """
    model = onnx.load(source)
    known = {prop.key: prop.value for prop in model.metadata_props}
    return _save(_with_metadata(model, {**known, **changes}), target)


def _save(model: onnx.ModelProto, file: Path) -> Path:
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        with saying_how_to_write(file):
            file.parent.mkdir(parents=True, exist_ok=True)
            onnx.save(model, part)
            check_runs(part)
            os.replace(part, file)
    finally:
        with contextlib.suppress(OSError):  # what went wrong is already being told
            part.unlink(missing_ok=True)
    return file


@contextlib.contextmanager
def saying_how_to_write(file: Path) -> Iterator[None]:
    """Turn what a disk refuses into an ExportError that says what to do."""
    try:
        yield
    except OSError as error:
        raise ExportError(
            f"{file} could not be written ({error}). Make room or make its folder "
            "writable, then run this again."
        ) from error


def check_runs(file: Path) -> None:
    """Raise ExportError unless ONNX Runtime can answer for a small picture."""
    try:
        session = onnxruntime.InferenceSession(file)
        picture = torch.zeros((37, 53, 3), dtype=torch.uint8).numpy()
        session.run(None, {"picture": picture})
    except Exception as error:
        raise ExportError(f"the exported model does not run: {error}") from error
