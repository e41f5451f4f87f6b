"""The file in which FoodVision Pocket saves what it was taught, read and written here.

It is JSON: names, and of each photo the features, rounded to 8 bits. Visitors send it,
so nothing in it is believed before it is checked; only numbers and names are read.
"""

import base64
import json
import tomllib
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from going_modular.files import LessonError, atomic_write, file_sha256
from going_modular.quantize import round_columns
from pocket.model_file import read_known

RULES = tomllib.loads(Path(__file__).with_name("taught_rules.toml").read_text("utf-8"))
MOST = RULES["most"]


class TaughtError(LessonError):
    """A file of taught dishes that cannot be used; says why."""


def read_taught(file: Path, *, model_file: Path) -> dict[str, torch.Tensor]:
    """Read features of each dish's photos, float32, (n, D), by its name.

    A name that is one of the model's, in whatever letters, is spelled as the model
    spells it; dishes with the same name are one. The page that saved the file ran
    `model_file`: features of another model are refused.

    Raises:
        TaughtError: If it is no such file, is damaged, or belongs to another model.
    """
    file = Path(file)
    content = _parse(file)
    if content.get("model") != file_sha256(model_file):
        raise TaughtError(
            f"{file.name} was taught to another model, whose numbers mean nothing to "
            f"{Path(model_file).name}. Serve this model's page, and teach that."
        )
    known = read_known(model_file)
    if known is None:
        raise TaughtError(f"{Path(model_file).name} carries nothing to learn with.")
    spelling = {name.lower(): name for name in known.class_names}
    joined: dict[str, list[torch.Tensor]] = {}
    try:
        for dish in content["dishes"]:
            name, photos = clean_name(dish["name"]), dish["photos"]
            if not name or not isinstance(photos, list) or not photos:
                raise ValueError("a dish without a name or without photos")
            rows = [_features(photo, known.rounded.shape[1]) for photo in photos]
            # Upper and lower case make no difference to people.
            joined.setdefault(spelling.setdefault(name.lower(), name), []).extend(rows)
        photos = sum(map(len, joined.values()))
        if len(content["dishes"]) > MOST["dishes"] or photos > MOST["photos"]:
            raise ValueError("too many dishes or photos")
    except (KeyError, TypeError, ValueError) as error:
        raise TaughtError(
            f"{file.name} is damaged ({error}): save it once more in the page."
        ) from error
    return {name: torch.stack(rows) for name, rows in joined.items()}


def _parse(file: Path) -> dict:
    if not file.is_file():
        raise TaughtError(f"There is no {file}: save it in the page first.")
    if file.stat().st_size > MOST["bytes"]:
        raise TaughtError(f"{file.name} is too large to hold taught dishes.")
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise TaughtError(f"{file.name} holds no taught dishes: no JSON.") from error
    if not isinstance(content, dict) or content.get("format") != RULES["format"]:
        raise TaughtError(f"{file.name} holds no taught dishes: save it in the page.")
    if content.get("version") != RULES["version"]:
        raise TaughtError(f"{file.name} is from a newer page: update the course.")
    return content


def clean_name(name: str) -> str:
    """A name fit to be shown: no control characters, single spaces, not long."""
    if not isinstance(name, str):
        raise TypeError("a name that is no text")
    plain = unicodedata.normalize("NFC", name)
    kept = [" " if unicodedata.category(c)[0] in "CZ" else c for c in plain]
    return " ".join("".join(kept).split())[: MOST["name"]].strip()


def _features(photo: dict, dimensions: int) -> torch.Tensor:
    content, scale = base64.b64decode(photo["features"], validate=True), photo["scale"]
    if len(content) != dimensions or not any(content):
        raise ValueError(f"a photo that has no {dimensions} features")
    if type(scale) not in (int, float) or not 0 < scale < MOST["scale"]:
        raise ValueError("a scale that is no small positive number")
    picture = base64.b64decode(photo.get("picture", ""), validate=True)
    if len(picture) > MOST["picture"]:
        raise ValueError("a picture that is not small")
    return torch.from_numpy(np.frombuffer(content, np.int8) * np.float32(scale))


def class_more(
    names: Sequence[str], dishes: Mapping[str, torch.Tensor]
) -> tuple[list[str], torch.Tensor]:
    """Classes for the next model, each once, and labels (N,) of dishes' N photos."""
    together = list(dict.fromkeys([*names, *dishes]))
    labels = [together.index(name) for name, rows in dishes.items() for _ in rows]
    return together, torch.tensor(labels, dtype=torch.long)


def write_taught(
    file: Path, dishes: Mapping[str, torch.Tensor], *, model_file: Path
) -> Path:
    """Write features (n, D) of dishes' photos as the page of a model does."""
    written = []
    for name, rows in dishes.items():
        integers, scales = round_columns(rows.numpy().T)
        texts = [base64.b64encode(column.tobytes()).decode() for column in integers.T]
        pairs = zip(texts, scales.tolist(), strict=True)
        photos = [{"features": text, "scale": scale} for text, scale in pairs]
        written.append({"name": name, "photos": photos})
    content = {key: RULES[key] for key in ("format", "version")}
    content |= {"model": file_sha256(model_file), "dimensions": len(integers)}
    with atomic_write(file) as part:
        part.write_text(json.dumps({**content, "dishes": written}), encoding="utf-8")
    return Path(file)
