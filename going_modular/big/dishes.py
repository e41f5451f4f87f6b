"""FoodVision Big's dishes in one call: stored features, or photos of any dishes.

Where no photos are named, eight real dishes come from the course's own files: pizza,
steak and sushi, and the five others that Mini's gate learns from.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch.utils.data import TensorDataset

from going_modular.big.features import FeatureStore, weights_fingerprint
from going_modular.big.food101 import DATA, choose_photos, find_tree, is_tree, spoken
from going_modular.model_builder import Built
from going_modular.ood_data import find_other_dishes
from going_modular.stored_features import (
    HALVES,
    Extractor,
    StoredFeatures,
    find_features,
    probe_features,
)


@dataclass(frozen=True)
class ManyDishes(StoredFeatures):
    """Stored features of many dishes, and where their pictures are."""

    where: str = ""  # what the pictures are, to put beside every result
    is_whole: bool = False  # all of Food-101's classes, as published results have
    photos: dict[str, list[Path]] = field(default_factory=dict)  # by half, if at hand
    skipped: dict[str, str] = field(default_factory=dict)  # what cannot be opened, why


def find_dishes(
    built: Built,
    slug: str,
    data_dir: Path = DATA,
    *,
    share: float | None = None,
    seed: int = 42,
    device: str | torch.device = "cpu",
) -> ManyDishes:
    """Find the dishes that the environment variable FOODVISION_BIG names.

    Where it names none and there is no Food-101 in `data_dir`: the eight dishes whose
    features come with the course, if this very base has made them; else drawn ones.
    Of photos, features are stored; a run that was interrupted goes on where it was.
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
    for half in HALVES:
        store = FeatureStore(tree.features_folder, getattr(part, half), **how)
        store.fill(extract)
        stores[half] = store.read()
    train, test = stores.values()
    return ManyDishes(
        spoken(part.class_names),
        train.features,
        test.features,
        probe_features(built),
        part.is_practice,
        where=part.where,
        is_whole=part.is_whole,
        photos={half: [p for p, _ in read.samples] for half, read in stores.items()},
        skipped=train.skipped | test.skipped,
    )


def _stored_dishes(built: Built, slug: str, data_dir: Path) -> ManyDishes | None:
    """The dishes whose features the course brings; None if another base made them."""
    photos = find_features(built, slug, data_dir, what="photos")
    if photos is None:
        return None
    others = find_other_dishes(built, slug, data_dir, ours=photos.names)
    names, halves = sorted(photos.names + others.names), []
    parts = [part.numbered(names) for part in (photos, others)]
    for half in HALVES:
        tensors = zip(*(part[half].tensors for part in parts), strict=True)
        halves.append(TensorDataset(*map(torch.cat, tensors)))
    is_practice = photos.is_practice or others.is_practice
    where = f"{photos.label} of {len(names)} dishes"
    return ManyDishes(names, *halves, photos.probe, is_practice, where=where)
