"""Turn a picture into an answer: all an app needs, without PyTorch or Gradio."""

import io
import json
import os
import re
import time
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pi_heif
from PIL import Image, ImageCms, PngImagePlugin

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # else the import reports to its makers
import onnxruntime

PNG_START = b"\x89PNG\r\n\x1a\n"
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF", "PPM")
# What the browser demo goes by, too: limits, how files begin (a character a byte), and
# what is said. Who translates the app translates that file.
CONTRACT = json.loads(Path(__file__).with_name("contract.json").read_text("utf-8"))
RULES = CONTRACT["pictures"]
SHOWN = tuple(RULES["shown"])  # how names of pictures end that browsers show
KINDS = (*SHOWN, *RULES["others"])  # in any case
STARTS, SENTENCES = RULES["starts"], RULES["sentences"]
READ_HERE = ("HEIC", "TIFF", "PPM")  # which browsers often cannot
BESIDE_PIXELS = (b"iCCP", b"eXIf", b"tRNS")  # of a PNG: profile, turn, transparency
TURNS = {  # EXIF's orientation, and what brings such a picture upright
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
ENOUGH = RULES["enough"]  # pixels of the shorter side; no network looks at over 288
MAX_PIXELS = RULES["max_pixels"]  # once decoded; a 48-megapixel phone photo fits
# What an answer can be: one of the model's dishes, food of another kind, or no food.
DISH, OTHER, NO_PLATE = "dish", "another dish", "no plate"
OUTPUTS = ["probabilities", "knn_similarity", "in_distribution_score"]  # the file's
CPUS = len(getattr(os, "sched_getaffinity", lambda _: [0] * (os.cpu_count() or 1))(0))


def spoken(name: str) -> str:
    """A class name as people read it: "apple_pie" is "apple pie"."""
    return name.replace("_", " ")


def percent(probability: float) -> str:
    """Put it into words: nothing is called certain, and nothing impossible."""
    if probability > 0.99:
        return CONTRACT["sure"]["most"]
    is_least = probability < 0.01
    return CONTRACT["sure"]["least"] if is_least else f"{int(100 * probability + 0.5)}%"


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
    content = Path(source).read_bytes() if is_path else source.read()
    if not content:
        raise PictureError(SENTENCES["empty"])
    try:
        with Image.open(as_pillow_wants(content), formats=FORMATS) as image:
            return np.asarray(to_upright_rgb(image))
    except Image.UnidentifiedImageError as error:
        raise PictureError(SENTENCES[why_not(content)]) from error
    except (Image.DecompressionBombError, MemoryError) as error:
        raise PictureError(SENTENCES["too large"]) from error
    except Exception as error:  # decoders fail in many ways on a broken file
        raise PictureError(SENTENCES["damaged"]) from error


def why_not(content: bytes) -> str:
    """Why a file is no picture here, as far as its first bytes tell: of `SENTENCES`."""
    head = content[:500].decode("latin-1")
    for why, start in STARTS.items():
        if re.match(start, head, re.DOTALL):
            return "damaged" if why in READ_HERE else why
    return "no picture"


def as_pillow_wants(content: bytes) -> io.BytesIO:
    """A picture file without what would keep Pillow from its pixels."""
    pi_heif.register_heif_opener()  # here: Ray's workers do not import this module
    PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY  # of a profile
    if content[:8] == PNG_START:
        content = only_pixels(content)
    length = int.from_bytes(content[:4])
    if content[4:8] == b"ftyp" and b"avif" in content[8 : min(length, 256)]:
        content = content[:8] + b"avif" + content[12:]  # the first of its brands
    return io.BytesIO(content)


def only_pixels(png: bytes) -> bytes:
    """A PNG's pixels, and beside them a profile, a turn and transparency that hold."""
    kept, at = [png[:8]], 8
    while at + 8 <= len(png):
        end = at + 12 + int.from_bytes(png[at : at + 4])
        is_needed = not png[at + 4] & 32  # a capital letter: no picture without it
        if is_needed or _holds(png[at + 4 : end], colours=png[25]):
            kept.append(png[at:end])
        at = end
    return b"".join(kept)


def _holds(chunk: bytes, *, colours: int) -> bool:
    """Whether something beside a PNG's pixels is of use, and whole."""
    name, data, checksum = chunk[:4], chunk[4:-4], int.from_bytes(chunk[-4:])
    if name not in BESIDE_PIXELS or zlib.crc32(chunk[:-4]) != checksum:
        return False
    if name == b"tRNS":
        return len(data) == {0: 2, 2: 6}.get(colours, len(data))
    try:  # a profile: a title, a zero, the method (always zero), and what is packed
        return name != b"iCCP" or bool(zlib.decompress(data.partition(b"\0\0")[2]))
    except zlib.error:
        return False


def turn_of(image: Image.Image) -> Image.Transpose | None:
    """What EXIF says, as browsers read it: nothing else tells a turn."""
    for note in ("xmp", "XML:com.adobe.xmp"):
        image.info.pop(note, None)
    try:
        return Image.Transpose[TURNS[image.getexif()[0x0112]]]
    except Exception:  # noqa: BLE001 - EXIF is beside the picture, and may be anything
        return None


def in_srgb(image: Image.Image) -> Image.Image:
    """A picture in the colours of screens, whatever its profile says they are."""
    profile = image.info.get("icc_profile")
    if not profile or image.mode not in ("RGB", "RGBA", "L", "CMYK"):
        return image
    try:
        own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if ImageCms.getProfileDescription(own).startswith("sRGB"):
            return image
        mode = "RGBA" if image.mode == "RGBA" else "RGB"
        srgb = ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, own, srgb, outputMode=mode)
    except (OSError, ImageCms.PyCMSError):  # no profile, or not of such a picture
        return image


