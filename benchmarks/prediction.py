"""How long one prediction takes, from the bytes of a JPEG to probabilities."""

from collections.abc import Callable, Mapping
from io import BytesIO

import numpy as np
import torch
from PIL import Image

from benchmarks.plan import MODEL, SEED, TURN, Bench, in_turns
from benchmarks.report import Part, goal, speed
from benchmarks.training import EFFNETB2
from going_modular.app.model import Predictor
from going_modular.model_builder import Built
from going_modular.predictions import WARM_UP

GRAIN = 4  # standard deviation of the added brightness, of 255
USUAL = "the usual way: EffNetB2, PyTorch"
OURS = "EffNet-Lite2, ONNX int8, as in the app"
Predict = Callable[[bytes], object]  # from a file's bytes to a class


def measure(bench: Bench) -> Part:
    """Time whole predictions by both routes in turns, and big pictures."""
    files = [file.read_bytes() for file, _ in bench.test_pictures()]
    app = Predictor(MODEL, threads=bench.plan.threads)
    ways = {
        USUAL: _usual_route(EFFNETB2.build(len(bench.class_names))),
        OURS: lambda data: app.predict(BytesIO(data)).best[0],
    }
    runs = in_turns("predicting by both routes", ways, bench.plan.rounds * files)
    usual, ours = (run.ms.median() for run in runs.values())
    big = _big_pictures(bench, ways, files[0])
    goals = [goal("prediction", usual / ours)]
    for size, row in zip(bench.plan.megapixels, big[1:], strict=True):
        cost = row["app, times the first"]
        goals.append(goal("big_picture", cost, megapixels=size))
    return {
        "goals": goals,
        "on": bench.pictures.label,
        "predictions": bench.plan.rounds * len(files),
        "turn": TURN,
        "warm_up": WARM_UP,
        "routes": [
            {
                "route": name,
                **speed(run.ms),
                "times faster": round(usual / run.ms.median(), 1),
            }
            for name, run in runs.items()
        ],
        "big": big,
    }


def _decode(data: bytes) -> Image.Image:
    """Decode a JPEG the way most programs do."""
    return Image.open(BytesIO(data)).convert("RGB")


def _usual_route(built: Built) -> Predict:
    """A head that nothing has trained takes as long."""
    model = built.model.eval()

    @torch.inference_mode()
    def predict(data: bytes) -> int:
        batch = built.transform(_decode(data)).unsqueeze(0)
        return int(model(batch).softmax(dim=1)[0].argmax())

    return predict


def _big_pictures(
    bench: Bench, ways: Mapping[str, Predict], picture: bytes
) -> list[dict]:
    """A picture and larger ones, as phones make them, by the usual way and by ours."""
    files = {"": picture}
    files |= {f"{n} megapixels, ": _enlarge(picture, n) for n in bench.plan.megapixels}
    items = bench.plan.rounds * list(files.values())
    runs = in_turns("big pictures", ways, items, turn=1, warm_up=1).values()
    usual, ours = (run.ms.groupby(run.index % len(files)).median() for run in runs)
    rows = []
    for place, (name, data) in enumerate(files.items()):
        width, height = Image.open(BytesIO(data)).size
        rows.append(
            {
                "picture": f"{name}{width} x {height}, {len(data) / 1e6:.2f} MB",
                "the usual way, ms": round(usual[place], 1),
                "app, ms": round(ours[place], 1),
                "app, times the first": round(ours[place] / ours[0], 1),
            }
        )
    return rows


def _enlarge(data: bytes, megapixels: float) -> bytes:
    """The same picture with so many million pixels and a sensor's grain, as a JPEG."""
    picture = _decode(data)
    factor = (megapixels * 1e6 / (picture.width * picture.height)) ** 0.5
    size = round(picture.width * factor), round(picture.height * factor)
    pixels = np.asarray(picture.resize(size, Image.Resampling.BICUBIC), np.float32)
    grain = np.random.default_rng(SEED).standard_normal((*size[::-1], 1), np.float32)
    file, pixels = BytesIO(), (pixels + GRAIN * grain).clip(0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(file, "JPEG", quality=90)
    return file.getvalue()
