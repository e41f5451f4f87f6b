"""Turn a picture into an answer: all the app needs, without PyTorch or Gradio."""

import json
import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "PPM")
ENOUGH = 336  # pixels of the shorter side; the network looks at 288 at most
MAX_PIXELS = 64_000_000  # once decoded; a 48-megapixel phone photo fits
SEND = "Please send a JPEG, PNG or WebP photo"


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
        head = file.read(12)
        file.seek(0)
        if not head:
            raise PictureError(f"That file is empty. {SEND}.")
        if head[4:] in (b"ftypheic", b"ftypheix", b"ftypmif1"):
            raise PictureError(f"HEIC photos cannot be read here. {SEND}.")
        try:
            with Image.open(file, formats=FORMATS) as image:
                return np.asarray(_to_upright_rgb(image))
        except Image.UnidentifiedImageError as error:
            raise PictureError(f"That file is not a picture. {SEND}.") from error
        except (Image.DecompressionBombError, MemoryError) as error:
            limit = f"{MAX_PIXELS // 1_000_000} megapixels"
            message = f"That picture is too large. {SEND} of at most {limit}."
            raise PictureError(message) from error
        except Exception as error:  # decoders fail in many ways on a broken file
            message = f"That picture is damaged or incomplete. {SEND}."
            raise PictureError(message) from error


def _to_upright_rgb(image: Image.Image) -> Image.Image:
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
class Answer:
    """What the model says about one picture.

    Attributes:
        probabilities: One per class, adding up to 1, likeliest first.
        familiarity: Likeness to the training pictures, at most 1.
        is_familiar: Whether that reaches the model's threshold.
        seconds: From opening the picture to this answer.
    """

    probabilities: dict[str, float]
    familiarity: float
    is_familiar: bool
    seconds: float


class Predictor:
    """The model file, and what it says about itself.

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
        try:
            self._read_metadata(self._session.get_modelmeta().custom_metadata_map)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path.name}: unusable metadata: {error!r}") from error
        # A session's first answer takes longest: better now than for a visitor.
        self.predict(np.zeros((384, 512, 3), np.uint8))

    def _read_metadata(self, about: dict[str, str]) -> None:
        self.class_names: list[str] = json.loads(about["class_names"])
        self.familiarity_threshold = float(about["familiarity_threshold"])
        self.contender = about["contender"]
        self.trained_on = about["trained_on"]
        self.is_practice = {"true": True, "false": False}[about["is_practice"]]
        self.test_result: dict[str, int] = json.loads(about["test_result"])
        if not len(set(self.class_names)) == len(self.class_names) >= 2:
            raise ValueError("class_names must be at least two different names")
        if not 0 <= self.test_result["correct"] <= self.test_result["total"]:
            raise ValueError("test_result must not count more right than there are")

    def predict(self, picture: str | Path | BinaryIO | np.ndarray) -> Answer:
        """Answer for one picture: a file, or pixels from `open_picture`.

        Raises:
            PictureError: If the file is not a usable picture.
        """
        start = time.perf_counter()
        pixels = picture if isinstance(picture, np.ndarray) else open_picture(picture)
        outputs = ["probabilities", "familiarity"]
        scores, familiarity = self._session.run(outputs, {"picture": pixels})
        named = zip(self.class_names, scores.tolist(), strict=True)
        return Answer(
            probabilities=dict(sorted(named, key=lambda pair: -pair[1])),
            familiarity=float(familiarity),
            is_familiar=bool(familiarity >= self.familiarity_threshold),
            seconds=time.perf_counter() - start,
        )
