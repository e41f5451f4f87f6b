"""Turn a picture into an answer: all an app needs, without PyTorch or Gradio."""

import json
import os
import re
import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # else the import reports to its makers
import onnxruntime

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "PPM")
# How files begin, one character a byte. The browser demo goes by the same patterns.
HEIC_START = "....ftyp(heic|heix|hevc|mif1|msf1)"  # some phones' photos: not for Pillow
PICTURE_START = "\xff\xd8\xff|\x89PNG|GIF8|RIFF....WEBP|....ftypavif|BM....\0\0\0\0"
ENOUGH = 336  # pixels of the shorter side; no network of the lesson looks at over 288
MAX_PIXELS = 64_000_000  # once decoded; a 48-megapixel phone photo fits
# What an answer can be: one of the model's dishes, food of another kind, or no food.
DISH, OTHER, NO_PLATE = "dish", "another dish", "no plate"
OUTPUTS = [
    "probabilities",
    "knn_similarity",
    "in_distribution_score",
]  # of the model file
SEND = "Please send a JPEG, PNG or WebP photo"
SENTENCES = {
    "empty": f"That file is empty. {SEND}.",
    "heic": f"HEIC photos cannot be read here. {SEND}.",
    "no picture": f"That file is not a picture. {SEND}.",
    "too large": f"That picture is too large. {SEND} of at most "
    f"{MAX_PIXELS // 1_000_000} megapixels.",
    "damaged": f"That picture is damaged or incomplete. {SEND}.",
}


def spoken(name: str) -> str:
    """A class name as people read it: "apple_pie" is "apple pie"."""
    return name.replace("_", " ")


class PictureError(ValueError):
    """A picture that cannot be used. Its message is meant for the visitor."""


def open_picture(source: str | Path | BinaryIO) -> np.ndarray:
    """Read any picture a visitor may send.

    Args:
        source: A file's path, or a file opened for reading bytes.

    Returns:
        Upright RGB, uint8, shape (H, W, 3). A large picture is made smaller by a whole
        factor; its shorter side keeps at least `ENOUGH` pixels.

    Raises:
        PictureError: If it is empty, broken, too large or not a picture.
    """
    is_path = isinstance(source, str | Path)
    with open(source, "rb") if is_path else nullcontext(source) as file:
        head = file.read(16).decode("latin-1")
        file.seek(0)
        if not head:
            raise PictureError(SENTENCES["empty"])
        if re.match(HEIC_START, head, re.DOTALL):
            raise PictureError(SENTENCES["heic"])
        try:
            with Image.open(file, formats=FORMATS) as image:
                return np.asarray(to_upright_rgb(image))
        except Image.UnidentifiedImageError as error:
            begun = re.match(PICTURE_START, head, re.DOTALL)
            reason = "damaged" if begun else "no picture"
            raise PictureError(SENTENCES[reason]) from error
        except (Image.DecompressionBombError, MemoryError) as error:
            raise PictureError(SENTENCES["too large"]) from error
        except Exception as error:  # decoders fail in many ways on a broken file
            raise PictureError(SENTENCES["damaged"]) from error