def to_upright_rgb(image: Image.Image) -> Image.Image:
    """Shrink, turn as EXIF says, and put transparent parts on white, in sRGB."""
    image.draft(None, (ENOUGH, ENOUGH))  # JPEG: decodes at 1/2, 1/4 or 1/8
    if image.width * image.height > MAX_PIXELS:
        raise Image.DecompressionBombError
    image.load()
    turn = turn_of(image)
    if image.mode.startswith(("I", "F")):  # 16-bit grey, or a TIFF of any numbers
        values = np.nan_to_num(np.asarray(image, np.float32), posinf=0, neginf=0)
        top = 65535 if image.mode.startswith("I") else max(values.max(), 1e-6)
        image = Image.fromarray((values.clip(0, top) / top * 255).astype(np.uint8))
    image = in_srgb(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    if image.mode != "RGB":  # for which `convert` would only copy
        image = image.convert("RGB")
    if (factor := min(image.size) // ENOUGH) > 1:
        image = image.reduce(factor)
    return image if turn is None else image.transpose(turn)


@dataclass(frozen=True)
class ModelMetadata:
    """What a model file says about itself; the fields are the keys of its metadata."""

    name: str  # of the demo, in file names: "foodvision_mini"
    title: str  # the same for people: "FoodVision Mini"
    class_names: list[str]  # in the order of the probabilities
    knn_similarity_threshold: float  # below it: no plate that the model knows
    in_distribution_threshold: float  # below it: the plate holds another dish
    temperature: float  # what the logits are divided by
    calibration: dict[str, float]  # the error "before" and "after", on "pictures"
    # What the thresholds were "made_with" and "judged_on", in words, and who was turned
    # away, as [how many, of how many]: "near" by dish, "far", "ours".
    gate: dict
    reference_counts: list[int]  # of each class, that knn_similarity compares with
    contender: str  # the network's name
    input_size: int  # height and width in pixels that the network looks at
    precision: str  # of the convolutions' weights: "fp32" or "int8"
    trained_on: str  # what and how many, for people
    is_practice: bool  # whether those were drawn
    test_result: dict[str, int]  # test pictures named rightly: "correct" of "total"
    made_with: dict[str, str]  # versions of the packages that wrote the file

    def __post_init__(self) -> None:
        names, result = self.class_names, self.test_result
        if not isinstance(names, list) or not len(set(names)) == len(names) >= 2:
            raise ValueError("class_names must be at least two different names")
        if not 0 <= result["correct"] <= result["total"]:
            raise ValueError("test_result must not count more right than there are")
        if len(self.reference_counts) != len(names):
            raise ValueError("reference_counts must be one count a class")
        kinds = {bool: bool, float: float | int}
        for field in fields(self):
            if not isinstance(getattr(self, field.name), kinds.get(field.type, object)):
                raise ValueError(f"{field.name} must be a {field.type.__name__}")

    def judge(self, knn_similarity: float, in_distribution_score: float) -> str:
        """What kind of picture this is: `DISH`, `OTHER` or `NO_PLATE`."""
        if knn_similarity < self.knn_similarity_threshold:
            return NO_PLATE
        is_dish = in_distribution_score >= self.in_distribution_threshold
        return DISH if is_dish else OTHER

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
        ranked = dict(sorted(named, key=lambda pair: -pair[1]))
        scores = knn_similarity, in_distribution_score
        return Answer(ranked, *scores, self.judge(*scores), seconds)

    @classmethod
    def from_metadata(cls, texts: Mapping[str, str]) -> "ModelMetadata":
        """Read it from a file's metadata; a Key-, Type- or ValueError if it is odd."""
        found = [(field, texts[field.name]) for field in fields(cls)]
        return cls(**{f.name: t if f.type is str else json.loads(t) for f, t in found})

    def to_metadata(self) -> dict[str, str]:
        """Write it as metadata: texts as they are, all else as JSON."""
        own = asdict(self).items()
        return {k: v if isinstance(v, str) else json.dumps(v) for k, v in own}


@dataclass(frozen=True)
class Answer:
    """What the model says about one picture."""

    probabilities: dict[str, float]  # by class, adding up to 1, likeliest first
    knn_similarity: float  # likeness to the training pictures, at most 1
    in_distribution_score: float  # to one of the dishes, not to any other, in [0, 1]
    verdict: str  # `DISH`, `OTHER` or `NO_PLATE`
    seconds: float  # from opening the picture to this answer

    @property
    def best(self) -> tuple[str, float]:
        """The likeliest class and its probability."""
        return next(iter(self.probabilities.items()))

    @property
    def text(self) -> str:
        """What a visitor reads, in two lines: the verdict, and how sure it is."""
        name, probability = self.best
        lines = "\n".join(CONTRACT["verdicts"][self.verdict])
        return lines.format(name=spoken(name), sure=percent(probability))


def find_model(folder: Path) -> Path:
    """The model file of an app's folder: the only one that ends in .onnx."""
    found = sorted(Path(folder).glob("*.onnx"))
    if len(found) == 1:
        return found[0]
    names = ", ".join(file.name for file in found)
    advice = f"{names}: keep one" if found else "none: run the lesson to make it"
    raise FileNotFoundError(f"{folder} should hold one model, but has {advice}.")


def why_no_model(start: bytes) -> str:
    """What a file is that cannot be used as a model, from its first bytes."""
    if start.startswith(b"\x08"):  # as the lesson's files do
        return "may be incomplete, or not for this ONNX Runtime"
    if start.startswith(b"version https://git-lfs"):
        return "is a Git LFS pointer: run git lfs pull"
    return "is not an ONNX file" if start else "is empty"


class Predictor:
    """A model file, ready to answer; `about` has what the file says about itself.

    `threads` may work on one answer; None means one a CPU. An OSError tells of a file
    that cannot be read, a ValueError of one that is no model made by the lesson.
    """

    def __init__(self, model_path: str | Path, *, threads: int | None = None) -> None:
        path, options = Path(model_path), onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or CPUS  # 0 would ask for others, too
        try:
            with path.open("rb") as file:
                start = file.read(40)
            self._session = onnxruntime.InferenceSession(path, options)
        except OSError as error:
            is_missing = isinstance(error, FileNotFoundError)
            why = "run the lesson to make it" if is_missing else error.strerror
            raise type(error)(f"No model can be read at {path}: {why}.") from error
        except Exception as error:  # ONNX Runtime's errors have no base of their own
            raise ValueError(f"{path.name} {why_no_model(start)}. {error}") from error
        texts = self._session.get_modelmeta().custom_metadata_map
        try:
            self.about = ModelMetadata.from_metadata(texts)
        except (KeyError, TypeError, ValueError) as error:
            why = f"unusable metadata: {error!r}. Run the lesson to make the file anew."
            raise ValueError(f"{path.name}: {why}") from error
        # A session's first answer takes longest: better now than for a visitor.
        self.predict(np.zeros((384, 512, 3), np.uint8))

    def predict(self, picture: str | Path | BinaryIO | np.ndarray) -> Answer:
        """Answer for one picture: a file, or pixels from `open_picture`.

        Raises:
            PictureError: If the file is not a usable picture.
        """
        start = time.perf_counter()
        pixels = picture if isinstance(picture, np.ndarray) else open_picture(picture)
        scores = [o.tolist() for o in self._session.run(OUTPUTS, {"picture": pixels})]
        return self.about.answer(*scores, seconds=time.perf_counter() - start)
