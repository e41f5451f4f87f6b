"""Get features with the base alone, as one ONNX file, from photos of any size.

ONNX Runtime needs a fraction of PyTorch's time for it on a CPU, and the machines of a
cluster need no PyTorch to help.
"""

import hashlib
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import nn

from going_modular.datasets import PicturesError, load_picture
from going_modular.export import export_onnx
from going_modular.model_builder import Built, Preprocess
from going_modular.predictions import WARM_UP


class Extractor(nn.Module):
    """From a decoded photo to its features.

    Args:
        preprocess: Turns a uint8 picture (H, W, 3) into (3, S, S).
        base: Turns pictures (N, 3, S, S) into features (N, D).
    """

    outputs = ("features",)

    def __init__(self, preprocess: Preprocess, base: nn.Module):
        super().__init__()
        self.preprocess, self.base = preprocess, base
        self.eval()

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        """Features (D,) of one RGB picture, uint8 (H, W, 3)."""
        return self.base(self.preprocess(picture).unsqueeze(0))[0]


def network_of(built: Built) -> str:
    """A text that changes with any weight of the base and any step before it."""
    digest = hashlib.sha256(f"{built.preprocess}".encode())
    for part in (built.preprocess, built.model.base):
        for name, weights in part.state_dict().items():
            digest.update(name.encode())
            digest.update(weights.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def export_extractor(built: Built, file: Path) -> Path:
    """Write a contender's preparation and base as one ONNX file, all or nothing.

    A file that holds them already is kept. The file carries `network_of` along.

    Raises:
        ExportError: If the written file cannot be run.
    """
    network = network_of(built)
    if not (file.exists() and _network_in(file) == network):
        extractor = Extractor(built.preprocess, built.model.base.cpu())
        export_onnx(extractor, file, metadata={"network": network})
    return file


def _network_in(file: Path) -> str | None:
    try:
        return OnnxExtractor(file).network
    except Exception:  # noqa: BLE001 - ONNX Runtime's errors have no base of their own
        return None


class OnnxExtractor:
    """Gets the features of photo files.

    Args:
        file: Written by `export_extractor`.
        threads: Photos at work at once, each opened and calculated by one thread.

    Attributes:
        network: What `network_of` said about the base and its preparation.
    """

    def __init__(self, file: Path, *, threads: int = 2):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(file, options)
        self.network = self._session.get_modelmeta().custom_metadata_map["network"]
        self.threads = threads

    def __call__(self, photos: Sequence[Path]) -> tuple[np.ndarray, dict[int, str]]:
        """Features (n, D) of those that can be opened; why not, by place, of the rest.

        Raises:
            PicturesError: If a photo is gone: then most likely all are.
        """
        with ThreadPoolExecutor(self.threads) as pool:
            answers = list(pool.map(self._features, photos))
        rows = [answer for answer in answers if not isinstance(answer, str)]
        reasons = {at: why for at, why in enumerate(answers) if isinstance(why, str)}
        return np.array(rows, np.float32), reasons

    def _features(self, photo: Path) -> np.ndarray | str:
        try:
            picture = np.asarray(load_picture(photo))
        except PicturesError as error:
            if not photo.exists():
                raise
            return str(error.__cause__ or error)
        return self._session.run(None, {"picture": picture})[0]


def seconds_a_photo(extract: OnnxExtractor, photos: Sequence[Path]) -> float:
    """What a photo costs from file to features, after a warm-up."""
    extract(photos[:WARM_UP])
    start = time.perf_counter()
    extract(photos)
    return (time.perf_counter() - start) / len(photos)
