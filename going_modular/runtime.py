"""Run the exported file, and hold its answers against PyTorch's."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
import torch

from going_modular.datasets import load_picture
from going_modular.export import Deployable
from going_modular.predictions import WARM_UP


class OnnxModel:
    """An exported model, ready to answer.

    Args:
        file: Written by `export_onnx`.
        threads: How many it may use; one per core when None.

    Attributes:
        metadata: What the file says about itself, as text.
    """

    def __init__(self, file: Path, *, threads: int | None = None):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0
        self._session = onnxruntime.InferenceSession(file, options)
        self.metadata = self._session.get_modelmeta().custom_metadata_map

    def __call__(self, picture: Path | np.ndarray) -> tuple[np.ndarray, float]:
        """Answer for a picture file, or for RGB pixels, uint8 (H, W, 3).

        Returns:
            Probabilities (C,) and familiarity.
        """
        if not isinstance(picture, np.ndarray):
            picture = np.asarray(load_picture(picture))
        probabilities, familiarity = self._session.run(None, {"picture": picture})
        return probabilities, float(familiarity)


def compare_answers(
    deployable: Deployable, file: Path, samples: Sequence[tuple[str, int]]
) -> pd.DataFrame:
    """Ask PyTorch and the exported file about the same pictures.

    Args:
        deployable: What was exported.
        file: The ONNX file.
        samples: Picture files and labels.

    Returns:
        A row a picture: label; guess, the file's class number; same_class; difference,
        the largest of any probability; familiarity, the file's; onnx_ms, milliseconds
        from picture file to the ONNX answer.
    """
    model = OnnxModel(file, threads=torch.get_num_threads())
    for picture, _ in samples[:WARM_UP]:
        model(Path(picture))
    answers = [_timed(model, Path(picture)) for picture, _ in samples]
    # PyTorch only now: its threads would get in the way of the clock.
    rows = []
    for (picture, label), (probabilities, familiarity, ms) in zip(
        samples, answers, strict=True
    ):
        with torch.inference_mode():
            pixels = torch.from_numpy(np.array(load_picture(picture)))
            expected = deployable(pixels)[0].numpy()
        rows.append(
            {
                "label": label,
                "guess": int(probabilities.argmax()),
                "same_class": probabilities.argmax() == expected.argmax(),
                "difference": float(np.abs(probabilities - expected).max()),
                "familiarity": familiarity,
                "onnx_ms": ms,
            }
        )
    return pd.DataFrame(rows)


def answer_all(
    file: Path, photos: Sequence[Path], *, threads: int = 2
) -> tuple[torch.Tensor, torch.Tensor]:
    """Ask an exported file about many photos, one thread a photo.

    Returns:
        Probabilities (N, C) and familiarity (N,).
    """
    model = OnnxModel(file, threads=1)
    with ThreadPoolExecutor(threads) as pool:
        answers = list(pool.map(model, photos))
    probabilities, likeness = zip(*answers, strict=True)
    return torch.from_numpy(np.stack(probabilities)), torch.tensor(likeness)


def _timed(model: OnnxModel, picture: Path) -> tuple[np.ndarray, float, float]:
    start = time.perf_counter()
    probabilities, familiarity = model(picture)
    return probabilities, familiarity, 1000 * (time.perf_counter() - start)
