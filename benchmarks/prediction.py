"""How long one prediction takes, from the bytes of a JPEG to probabilities."""

from collections.abc import Callable
from io import BytesIO
from operator import eq
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import numpy_helper, parser
from onnx.utils import extract_model
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.making import make_all
from benchmarks.plan import SEED, TURN, Bench, in_turns
from benchmarks.report import Goal, Part, times
from benchmarks.training import Trained
from going_modular.app.model import OUTPUTS, Predictor

GOAL_TIMES, GOAL_BIG = 8, 3
MEGAPIXELS = (12, 48)
JPEG_QUALITY = 90
GRAIN = 4  # standard deviation of the added brightness, of 255
PEAK_RUNS, PEAK_SIDE = 10, 2048  # rows and columns of the matrices behind the peak
PRODUCT = """<ir_version: 10, opset_import: ["": 18]>
product (uint8[N, N] left) => (int32[N, N] result)
{ result = MatMulInteger(left, right) }""".replace("N,", f"{PEAK_SIDE},")
ROUNDING = ("QuantizeLinear", "DequantizeLinear")


class Route(NamedTuple):
    """One way from JPEG bytes to an answer."""

    predict: Callable[[bytes], str]  # from a file's bytes to a class name
    network: Callable[[], object]  # runs it alone, on a picture that is ready
    multiply_adds: int  # of the network, for one picture
    precision: str = "fp32"  # or "int8"
    counted: bool = True  # False if its weights only rehearse


def measure(bench: Bench) -> Part:
    """Time all routes in turns: whole predictions, networks alone, big pictures."""
    pictures = [(file.read_bytes(), name) for file, name in bench.test_pictures()]
    files, truths = zip(*pictures, strict=True)
    routes, rounds = _routes(bench, files[0]), bench.plan.rounds
    usual, *_, ours = routes
    ways = {name: route.predict for name, route in routes.items()}
    runs = in_turns("predicting by every route", ways, files, rounds=rounds)
    medians = {name: own.ms.median() for name, own in runs.items()}
    networks = {name: lambda _, own=own: own.network() for name, own in routes.items()}
    sizes, big = _big_pictures(bench, {n: ways[n] for n in (usual, ours)}, files[0])
    facts = {
        "routes": routes,
        "runs": runs,
        "usual": medians[usual],
        # Answers of the first round; they are the same in all.
        "right": {n: sum(map(eq, truths, own.result)) for n, own in runs.items()},
        "networks": in_turns("networks", networks, range(TURN), rounds=rounds),
        "peaks": _peaks(),
        "sizes": sizes,
        "big": big,
    }
    faster = medians[usual] / medians[ours]
    text = f"a prediction from JPEG bytes at least {GOAL_TIMES} times faster"
    goals = [Goal(text, times(faster), faster >= GOAL_TIMES)]
    for megapixels, ms in zip(MEGAPIXELS, big[ours][1:], strict=True):
        cost, text = ms / big[ours][0], "times the cost of a small one"
        text = f"{megapixels} megapixels at most {GOAL_BIG} {text}"
        goals.append(Goal(text, times(cost), cost <= GOAL_BIG))
    return facts, goals


def _routes(bench: Bench, example: bytes) -> dict[str, Route]:
    """The usual way first, ours last; `example` is for timing the networks alone."""
    made, picture = make_all(bench), _decode(example)
    lite2 = _torch_route(made.lite2, bench.class_names, picture)
    batch = made.lite2.built.transform(picture).unsqueeze(0)
    fp32, int8 = (
        Predictor(file, threads=bench.plan.threads)
        for file in (made.fp32_file, made.int8_file)
    )
    return {
        "the usual way: EffNetB2, PyTorch": _torch_route(
            made.effnetb2, bench.class_names, picture
        ),
        "EffNet-Lite2, PyTorch": lite2,
        "EffNet-Lite2, ONNX fp32": Route(
            lambda data: fp32.predict(np.asarray(_decode(data))).best[0],
            _onnx_network(made.fp32_file, bench.workdir, batch),
            lite2.multiply_adds,
        ),
        "EffNet-Lite2, ONNX int8, as in the app": Route(
            lambda data: int8.predict(BytesIO(data)).best[0],
            _onnx_network(made.int8_file, bench.workdir, batch),
            lite2.multiply_adds,
            "int8",
        ),
    }


