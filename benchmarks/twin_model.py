"""Turn a picture into an answer with PyTorch: the benchmark's twin of model.py."""

import io
import time
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import timm
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import nn
from torch.nn import functional as F
from torchvision.transforms import functional as vision

NEIGHBOURS = 5
MEAN, STD = [0.5] * 3, [0.5] * 3


class PictureError(ValueError):
    """A picture that cannot be used. Its message is meant for the visitor."""


@dataclass(frozen=True)
class Answer:
    """What the model says about one picture."""

    probabilities: dict[str, float]
    familiarity: float
    is_familiar: bool
    seconds: float


class Network(nn.Module):
    """EffNet-Lite2 and a trained head."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.base = timm.create_model("tf_efficientnet_lite2", num_classes=0)
        width = self.base.num_features
        self.head = nn.Sequential(nn.Dropout(0.2), nn.Linear(width, num_classes))


class Predictor:
    """The network, and what its file says about it."""

    def __init__(self, model_path: str | Path, *, threads: int | None = None) -> None:
        torch.set_num_threads(threads or torch.get_num_threads())
        content = torch.load(Path(model_path).with_suffix(".pth"), weights_only=True)
        about = content["about"]
        self.class_names: list[str] = about["class_names"]
        self.familiarity_threshold: float = about["familiarity_threshold"]
        self.contender: str = about["contender"]
        self.trained_on: str = about["trained_on"]
        self.is_practice: bool = about["is_practice"]
        self.test_result: dict[str, int] = about["test_result"]
        self._size, self._crop = about["input_size"], content["crop"]
        self._known = content["known"]
        self._network = Network(len(self.class_names))
        self._network.load_state_dict(content["weights"])
        self._network.eval()

    @torch.inference_mode()
    def predict(self, picture: str | Path | BinaryIO) -> Answer:
        """Answer for one picture file."""
        start = time.perf_counter()
        features = self._network.base(self._prepare(picture))
        scores = self._network.head(features).softmax(dim=1)[0]
        similarity = F.normalize(features, dim=1) @ self._known.T
        nearest = similarity.topk(min(NEIGHBOURS, len(self._known)), dim=1).values
        familiarity = nearest.mean().item()
        named = zip(self.class_names, scores.tolist(), strict=True)
        return Answer(
            probabilities=dict(sorted(named, key=lambda pair: -pair[1])),
            familiarity=familiarity,
            is_familiar=familiarity >= self.familiarity_threshold,
            seconds=time.perf_counter() - start,
        )

    def _prepare(self, source: str | Path | BinaryIO) -> torch.Tensor:
        """Open a picture and make it (1, 3, S, S), with torchvision's own steps."""
        try:
            with Image.open(source) as opened:
                picture = ImageOps.exif_transpose(opened).convert("RGB")
        except (OSError, UnidentifiedImageError, io.UnsupportedOperation) as error:
            raise PictureError("That file is not a picture.") from error
        if self._crop is not None:
            side = max(1, int(min(picture.size) * self._crop))
            picture = vision.center_crop(picture, [side, side])
        size = [self._size, self._size]
        picture = vision.resize(picture, size, vision.InterpolationMode.BICUBIC)
        pixels = vision.normalize(vision.to_tensor(picture), MEAN, STD)
        return pixels.unsqueeze(0)
