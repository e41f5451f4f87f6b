"""Dishes that a model learns afterwards, from a few photos' features.

The file carries what it learned from as numbers. A new dish's photos join them, and one
more head is fitted to all: the lesson's strict one, in which every dish counts alike. A
picture is named as a taught dish if that dish **leads**, its logit being the largest;
and if its lead over the next dish and its **likeness** to the dish's own photos, on the
scale of the model's own dishes, come to enough together: see `needed`.

FoodVision Pocket does the same in JavaScript (`head.js`); tests hold it to this file.
It saves what it was taught as JSON: names, and of each photo the features, rounded to 8
bits. Visitors send that file, so nothing in it is believed before it is checked.
"""

import base64
import json
import math
import tomllib
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch.nn import functional as F

from going_modular.export import round_columns
from going_modular.files import LessonError, atomic_write, file_sha256
from going_modular.gate import fit_softmax, middle_and_width, signed_sqrt
from going_modular.stored_features import StoredFeatures
from pocket.model_file import ReferenceFeatures, read_known

RULES = tomllib.loads(Path(__file__).with_name("taught_rules.toml").read_text("utf-8"))
MOST = RULES["most"]
NEAREST = 3  # photos of a dish that likeness is the mean over
# Chosen on training photos of five dishes, 20 to learn from and 130 to ask about.
MARGIN = 0.25


def needed(dishes: int) -> float:
    """What lead and likeness must come to: a stranger can be taken for any dish."""
    return MARGIN * (1 + math.log2(dishes))


def likeness_to(unit: torch.Tensor, photos: torch.Tensor) -> torch.Tensor:
    """Mean cosine (M,) of unit rows (M, D) to their nearest among photos (n, D)."""
    return (unit @ photos.T).topk(min(NEAREST, len(photos)), dim=1).values.mean(dim=1)


def own_likeness(known: ReferenceFeatures, count: int) -> tuple[float, float]:
    """How like `count` photos of its own kind, evenly spread, a training photo is.

    At most half of a class are compared with; mean and standard deviation of the rest.
    """
    scores = []
    for rows in known.features.split(known.counts):
        if compared := min(count, len(rows) // 2):
            chosen = torch.tensor([n * len(rows) // compared for n in range(compared)])
            others = torch.ones(len(rows), dtype=torch.bool)
            others[chosen] = False
            scores.append(likeness_to(rows[others], rows[chosen]))
    return middle_and_width(torch.cat(scores)) if scores else (0.0, 1.0)


class TaughtHead:
    """Knows a model's own dishes and taught ones, by their photos' features (n, D)."""

    def __init__(self, known: ReferenceFeatures, dishes: Mapping[str, torch.Tensor]):
        self.names = [*known.class_names, *dishes]  # the model's own come first
        self.own = len(known.class_names)
        self.photos = [F.normalize(rows, dim=1) for rows in dishes.values()]
        self.scales = [own_likeness(known, len(rows)) for rows in self.photos]
        rows = signed_sqrt(torch.cat([known.features, *self.photos]))
        counts = torch.tensor([len(photos) for photos in self.photos])
        numbers = torch.arange(self.own, len(self.names)).repeat_interleave(counts)
        labels = torch.cat([known.labels, numbers])
        self.head = fit_softmax(rows, labels, scale_by=signed_sqrt(known.features))

    def logits(self, features: torch.Tensor) -> torch.Tensor:
        """Of all classes, (M, C + T), for features (M, D)."""
        return self.head(signed_sqrt(F.normalize(features, dim=1)))

    def judge(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Each taught dish's lead and likeness, both (M, T), for features (M, D)."""
        logits, unit = self.logits(features), F.normalize(features, dim=1)
        leads, likeness = [], []
        scaled = zip(self.photos, self.scales, strict=True)
        for number, (photos, (middle, width)) in enumerate(scaled, start=self.own):
            rivals = [name != self.names[number] for name in self.names]
            leads.append(logits[:, number] - logits[:, rivals].amax(dim=1))
            likeness.append((likeness_to(unit, photos) - middle) / width)
        return torch.stack(leads, dim=1), torch.stack(likeness, dim=1)

    def find(self, features: torch.Tensor) -> torch.Tensor:
        """The number of the taught dish that each of M pictures shows, or -1, (M,)."""
        leads, likeness = self.judge(features)
        best = (leads + likeness).masked_fill(leads < 0, -torch.inf).max(dim=1)
        return best.indices.masked_fill(best.values < needed(len(self.photos)), -1)


def taught_table(
    known: ReferenceFeatures,
    others: StoredFeatures,
    *,
    ours: torch.Tensor,
    right: torch.Tensor,
    photos: Sequence[int] = (3, 5, 10, 20),
    runs: int = 2,
) -> pd.DataFrame:
    """Teach each of the other dishes alone, from few photos and from more, and ask.

    `ours` are features of our own test pictures, (N, D); `right` says which of those
    the model named rightly before, and let through, (N,). Each dish is taught from so
    many `photos`, `runs` times. Returns a row for each number, means over all.
    """
    generator = torch.Generator().manual_seed(42)
    rows = {0: ("", "", f"{int(right.sum())} of {len(ours)}")}
    for count in photos if others.names else ():
        trials = []
        for dish in runs * others.names:
            alone = others.without(*(name for name in others.names if name != dish))
            features = alone.train.tensors[0]
            order = torch.randperm(len(features), generator=generator)
            head = TaughtHead(known, {dish: features[order[:count]]})
            sent = others.test_of(dish), others.without(dish).test.tensors[0]
            shares = [(head.find(asked) == 0).float().mean().item() for asked in sent]
            trials.append([*shares, ((head.find(ours) == -1) & right).sum().item()])
        named, mistaken, still = torch.tensor(trials, dtype=torch.double).mean(dim=0)
        rows[count] = f"{named:.0%}", f"{mistaken:.1%}", f"{still:.1f} of {len(ours)}"
    columns = ["the dish named", "other dishes called it", "ours still right"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    return table.rename_axis("photos")


class TaughtError(LessonError):
    """A file of taught dishes that cannot be used; says why."""


def read_taught(file: Path, *, model_file: Path) -> dict[str, torch.Tensor]:
    """Read features of each dish's photos, float32, (n, D), by its name.

    A name that is one of the model's, in whatever letters, is spelled as the model
    spells it; dishes with the same name are one. If it is no such file, is damaged, or
    belongs to another model than `model_file`, that is a TaughtError.
    """
    file = Path(file)
    content = _parse(file)
    if content.get("model") != file_sha256(model_file):
        raise TaughtError(
            f"{file.name} was taught to another model, whose numbers mean nothing to "
            f"{Path(model_file).name}. Serve this model's page, and teach that."
        )
    if (known := read_known(model_file)) is None:
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
    if len(base64.b64decode(photo.get("picture", ""), validate=True)) > MOST["picture"]:
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