def _decode(data: bytes) -> Image.Image:
    """Decode a JPEG the way most programs do."""
    return Image.open(BytesIO(data)).convert("RGB")


def _torch_route(trained: Trained, names: list[str], picture: Image.Image) -> Route:
    model, transform = trained.built.model.eval(), trained.built.transform
    ready = transform(picture).unsqueeze(0)

    @torch.inference_mode()
    def predict(data: bytes) -> str:
        batch = transform(_decode(data)).unsqueeze(0)
        return names[model(batch).softmax(dim=1)[0].argmax()]

    network = torch.inference_mode()(lambda: model(ready))
    with FlopCounterMode(display=False) as counter:
        network()
    work = counter.get_total_flops() // 2
    return Route(predict, network, work, counted=trained.built.pretrained)


def _onnx_network(file: Path, workdir: Path, batch: torch.Tensor) -> Callable:
    """An exported model without the preprocessing in front of its network."""
    graph = onnx.load(file).graph
    made_by = {name: node for node in graph.node for name in node.output}
    cut = next(node for node in graph.node if node.op_type == "Conv").input[0]
    while made_by[cut].op_type in ROUNDING:
        cut = made_by[cut].input[0]
    alone = workdir / f"{file.stem}_alone.onnx"
    extract_model(file, alone, [cut], OUTPUTS)
    session, ready = _session(alone.read_bytes()), {cut: batch.numpy()}
    return lambda: session.run(None, ready)


def _session(model: bytes) -> onnxruntime.InferenceSession:
    """Run a model on as many threads as PyTorch."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    return onnxruntime.InferenceSession(model, options)


def _peaks() -> dict[str, float]:
    """Multiply-adds a second in a product of large matrices, the best of several."""
    shape, numbers = (PEAK_SIDE, PEAK_SIDE), np.random.default_rng(SEED)
    floats = torch.rand(2, *shape)
    left = numbers.integers(0, 256, shape, np.uint8)
    right = numbers.integers(-128, 128, shape, np.int8)
    product = parser.parse_model(PRODUCT)
    product.graph.initializer.append(numpy_helper.from_array(right, "right"))
    session = _session(product.SerializeToString())
    ways = {
        "fp32": lambda _: torch.mm(*floats),
        "int8": lambda _: session.run(None, {"left": left}),
    }
    runs = in_turns("the machine's peak", ways, range(PEAK_RUNS), warm_up=1)
    return {way: 1000 * PEAK_SIDE**3 / own.ms.min() for way, own in runs.items()}


def _big_pictures(bench: Bench, ways: dict, picture: bytes) -> tuple[list, dict]:
    """A picture and larger ones, as phones make them: names, and median ms by way."""
    files = {"": picture}
    files |= {f"{n} megapixels, ": _enlarge(picture, n) for n in MEGAPIXELS}
    names = []
    for name, data in files.items():
        width, height = Image.open(BytesIO(data)).size
        names.append(f"{name}{width} x {height}, {len(data) / 1e6:.2f} MB")
    items, rounds = list(files.values()), bench.plan.rounds
    runs = in_turns("big pictures", ways, items, rounds=rounds, turn=1, warm_up=1)
    return names, {n: own.groupby("item").ms.median() for n, own in runs.items()}


def _enlarge(data: bytes, megapixels: float) -> bytes:
    """The same picture with so many million pixels and a sensor's grain, as a JPEG."""
    picture = _decode(data)
    factor = (megapixels * 1e6 / (picture.width * picture.height)) ** 0.5
    size = round(picture.width * factor), round(picture.height * factor)
    pixels = np.asarray(picture.resize(size, Image.Resampling.BICUBIC), np.float32)
    grain = np.random.default_rng(SEED).standard_normal((*size[::-1], 1), np.float32)
    pixels = (pixels + GRAIN * grain).clip(0, 255).astype(np.uint8)
    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=JPEG_QUALITY)
    return file.getvalue()
