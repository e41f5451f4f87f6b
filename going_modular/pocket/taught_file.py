"""The file in which FoodVision Pocket saves what it was taught, read and written here.

It is JSON: names, and of each photo the features, rounded to 8 bits. Visitors send it,
so nothing in it is believed before it is checked; only numbers and names are read.
"""

import base64
import json
import math
import unicodedata
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from going_modular.files import LessonError, atomic_write, file_sha256
from going_modular.pocket.carried import read_known
from going_modular.quantize import round_columns

FORMAT, VERSION = "FoodVision taught dishes", 1
MOST_BYTES, MOST_PHOTOS, LONGEST_NAME = 64_000_000, 400, 40


class TaughtError(LessonError):
    """A file of taught dishes that cannot be used; says why."""


def read_taught(file: Path, *, model_file: Path) -> dict[str, torch.Tensor]:
    """Read the dishes that a page was taught.

    Args:
        file: Saved by the page.
        model_file: The model that the page ran; features of another one are refused.

    Returns:
        Features of each dish's photos, float32, (n, D), by its name.

    Raises:
        TaughtError: If it is no such file, is damaged, or belongs to another model.
    """
    content, file = _parse(Path(file)), Path(file)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise TaughtError(f"{file.name} holds no taught dishes: save it in the page.")
    if content.get("version") != VERSION:
        raise TaughtError(f"{file.name} is from a newer page: update the course.")
    if content.get("model") != file_sha256(model_file):
        raise TaughtError(
            f"{file.name} was taught to another model, whose numbers mean nothing to "
            f"{Path(model_file).name}. Serve this model's page, and teach that."
        )
    known = read_known(model_file)
    if known is None:
        raise TaughtError(f"{Path(model_file).name} carries nothing to learn with.")
    dimensions = known.rounded.shape[1]
    try:
        return dict(_dish(each, dimensions) for each in content["dishes"])
    except (KeyError, TypeError, ValueError) as error:
        raise TaughtError(
            f"{file.name} is damaged ({error}): save it once more in the page."
        ) from error


def _parse(file: Path) -> object:
    if not file.is_file():
        raise TaughtError(f"There is no {file}: save it in the page first.")
    if file.stat().st_size > MOST_BYTES:
        raise TaughtError(f"{file.name} is too large to hold taught dishes.")
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise TaughtError(f"{file.name} holds no taught dishes: no JSON.") from error


def _dish(dish: dict, dimensions: int) -> tuple[str, torch.Tensor]:
    name, photos = clean_name(dish["name"]), dish["photos"]
    if not name or not 1 <= len(photos) <= MOST_PHOTOS:
        raise ValueError("a dish without a name, without photos, or with too many")
    return name, torch.stack([_features(photo, dimensions) for photo in photos])


def clean_name(name: str) -> str:
    """A name fit to be shown: no control characters, single spaces, not long."""
    if not isinstance(name, str):
        raise TypeError("a name that is no text")
    plain = unicodedata.normalize("NFC", name)
    kept = [" " if unicodedata.category(c)[0] in "CZ" else c for c in plain]
    return " ".join("".join(kept).split())[:LONGEST_NAME].strip()


def _features(photo: dict, dimensions: int) -> torch.Tensor:
    content, scale = base64.b64decode(photo["features"], validate=True), photo["scale"]
    if len(content) != dimensions or not any(content):
        raise ValueError(f"a photo that has no {dimensions} features")
    if not isinstance(scale, int | float) or not 0 < scale < math.inf:
        raise ValueError("a scale that is no positive number")
    return torch.from_numpy(np.frombuffer(content, np.int8) * np.float32(scale))


def write_taught(
    file: Path, dishes: Mapping[str, torch.Tensor], *, model_file: Path
) -> Path:
    """Write dishes as the page does, all or nothing.

    Args:
        file: Where it goes.
        dishes: Features of each dish's photos, (n, D), by its name.
        model_file: The model that made them.

    Raises:
        FileError: If it cannot be written.
    """
    written = [
        {"name": name, "photos": _rounded(rows)} for name, rows in dishes.items()
    ]
    content = {
        "format": FORMAT,
        "version": VERSION,
        "model": file_sha256(model_file),
        "dimensions": next(iter(dishes.values())).shape[1],
        "dishes": written,
    }
    with atomic_write(file) as part:
        part.write_text(json.dumps(content), encoding="utf-8")
    return Path(file)


def _rounded(rows: torch.Tensor) -> list[dict]:
    integers, scales = round_columns(rows.numpy().T)
    return [
        {"features": base64.b64encode(content.tobytes()).decode(), "scale": scale}
        for content, scale in zip(integers.T, scales.tolist(), strict=True)
    ]
