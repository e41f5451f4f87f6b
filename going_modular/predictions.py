"""Predict photo by photo and time it, with PyTorch and with the exported file."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from going_modular.app.model import Answer, Predictor, open_picture
from going_modular.datasets import Sample, load_picture
from going_modular.model_builder import Built, Transform

WARM_UP = 5  # pictures predicted before the clock counts
MOST_LOST, ALIKE = 1, 0.98  # pictures a smaller file may lose; answers as PyTorch's


@torch.inference_mode()
def predict_picture(
    model: nn.Module, transform: Transform, file: Path
) -> tuple[Tensor, dict[str, float]]:
    """Probabilities (C,) of one picture, on the CPU, and the milliseconds they took.

    total_ms is from the file to the answer; decode_ms and forward_ms are part of it.
    """
    start = time.perf_counter()
    picture = load_picture(file)
    decoded = time.perf_counter()
    batch = transform(picture).unsqueeze(0)  # (1, 3, S, S)
    prepared = time.perf_counter()
    probabilities = model(batch).softmax(dim=1)[0]
    end = time.perf_counter()
    return probabilities, {
        "total_ms": 1000 * (end - start),
        "decode_ms": 1000 * (decoded - start),
        "forward_ms": 1000 * (end - prepared),
    }


def take_turns(
    contenders: dict[str, Built], samples: list[Sample], class_names: list, *, turn=30
) -> dict[str, pd.DataFrame]:
    """Let every contender predict pictures one by one, a few at a turn, on the CPU.

    So a slow spell of the computer meets all of them; a turn begins with an untimed
    warm-up. Returns by name a row a sample, in order, with `predict_picture`'s times.
    """
    rows = {name: [] for name in contenders}
    for start in range(0, len(samples), turn):
        now = samples[start : start + turn]
        for name, built in contenders.items():
            model = built.model.cpu().eval()
            for file, _ in now[:WARM_UP]:
                predict_picture(model, built.transform, file)
            for file, label in now:
                sure, times = predict_picture(model, built.transform, file)
                guess = int(sure.argmax())
                row = {
                    "file": file,
                    "truth": class_names[label],
                    "guess": class_names[guess],
                    "right": guess == label,
                    "prob_guess": sure[guess].item(),
                    "prob_truth": sure[label].item(),
                }
                rows[name].append(row | times)
    return {name: pd.DataFrame(of_one) for name, of_one in rows.items()}


@torch.inference_mode()
def compare_answers(
    deployable: nn.Module, file: Path, samples: Sequence[Sample]
) -> pd.DataFrame:
    """Ask PyTorch's `Deployable` and the exported file, by the app's own `Predictor`.

    Returns a row a picture: label, guess, same_class, difference (the largest of any
    probability), the file's scores and verdict, onnx_ms (from photo to ONNX's answer).
    """
    predictor = Predictor(file, threads=torch.get_num_threads())
    names, photos = predictor.about.class_names, [photo for photo, _ in samples]
    for photo in photos[:WARM_UP]:
        predictor.predict(photo)
    answers = [predictor.predict(photo) for photo in photos]
    # PyTorch only now: its threads would get in the way of the clock.
    pixels = (torch.from_numpy(open_picture(photo).copy()) for photo in photos)
    expected = np.array([deployable(picture)[0].numpy() for picture in pixels])
    found = np.array([[a.probabilities[name] for name in names] for a in answers])
    columns = {
        "label": [label for _, label in samples],
        "guess": found.argmax(axis=1),
        "same_class": found.argmax(axis=1) == expected.argmax(axis=1),
        "difference": np.abs(found - expected).max(axis=1),
        "knn_similarity": [answer.knn_similarity for answer in answers],
        "in_distribution_score": [answer.in_distribution_score for answer in answers],
        "verdict": [answer.verdict for answer in answers],
        "onnx_ms": [1000 * answer.seconds for answer in answers],
    }
    return pd.DataFrame(columns)


def precision_table(
    checks: dict[str, pd.DataFrame], files: dict[str, Path]
) -> pd.DataFrame:
    """Files side by side, by precision, and how each did in `compare_answers`."""
    rows = {}
    for precision, check in checks.items():
        rows[precision] = {
            "right": f"{(check.guess == check.label).sum()} of {len(check)}",
            "same class as PyTorch": f"{check.same_class.sum()} of {len(check)}",
            "largest difference": f"{check.difference.max():.1e}",
            "MB": f"{files[precision].stat().st_size / 1e6:.1f}",
            "median ms": f"{check.onnx_ms.median():.1f}",
            "a second": f"{1000 / check.onnx_ms.median():.0f}",
        }
    return pd.DataFrame(rows).T


def choose_file(checks: dict[str, pd.DataFrame], files: dict[str, Path]) -> str:
    """The precision that goes out: the smallest file that decides like fp32."""
    right = {name: (check.guess == check.label).sum() for name, check in checks.items()}
    alike = [name for name, c in checks.items() if c.same_class.mean() >= ALIKE]
    allowed = [name for name in alike if right[name] >= right["fp32"] - MOST_LOST]
    return min(allowed, key=lambda name: files[name].stat().st_size)


def answer_all(file: Path, photos: Sequence[Path]) -> list[Answer]:
    """Ask an exported file about many photos, in order, one thread a photo."""
    predictor = Predictor(file, threads=1)
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(predictor.predict, photos))
