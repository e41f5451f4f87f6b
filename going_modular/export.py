"""Turn a trained feature extractor into one ONNX file that needs nothing else."""

import io
import logging
import tempfile
import warnings
from collections.abc import Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx
import onnx_ir
import torch
from onnx import numpy_helper
from onnx_ir.passes import common as passes
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from going_modular import engine, evaluation
from going_modular.app.model import OUTPUTS, ModelMetadata, Predictor, open_picture
from going_modular.files import LessonError, atomic_write
from going_modular.gate import OODDetector, make_gate
from going_modular.model_builder import Built, FeatureExtractor, Preprocess

EXAMPLE_SHAPE = (384, 512, 3)  # traced with; any other height and width works too
# Others find parts of the file by these names, and by those of weights and buffers:
HEAD = "model.head.1"  # the linear layer; its weights are `HEAD`.weight and .bias
FEATURES = "features"  # what it is given, (1, D)
KNOWN = "known_features"  # (D, N); in an int8 file made of KNOWN_int8 and KNOWN_scale
MIN_CONVOLUTIONS = 10
POOLING = ("ReduceMean", "GlobalAveragePool")
MOST_SHARED = 100_000  # numbers of a constant that may occur twice: zero points, mostly


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
    built: Built, features: TensorDataset, others: Tensor | None = None, *, carried=None
) -> tuple[Deployable, dict[str, object]]:
    """Put temperature and gate around a trained model. No test picture is asked.

    Logits of training pictures, of features (N, D), by heads that have not seen them,
    set temperature and thresholds; `others` and `carried` are as for `make_gate`.
    Returns also what `ModelMetadata` says about it.
    """
    rows, labels = features.tensors
    head = built.model.head
    logits = engine.cross_validate(head, features, settings=engine.HEAD).logits
    temperature, errors = evaluation.fit_temperature(logits, labels), {}
    fair = evaluation.held_out_probabilities(logits, labels)
    for when, answers in {"before": logits.softmax(dim=1), "after": fair}.items():
        table = evaluation.reliability(answers, labels)
        errors[when] = evaluation.expected_calibration_error(table)
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
    how = {"input_names": ["picture"], "output_names": OUTPUTS, "dynamo": True}
    shapes, model = (dict(enumerate(sides)),), deployable.cpu().eval()
    with quiet():
        program = torch.onnx.export(model, (example,), **how, dynamic_shapes=shapes)
    return save_onnx(program, file, about=about)


def save_onnx(
    program: torch.onnx.ONNXProgram, file: Path, *, about: ModelMetadata
) -> Path:
    """Write what `torch.onnx.export` has made of a `Deployable`, all or nothing.

    Its input is "picture", its outputs are `OUTPUTS`; other parts get their names. One
    that lacks such a part, or does not run, is an ExportError; a full disk a FileError.
    """
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
    passes.ClearMetadataAndDocStringPass()(model)  # paths of this machine, too
    for value in (v for node in model.graph for v in node.outputs):
        value.metadata_props.clear()
    model.metadata_props.clear()
    return _save(program.model_proto, about, file)


@contextmanager
def quiet():
    """Keep the exporter's notes to developers off the page."""
    with warnings.catch_warnings(action="ignore"), redirect_stdout(io.StringIO()):
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
    """Raise ExportError unless the app can answer by it for a small picture."""
    try:
        Predictor(file).predict(np.zeros((37, 53, 3), np.uint8))
    except Exception as error:
        raise ExportError(f"the exported model does not run: {error}") from error


class _Pictures(CalibrationDataReader):
    def __init__(self, files: Sequence[Path]):
        self._inputs = ({"picture": open_picture(file)} for file in files)

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._inputs, None)


def quantize(source: Path, target: Path, *, calibrate_on: Sequence[Path]) -> Path:
    """Write an int8 version of an exported convolutional model, all or nothing.

    Weights get a scale a channel, activations one a layer, from the smallest and
    largest value that `calibrate_on` gives: a hundred training pictures or so, never
    test ones. Weights use 7 of their 8 bits: older x86 processors add products of full
    8-bit numbers up in 16 bits, which can overflow, and answers must agree everywhere.
    Too few convolutions, or no names of `export_onnx`, is an ExportError.
    """
    exported = onnx.load(source)
    if KNOWN not in {constant.name for constant in exported.graph.initializer}:
        raise ExportError(
            f"{source.name} names no {KNOWN}: it was made before its parts had names. "
            "Export it anew"
        )
    with atomic_write(target) as part, tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"
        with quiet():
            # Folds BatchNorm into the convolutions, so that both are rounded once.
            quant_pre_process(source, prepared, skip_symbolic_shape=True)
            outside = _outside_the_network(onnx.load(prepared).graph)
            how = {"nodes_to_exclude": outside, "activation_type": QuantType.QUInt8}
            how |= {"per_channel": True, "reduce_range": True}
            quantize_static(prepared, part, _Pictures(calibrate_on), **how)
        model = onnx_ir.load(part)
        _round_known_features(model.graph)
        passes.DeduplicateInitializersPass(size_limit=MOST_SHARED)(model)
        model.metadata_props.clear()
        model.metadata_props.update(metadata_of(exported) | {"precision": "int8"})
        onnx.save(onnx_ir.to_proto(model), part)
        check_runs(part)
    return target


def _outside_the_network(graph: onnx.GraphProto) -> list[str]:
    kinds = [node.op_type for node in graph.node]
    first, *more = [n for n, kind in enumerate(kinds) if kind == "Conv"] or [0]
    if len(more) < MIN_CONVOLUTIONS - 1:
        raise ExportError(
            "this model has hardly any convolutions to quantise; ship the float file"
        )
    end = next(n for n, kind in enumerate(kinds) if n > more[-1] and kind in POOLING)
    return [node.name for node in [*graph.node[:first], *graph.node[end:]]]


def _round_known_features(graph: onnx_ir.Graph) -> None:
    """Store the training pictures' features, (D, N), as int8, a scale a picture."""
    floats = graph.initializers.pop(KNOWN)
    rounded, scale = round_columns(floats.const_value.numpy())
    parts = []
    for name, values in (("int8", rounded), ("scale", scale)):
        parts.append(onnx_ir.val(f"{KNOWN}_{name}", const_value=onnx_ir.tensor(values)))
        graph.initializers.add(parts[-1])
    restore = onnx_ir.node(
        "DequantizeLinear", parts, {"axis": 1}, name=KNOWN, outputs=[onnx_ir.val(KNOWN)]
    )
    floats.replace_all_uses_with(restore.outputs[0])
    graph.insert_before(graph[0], restore)


def round_columns(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values (D, N) as int8, and the scale (N,) by which each column is multiplied."""
    scale = np.abs(values).max(axis=0) / 127
    return np.round(values / scale).astype(np.int8), scale


def activation_ranges(file: Path) -> dict[str, float]:
    """How wide the range of each rounded activation of an int8 file is, in order."""
    graph = onnx.load(file).graph
    values = {c.name: numpy_helper.to_array(c) for c in graph.initializer}
    rounding = (node for node in graph.node if node.op_type == "QuantizeLinear")
    return {n.input[0]: 255 * float(values[n.input[1]]) for n in rounding}
