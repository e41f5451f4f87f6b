"""Turn a picture into an answer with PyTorch: the benchmark's twin of model.py."""

import time
from pathlib import Path
from types import SimpleNamespace as ModelMetadata
from typing import NamedTuple

import timm
import torch
from PIL import Image
from torch.nn import functional as F

SHOWN = ".jpg", ".png"
NEIGHBOURS = 5
DISH, OTHER, NO_PLATE = "dish", "another dish", "no plate"
PictureError = Image.UnidentifiedImageError


class Answer(NamedTuple):
    """What the model says about one picture."""

    probabilities: dict[str, float]
    knn_similarity: float
    in_distribution_score: float
    verdict: str
    seconds: float

    @property
    def best(self) -> tuple[str, float]:
        return next(iter(self.probabilities.items()))

    @property
    def text(self) -> str:
        name, probability = self.best
        return f"This looks like {name}.\nThe model is {probability:.0%} sure."


def spoken(name: str) -> str:
    """A class name as people read it."""
    return name.replace("_", " ")


def find_model(folder: Path) -> Path:
    """The only model file of the app's folder."""
    (file,) = folder.glob("*.pth")
    return file


class Predictor:
    """EffNet-Lite2 and a trained head, and what their file says about them."""

    def __init__(self, model_path: Path, *, threads: int) -> None:
        torch.set_num_threads(threads)
        content = torch.load(model_path, weights_only=True)
        self.about = ModelMetadata(**content["about"])
        self._known, self._scales = content["known"], content["scales"]
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
        logits = self._network.classifier(features)[0]
        scores = (logits / self.about.temperature).softmax(dim=0).tolist()
        similarity = F.normalize(features, dim=1) @ self._known.T
        nearest = similarity.topk(min(NEIGHBOURS, len(self._known)), dim=1).values
        knn_similarity, (means, widths) = nearest.mean(), self._scales
        witnesses = torch.stack([logits.max(), knn_similarity])
        in_distribution_score = ((witnesses - means) / widths).sum().sigmoid().item()
        named = zip(self.about.class_names, scores, strict=True)
        return Answer(
            dict(sorted(named, key=lambda pair: -pair[1])),
            knn_similarity.item(),
            in_distribution_score,
            self._judge(knn_similarity.item(), in_distribution_score),
            time.perf_counter() - start,
        )

    def _judge(self, knn_similarity: float, in_distribution_score: float) -> str:
        if knn_similarity < self.about.knn_similarity_threshold:
            return NO_PLATE
        return (
            DISH
            if in_distribution_score >= self.about.in_distribution_threshold
            else OTHER
        )
