"""Turn a picture into an answer with PyTorch: the benchmark's twin of model.py."""

import json
import time
from pathlib import Path
from types import SimpleNamespace as ModelMetadata
from typing import NamedTuple

import timm
import torch
from PIL import Image

CONTRACT = json.loads(Path(__file__).with_name("contract.json").read_text("utf-8"))
SHOWN = ".jpg", ".png"
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
    """EffNet-Lite2 and a trained head. It has no gate: each picture is a dish to it."""

    def __init__(self, model_path: Path, *, threads: int) -> None:
        torch.set_num_threads(threads)
        content = torch.load(model_path, weights_only=True)
        self.about = ModelMetadata(**content["about"])
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
        logits = self._network(pixels)[0] / self.about.temperature
        scores = logits.softmax(dim=0).tolist()
        named = zip(self.about.class_names, scores, strict=True)
        probabilities = dict(sorted(named, key=lambda pair: -pair[1]))
        return Answer(probabilities, 1.0, 1.0, "dish", time.perf_counter() - start)
