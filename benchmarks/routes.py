"""The ways from the bytes of a JPEG to an answer that the benchmark compares."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.making import ONNX_NAME, Made
from benchmarks.peak import multiply_adds, network_alone
from benchmarks.plan import Bench
from going_modular.model_builder import Built
from going_modular.runtime import OnnxModel
from going_modular.utils import load_module


@dataclass(frozen=True)
class Route:
    """One way from JPEG bytes to an answer.

    Attributes:
        name: For the table.
        predict: From a file's bytes to a class name.
        network: Runs the network alone, on a picture that is ready.
        multiply_adds: What the network does for one picture.
        precision: "fp32" or "int8".
        counted: False if its weights only rehearse.
    """

    name: str
    predict: Callable[[bytes], str]
    network: Callable[[], object]
    multiply_adds: int
    precision: str = "fp32"
    counted: bool = True


def make_routes(bench: Bench, made: Made, example: bytes) -> list[Route]:
    """The usual way first, ours last.

    Args:
        bench: The run.
        made: Networks and files.
        example: A JPEG file, for timing the networks alone.
    """
    names = bench.class_names
    picture = decode(example)
    lite2_batch = made.lite2.transform(picture).unsqueeze(0)
    work = multiply_adds(made.lite2.model, lite2_batch)
    onnx_model = OnnxModel(made.fp32_file, threads=bench.plan.threads)

    def ask_fp32(data: bytes) -> str:
        probabilities, _ = onnx_model(np.asarray(decode(data)))
        return names[probabilities.argmax()]

    app = load_module(made.app / "model.py")
    predictor = app.Predictor(made.app / ONNX_NAME, threads=bench.plan.threads)

    def ask_int8(data: bytes) -> str:
        return next(iter(predictor.predict(BytesIO(data)).probabilities))

    return [
        _torch_route("the usual way: EffNetB2, PyTorch", made.effnetb2, names, picture),
        _torch_route("EffNet-Lite2, PyTorch", made.lite2, names, picture),
        Route(
            "EffNet-Lite2, ONNX fp32",
            ask_fp32,
            _onnx_network(made.fp32_file, lite2_batch),
            work,
        ),
        Route(
            "EffNet-Lite2, ONNX int8, as in the app",
            ask_int8,
            _onnx_network(made.app / ONNX_NAME, lite2_batch),
            work,
            "int8",
        ),
    ]


def decode(data: bytes) -> Image.Image:
    """Decode a JPEG the way most programs do."""
    return Image.open(BytesIO(data)).convert("RGB")


def _torch_route(
    name: str, built: Built, class_names: Sequence[str], picture: Image.Image
) -> Route:
    model = built.model.eval()
    ready = built.transform(picture).unsqueeze(0)

    @torch.inference_mode()
    def predict(data: bytes) -> str:
        batch = built.transform(decode(data)).unsqueeze(0)
        probabilities = model(batch).softmax(dim=1)[0].numpy()
        return class_names[probabilities.argmax()]

    @torch.inference_mode()
    def network() -> torch.Tensor:
        return model(ready)

    work = multiply_adds(model, ready)
    return Route(name, predict, network, work, counted=built.pretrained)


def _onnx_network(file: Path, batch: torch.Tensor) -> Callable[[], object]:
    session, name = network_alone(file)
    ready = {name: batch.numpy()}
    return lambda: session.run(None, ready)
