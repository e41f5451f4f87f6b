"""FoodVision Big's dishes: features of many photos, kept so that no work is done twice.

A file's name is made from its photos' names and sizes and the network: a run that was
killed goes on where it was, and where a photo was replaced, its file is made anew.
"""

import hashlib
import json
import os
import time
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.data import TensorDataset

from going_modular import stored_features
from going_modular.app.model import spoken
from going_modular.big.food101 import DATA, choose_photos, find_tree, is_tree
from going_modular.datasets import SPLITS, Sample
from going_modular.files import LessonError, atomic_write, progress_bar
from going_modular.model_builder import Built
from going_modular.predictions import WARM_UP
from going_modular.stored_features import Extract, Extractor, StoredFeatures

CHUNK = 128  # photos of a file; a run that is killed loses fewer


def weights_fingerprint(built: Built) -> str:
    """A text that changes with any weight of the base and any step before it."""
    digest = hashlib.sha256(f"{built.preprocess}".encode())
    for part in (built.preprocess, built.model.base):
        for name, weights in part.state_dict().items():
            digest.update(name.encode())
            digest.update(weights.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def seconds_a_photo(extract: Extract, photos: Sequence[Path]) -> float:
    """What a photo costs from file to features, after a warm-up."""
    extract(photos[:WARM_UP])
    start = time.perf_counter()
    extract(photos)
    return (time.perf_counter() - start) / len(photos)


def in_chunks(rows: Sequence[int]) -> Iterator[Sequence[int]]:
    """As many rows at a time as are written together."""
    yield from (rows[first : first + CHUNK] for first in range(0, len(rows), CHUNK))


class Stored(NamedTuple):
    """All that a store holds, in the order of the photos."""

    features: TensorDataset  # (N, D), float32, and labels (N,)
    samples: list[Sample]  # the N photos and their labels
    skipped: dict[str, str]  # photos that could not be opened, and why


class FeatureStore:
    """The features of a list of photos, `width` of each, by one network.

    `network` is any text that changes with the network and its preparation: the stores
    of several may lie in one folder. A photo that is gone is a LessonError.
    """

    def __init__(self, folder: Path, samples: list, *, network: str, width: int):
        self.folder, self.samples, self.width = Path(folder), list(samples), width
        self.files = {}  # by their first rows
        for chunk in in_chunks([(_name(p), _size(p)) for p, _ in self.samples]):
            made_from = json.dumps([network, width, chunk])
            key = hashlib.sha256(made_from.encode()).hexdigest()
            first = CHUNK * len(self.files)
            self.files[first] = self.folder / f"features-{key[:16]}.npz"

    def missing(self) -> list[int]:
        """The rows still to be made, whole files of them."""
        chunks = in_chunks(range(len(self.samples)))
        return [row for rows in chunks if self._load(rows[0]) is None for row in rows]

    def fill(self, extract: Extract) -> None:
        """Make the missing rows, saying how far it is; errors as of `write`."""
        missing, total = self.missing(), len(self.samples)
        done = total - len(missing)
        with progress_bar("Features", total, initial=done, unit=" photos") as bar:
            for rows in in_chunks(missing):
                self.write(rows, *extract([self.samples[row][0] for row in rows]))
                bar.update(len(rows))

    def write(self, rows: Sequence[int], features: np.ndarray, why: dict[int, str]):
        """Write a file of n rows: features (n - m, D), and why, by place, m have none.

        What is no number is a LessonError; what the disk refuses, a FileError.
        """
        if not np.isfinite(features).all():
            name = _name(self.samples[rows[0]][0])
            raise LessonError(f"the network gave no number for {name} or near it")
        skipped = json.dumps({rows[at]: reason for at, reason in why.items()})
        table = np.asarray(features, np.float32).reshape(-1, self.width)
        with atomic_write(self.files[rows[0]]) as part, part.open("wb") as file:
            np.savez(file, features=table, skipped=skipped)

    def read(self) -> Stored:
        """All features; if any or all are missing, it is a LessonError."""
        if missing := self.missing():
            raise LessonError(
                f"{len(missing)} of {len(self.samples)} photos have no features in "
                f"{self.folder}. Run the cell that stores the features again: it makes "
                "what is missing and nothing else."
            )
        tables, reasons = zip(*map(self._load, self.files), strict=True)
        skipped = {row: why for part in reasons for row, why in part.items()}
        samples = [s for row, s in enumerate(self.samples) if row not in skipped]
        named = {_name(self.samples[row][0]): why for row, why in skipped.items()}
        if not samples:
            name, reason = min(named.items())
            raise LessonError(
                f"None of the {len(skipped)} photos could be opened, such as {name}: "
                f"{reason} Put good copies in their place, then run this again."
            )
        labels = torch.tensor([label for _, label in samples])
        features = torch.from_numpy(np.concatenate(tables))
        return Stored(TensorDataset(features, labels), samples, named)

    def _load(self, first: int) -> tuple[np.ndarray, dict[int, str]] | None:
        """None if the file is not there, or torn."""
        try:
            with np.load(self.files[first]) as parts:
                skipped = json.loads(parts["skipped"].item())
                return parts["features"], {int(n): why for n, why in skipped.items()}
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None


def _name(photo: Path) -> str:
    """Class folder and file: the same wherever the data set lies."""
    return "/".join(photo.parts[-2:])


def _size(photo: Path) -> int:
    try:
        return photo.stat().st_size
    except OSError as error:
        raise LessonError(
            f"{photo} cannot be read ({error.strerror}). Put it back, or fetch the "
            "photos again, then run this again."
        ) from error


@dataclass(frozen=True)
class ManyDishes(StoredFeatures):
    """Stored features of many dishes, and where their pictures are."""

    where: str = ""  # what the pictures are, to put beside every result
    is_whole: bool = False  # all of Food-101's classes, as published results have
    photos: dict[str, list[Path]] = field(default_factory=dict)  # by half, if at hand
    skipped: dict[str, str] = field(default_factory=dict)  # what cannot be opened, why


def find_dishes(
    built: Built, slug: str, data_dir: Path = DATA, *, share=None, seed=42, device="cpu"
) -> ManyDishes:
    """Find the dishes that the environment variable FOODVISION_BIG names.

    Where it names none and there is no Food-101 in `data_dir`: the eight dishes whose
    features come with the course, if this very base has made them; else drawn ones.
    `slug` names the network in file names; the rest, and errors, as of `choose_photos`.
    """
    named = os.environ.get("FOODVISION_BIG", "").strip()
    may_be_stored = not named and not is_tree(Path(data_dir) / "food-101")
    if may_be_stored and (stored := _stored_dishes(built, slug, data_dir)):
        return stored
    tree = find_tree(named, data_dir)
    part = choose_photos(tree, share=share, seed=seed)
    extract, width = Extractor(built, device=device), built.model.head[-1].in_features
    how = {"network": weights_fingerprint(built), "width": width}
    stores = {}
    for half in SPLITS:
        store = FeatureStore(tree.features_folder, getattr(part, half), **how)
        store.fill(extract)
        stores[half] = store.read()
    train, test = stores.values()
    names = [spoken(name) for name in part.class_names]
    probe = stored_features.probe_features(built)
    dishes = names, train.features, test.features, probe, part.is_practice
    photos = {half: [p for p, _ in read.samples] for half, read in stores.items()}
    about = {"where": part.where, "is_whole": part.is_whole, "photos": photos}
    return ManyDishes(*dishes, **about, skipped=train.skipped | test.skipped)


def _stored_dishes(built: Built, slug: str, data_dir: Path) -> ManyDishes | None:
    photos = stored_features.find_features(built, slug, data_dir, what="photos")
    if photos is None:
        return None
    others = stored_features.find_other_dishes(built, slug, data_dir, ours=photos.names)
    names, halves = sorted(photos.names + others.names), []
    parts = [part.numbered(names) for part in (photos, others)]
    for half in SPLITS:
        tensors = zip(*(part[half].tensors for part in parts), strict=True)
        halves.append(TensorDataset(*map(torch.cat, tensors)))
    is_practice = photos.is_practice or others.is_practice
    where = f"{photos.label} of {len(names)} dishes"
    return ManyDishes(names, *halves, photos.probe, is_practice, where=where)
