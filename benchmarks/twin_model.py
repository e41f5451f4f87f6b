"""Turn a picture into an answer with PyTorch: the benchmark's twin of model.py."""

import time
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import timm
import torch
from PIL import Image
from torch.nn import functional as F

NEIGHBOURS = 5
PictureError = Image.UnidentifiedImageError


class Answer(NamedTuple):
    """What the model says about one picture."""

    probabilities: dict[str, float]
    familiarity: float
    is_familiar: bool
    seconds: float

    @property
    def best(self) -> tuple[str, float]:
        return next(iter(self.probabilities.items()))


def find_model(folder: Path) -> Path:
    """The only model file of the app's folder."""
    (file,) = folder.glob("*.pth")
    return file


class Predictor:
    """EffNet-Lite2 and a trained head, and what their file says about them."""

    def __init__(self, model_path: Path, *, threads: int) -> None:
        torch.set_num_threads(threads)
        content = torch.load(model_path, weights_only=True)
        self.about = SimpleNamespace(**content["about"])
        self._known = content["known"]
        classes, size = len(self.about.class_names), self.about.input_size
        self._network = timm.create_model("tf_efficientnet_lite2", num_classes=classes)
        self._network.load_state_dict(content["weights"])
        self._network.eval()
        config = timm.data.resolve_model_data_config(self._network)
        self._transform = timm.data.create_transform(
            **config | {"input_size": (3, size, size)}
        )

    @torch.inference_mode()
    def predict(self, picture: str) -> Answer:
        """Answer for one picture file."""
        start = time.perf_counter()
        pixels = self._transform(Image.open(picture).convert("RGB")).unsqueeze(0)
        maps = self._network.forward_features(pixels)
        features = self._network.forward_head(maps, pre_logits=True)
        scores = self._network.classifier(features).softmax(dim=1)[0].tolist()
        similarity = F.normalize(features, dim=1) @ self._known.T
        nearest = similarity.topk(min(NEIGHBOURS, len(self._known)), dim=1).values
        familiarity = nearest.mean().item()
        named = zip(self.about.class_names, scores, strict=True)
        return Answer(
            dict(sorted(named, key=lambda pair: -pair[1])),
            familiarity,
            familiarity >= self.about.familiarity_threshold,
            time.perf_counter() - start,
        )