def to_upright_rgb(image: Image.Image) -> Image.Image:
    """Shrink, turn as EXIF says, and put transparent parts on white."""
    image.draft(None, (ENOUGH, ENOUGH))  # JPEG: decodes at 1/2, 1/4 or 1/8
    if image.width * image.height > MAX_PIXELS:
        raise Image.DecompressionBombError
    ImageOps.exif_transpose(image, in_place=True)  # does not copy an upright one
    if image.mode.startswith(("I", "F")):  # 16-bit grey, or a TIFF of any numbers
        values = np.nan_to_num(np.asarray(image, np.float32), posinf=0, neginf=0)
        top = 65535 if image.mode.startswith("I") else max(values.max(), 1e-6)
        image = Image.fromarray((values.clip(0, top) / top * 255).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    if image.mode != "RGB":  # for which `convert` would only copy
        image = image.convert("RGB")
    factor = min(image.size) // ENOUGH
    return image.reduce(factor) if factor > 1 else image


@dataclass(frozen=True)
class ModelMetadata:
    """What a model file says about itself; the fields are the keys of its metadata.

    Attributes:
        name: Of the demo, in file names: "foodvision_mini".
        title: The same for people: "FoodVision Mini".
        class_names: In the order of the probabilities.
        knn_similarity_threshold: Below it, a picture is no plate that the model knows.
        in_distribution_threshold: Below it, the plate holds another dish.
        temperature: What the logits are divided by, so that probabilities are worth
            what they say.
        calibration: Expected calibration error "before" and "after" that division,
            and on how many held-out "pictures".
        gate: What the thresholds were "made_with" and "judged_on", in words, and who
            was turned away, as [how many, of how many]: "near" by dish, "far", "ours".
        reference_counts: How many training pictures of each class knn_similarity
            compares with; the file carries their features, class after class.
        contender: The network's name.
        input_size: Height and width in pixels that the network looks at.
        precision: Of the convolutions' weights: "fp32" or "int8".
        trained_on: What and how many, for people.
        is_practice: Whether those were drawn.
        test_result: How many test pictures it named rightly: "correct" of "total".
        made_with: Versions of the packages that wrote the file.
    """

    name: str
    title: str
    class_names: list[str]
    knn_similarity_threshold: float
    in_distribution_threshold: float
    temperature: float
    calibration: dict[str, float]
    gate: dict
    reference_counts: list[int]
    contender: str
    input_size: int
    precision: str
    trained_on: str
    is_practice: bool
    test_result: dict[str, int]
    made_with: dict[str, str]

    def __post_init__(self) -> None:
        names, result = self.class_names, self.test_result
        if not isinstance(names, list) or not len(set(names)) == len(names) >= 2:
            raise ValueError("class_names must be at least two different names")
        if not 0 <= result["correct"] <= result["total"]:
            raise ValueError("test_result must not count more right than there are")
        if len(self.reference_counts) != len(names):
            raise ValueError("reference_counts must be one count a class")
        if not isinstance(self.is_practice, bool):
            raise ValueError("is_practice must be true or false")
        for name in (
            "knn_similarity_threshold",
            "in_distribution_threshold",
            "temperature",
        ):
            if not isinstance(getattr(self, name), float | int):
                raise ValueError(f"{name} must be a number")

    def judge(self, knn_similarity: float, in_distribution_score: float) -> str:
        """What kind of picture this is: `DISH`, `OTHER` or `NO_PLATE`."""
        if knn_similarity < self.knn_similarity_threshold:
            return NO_PLATE
        return (
            DISH if in_distribution_score >= self.in_distribution_threshold else OTHER
        )

    def answer(
        self,
        probabilities: list[float],
        knn_similarity: float,
        in_distribution_score: float,
        *,
        seconds: float = 0.0,
    ) -> "Answer":
        """Say what a model's outputs for one picture mean; `Answer` explains them."""
        named = zip(self.class_names, probabilities, strict=True)
        return Answer(
            probabilities=dict(sorted(named, key=lambda pair: -pair[1])),
            knn_similarity=knn_similarity,
            in_distribution_score=in_distribution_score,
            verdict=self.judge(knn_similarity, in_distribution_score),
            seconds=seconds,
        )

    @classmethod
    def from_metadata(cls, texts: Mapping[str, str]) -> "ModelMetadata":
        """Read it from a file's metadata.

        Raises:
            KeyError, TypeError, ValueError: If a key is missing or makes no sense.
        """
        return cls(
            **{
                field.name: texts[field.name]
                if field.type is str
                else json.loads(texts[field.name])
                for field in fields(cls)
            }
        )

    def to_metadata(self) -> dict[str, str]:
        """Write it as metadata: texts as they are, all else as JSON."""
        return {
            key: value if isinstance(value, str) else json.dumps(value)
            for key, value in asdict(self).items()
        }


@dataclass(frozen=True)
class Answer:
    """What the model says about one picture.

    Attributes:
        probabilities: One per class, adding up to 1, likeliest first.
        knn_similarity: Likeness to the training pictures, at most 1.
        in_distribution_score: How much more this looks like one of the model's dishes
            than like any other dish, in [0, 1].
        verdict: `DISH`, `OTHER` or `NO_PLATE`.
        seconds: From opening the picture to this answer.
    """

    probabilities: dict[str, float]
    knn_similarity: float
    in_distribution_score: float
    verdict: str
    seconds: float

    @property
    def best(self) -> tuple[str, float]:
        """The likeliest class and its probability."""
        return next(iter(self.probabilities.items()))

    @property
    def text(self) -> str:
        """What a visitor reads, in two lines: the verdict, and how sure it is."""
        name, probability = spoken(self.best[0]), self.best[1]
        sure = "more than 99%" if probability > 0.99 else f"{probability:.0%}"
        if self.verdict == DISH:
            return f"This looks like {name}.\nThe model is {sure} sure."
        verdict = "This does not look like a plate of food."
        if self.verdict == OTHER:
            verdict = "I think this is another dish."
        return f"{verdict}\nClosest of the dishes I know: {name} ({sure})."


def find_model(folder: Path) -> Path:
    """The model file of an app's folder: the only one that ends in .onnx.

    Raises:
        FileNotFoundError: If there is none, or more than one.
    """
    found = sorted(Path(folder).glob("*.onnx"))
    if len(found) == 1:
        return found[0]
    names = ", ".join(file.name for file in found)
    advice = f"{names}: keep one" if found else "none: run the lesson to make it"
    raise FileNotFoundError(f"{folder} should hold one model, but has {advice}.")


class Predictor:
    """A model file, ready to answer.

    Args:
        model_path: The ONNX file.
        threads: How many may work on one answer; None lets ONNX Runtime choose.

    Attributes:
        about: What the file says about itself.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is not a model made by the lesson.
    """

    def __init__(self, model_path: str | Path, *, threads: int | None = None) -> None:
        path = Path(model_path)
        if not path.is_file():
            raise FileNotFoundError(f"No model at {path}: run the lesson to make it.")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0  # 0: ONNX Runtime chooses
        try:
            self._session = onnxruntime.InferenceSession(path, options)
        except Exception as error:  # ONNX Runtime's errors have no base of their own
            hint = "If it is a Git LFS pointer, run: git lfs pull"
            raise ValueError(f"{path.name} is not an ONNX file. {hint}") from error
        texts = self._session.get_modelmeta().custom_metadata_map
        try:
            self.about = ModelMetadata.from_metadata(texts)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{path.name}: unusable metadata: {error!r}. Run the lesson to make "
                "the file anew."
            ) from error
        # A session's first answer takes longest: better now than for a visitor.
        self.predict(np.zeros((384, 512, 3), np.uint8))

    def predict(self, picture: str | Path | BinaryIO | np.ndarray) -> Answer:
        """Answer for one picture: a file, or pixels from `open_picture`.

        Raises:
            PictureError: If the file is not a usable picture.
        """
        start = time.perf_counter()
        pixels = picture if isinstance(picture, np.ndarray) else open_picture(picture)
        outputs = self._session.run(OUTPUTS, {"picture": pixels})
        scores = [output.tolist() for output in outputs]
        return self.about.answer(*scores, seconds=time.perf_counter() - start)
