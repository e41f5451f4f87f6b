"""The PyTorch model behind a model file, and what is made of it for phones.

No checkpoint is needed: the frozen base is built anew from its published weights; what
the lesson learned (head, gate, temperature) stands in the ONNX file as floats. Only the
features that knn_similarity compares with are as rounded as in the file.
"""

import argparse
import io
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn

from deploy import DEFAULT_MODEL, ENVIRONMENTS
from deploy.try_it import KEPT, TargetResult, ask_all, versions_of
from going_modular.app.model import ModelMetadata, Predictor, open_picture
from going_modular.export import HEAD, KNOWN, Deployable
from going_modular.files import LessonError
from going_modular.gate import OODDetector
from going_modular.model_builder import CONTENDERS

LICENCE = "MIT; the base's pretrained weights have a licence of their own"


def read_about(onnx_file: Path) -> ModelMetadata:
    """What a model file says about itself; a LessonError if it is not the lesson's."""
    try:
        return Predictor(onnx_file, threads=1).about
    except (OSError, ValueError) as error:
        raise LessonError(str(error)) from error


def read_deployable(onnx_file: Path) -> Deployable:
    """Build the float PyTorch model behind a model file; a LessonError says why not."""
    about, graph = read_about(onnx_file), onnx.load(onnx_file).graph
    known = {contender.name: contender for contender in CONTENDERS}
    if not (contender := known.get(about.contender)):
        raise LessonError(f"There is no base {about.contender!r}, only {[*known]}")
    size = {"input_size": about.input_size} if contender.takes_size else {}
    built = contender.build(len(about.class_names), **size)
    if not built.pretrained:
        raise LessonError(
            f"The published weights of {contender.name} are not here. Connect to the "
            "internet, then run this again."
        )
    values = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    try:
        _fill(built.model.head[-1], values, HEAD)
        gate = _gate(values)
    except (KeyError, RuntimeError, ValueError) as error:
        raise LessonError(
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
    second = values.get("gate.second_head.weight")
    second_head = None if second is None else nn.Linear(*second.T.shape)
    nothing = dict.fromkeys(("confidence", "second"), torch.zeros(2))
    gate = OODDetector(torch.tensor(known), second_head, **nothing)
    # Rounded rows are not quite 1 long, in the file neither.
    return _fill(gate, values | {"gate.known": known}, "gate")


def _fill(part: nn.Module, values: dict[str, np.ndarray], name: str) -> nn.Module:
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


# What the phones' formats share. The picture is prepared outside of the network: their
# runtimes know no antialiased bicubic resizing, and each takes pictures in its own way.


class Network(nn.Module):
    """A deployable from the prepared picture on; `example` is one, to trace with."""

    def __init__(self, deployable: Deployable, *, channels_last: bool = False):
        super().__init__()
        self.deployable, self.channels_last = deployable, channels_last
        size = deployable.preprocess.size
        shape = (1, size, size, 3) if channels_last else (1, 3, size, size)
        self.example = torch.zeros(shape)
        self.eval()

    def forward(self, picture: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """From (1, 3, S, S), or channels last, to probabilities (1, C), scores (1,)."""
        if self.channels_last:
            picture = picture.permute(0, 3, 1, 2)
        return self.deployable.answer(self.deployable.model.base(picture))


def descriptions(about: ModelMetadata) -> dict[str, str]:
    """What a file says of its input, "picture", and of its outputs, by their names."""
    size, similar = about.input_size, about.knn_similarity_threshold
    ours = about.in_distribution_threshold
    return {
        "picture": f"A photo's centred square, {size} x {size} pixels, RGB",
        "probabilities": "Of each class, adding up to 1",
        "knn_similarity": f"Under {similar:.4f} it is no plate of food",
        "in_distribution_score": f"Under {ours:.4f} it is another dish",
    }


def convert_command(write: Callable[..., Path], default: str, *flags: tuple) -> None:
    """Convert a model file as the command line says; flags are names and helps."""
    parser = argparse.ArgumentParser(description=f"Write {default}, converted.")
    own = {"default": ENVIRONMENTS / default}
    parser.add_argument("out", type=Path, nargs="?", **own, help="default: %(default)s")
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL)
    for name, text in flags:
        parser.add_argument(name, action="store_true", help=text)
    args = vars(parser.parse_args())
    try:
        written = write(args.pop("model"), args.pop("out"), **args)
    except LessonError as error:
        raise SystemExit(str(error)) from error
    print(f"{written}: {size_of(written) / 1e6:.1f} MB")


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files of a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def try_runtime(
    name: str, write: Callable, runner: Callable, model: Path, photos: list, **facts
) -> TargetResult:
    """Convert a model file by `write`, and ask a phone's runtime about prepared photos.

    `runner` makes of it a function from (1, 3, S, S) to its answer, on one thread.
    """
    prepare = read_deployable(model).preprocess
    with tempfile.TemporaryDirectory() as folder:
        file = write(model, Path(folder, "converted"))
        run, facts["file_bytes"] = runner(file), file.stat().st_size
        how = name, lambda picture: run(prepare(picture)[None])
        return ask_network(*how, model, photos, **facts)
