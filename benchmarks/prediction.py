"""How long one prediction takes, from the bytes of a JPEG to probabilities."""

from collections.abc import Callable, Mapping
from io import BytesIO
from operator import eq

import numpy as np
import torch
from PIL import Image

from benchmarks.making import make_all
from benchmarks.plan import SEED, TURN, Bench, in_turns
from benchmarks.report import Part, goal, speed, times
from benchmarks.training import Trained
from going_modular.app.model import Predictor
from going_modular.predictions import WARM_UP

GOAL_TIMES, GOAL_BIG = 8, 3
MEGAPIXELS = (12, 48)
JPEG_QUALITY = 90
GRAIN = 4  # standard deviation of the added brightness, of 255
USUAL, OURS = (
    "the usual way: EffNetB2, PyTorch",
    "EffNet-Lite2, ONNX int8, as in the app",
)
Predict = Callable[[bytes], str]  # from a file's bytes to a class name


def measure(bench: Bench) -> Part:
    """Time whole predictions by all routes in turns, and big pictures."""
    pictures = [(file.read_bytes(), name) for file, name in bench.test_pictures()]
    files, truths = zip(*pictures, strict=True)
    ways, rounds = _routes(bench), bench.plan.rounds
    runs = in_turns("predicting by every route", ways, files, rounds=rounds)
    usual = runs[USUAL].ms.median()
    is_trained = make_all(bench).effnetb2.built.pretrained
    rows = []
    for name, own in runs.items():
        right = f"{sum(map(eq, truths, own.result))} of {len(files)}"  # once round
        counted = name != USUAL or is_trained
        rows.append(
            {
                "route": name,
                **speed(own.ms),
                "times faster": round(usual / own.ms.median(), 1),
                "right": right if counted else "not counted (rehearsal weights)",
            }
        )
    faster = usual / runs[OURS].ms.median()
    text = f"a prediction from JPEG bytes at least {GOAL_TIMES} times faster"
    goals = [goal(text, times(faster), faster >= GOAL_TIMES)]
    big = _big_pictures(bench, {USUAL: ways[USUAL], OURS: ways[OURS]}, files[0])
    for megapixels, row in zip(MEGAPIXELS, big[1:], strict=True):
        cost = row["app, times the first"]
        text = f"{megapixels} megapixels at most {GOAL_BIG} times the cost of "
        goals.append(goal(f"{text}a small one", times(cost), cost <= GOAL_BIG))
    return {
        "goals": goals,
        "on": bench.pictures.label,
        "predictions": len(files) * rounds,
        "turn": TURN,
        "warm_up": WARM_UP,
        "routes": rows,
        "big": big,
    }


def _routes(bench: Bench) -> Mapping[str, Predict]:
    """The usual way first, ours last."""
    made, names = make_all(bench), bench.class_names
    fp32, int8 = (
        Predictor(file, threads=bench.plan.threads)
        for file in (made.fp32_file, made.int8_file)
    )
    return {
        USUAL: _torch_route(made.effnetb2, names),
        "EffNet-Lite2, PyTorch": _torch_route(made.lite2, names),
        "EffNet-Lite2, ONNX fp32": lambda data: fp32.predict(
            np.asarray(_decode(data))
        ).best[0],
        OURS: lambda data: int8.predict(BytesIO(data)).best[0],
    }


def _decode(data: bytes) -> Image.Image:
    """Decode a JPEG the way most programs do."""
    return Image.open(BytesIO(data)).convert("RGB")


def _torch_route(trained: Trained, names: list[str]) -> Predict:
    model, transform = trained.built.model.eval(), trained.built.transform

    @torch.inference_mode()
    def predict(data: bytes) -> str:
        batch = transform(_decode(data)).unsqueeze(0)
        return names[model(batch).softmax(dim=1)[0].argmax()]

    return predict


def _big_pictures(
    bench: Bench, ways: Mapping[str, Predict], picture: bytes
) -> list[dict]:
    """A picture and larger ones, as phones make them, by the usual way and by ours."""
    files = {"": picture}
    files |= {f"{n} megapixels, ": _enlarge(picture, n) for n in MEGAPIXELS}
    items, rounds = list(files.values()), bench.plan.rounds
    runs = in_turns("big pictures", ways, items, rounds=rounds, turn=1, warm_up=1)
    usual, ours = (own.groupby("item").ms.median() for own in runs.values())
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
    pixels = (pixels + GRAIN * grain).clip(0, 255).astype(np.uint8)
    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=JPEG_QUALITY)
    return file.getvalue()
