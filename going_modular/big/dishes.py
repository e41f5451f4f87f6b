"""FoodVision Big's dishes in one call: stored features, or photos of any dishes.

Where no photos are named, eight real dishes come from the course's own files: pizza,
steak and sushi, and the five others that Mini's gate learns from.
"""

import os
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch.utils.data import TensorDataset

from going_modular.big.features import FeatureStore, weights_fingerprint
from going_modular.big.food101 import DATA, choose_photos, find_tree, is_tree, spoken
from going_modular.model_builder import Built
from going_modular.ood_data import find_other_dishes
from going_modular.stored_features import HALVES, Extractor, find_features


@dataclass(frozen=True)
class ManyDishes:
    """Features (N, D) and labels (N,) of many dishes' pictures, in two halves.

    Attributes:
        names: Of the classes, for people, in the order of their labels.
        where: What the pictures are, in words to put beside every result.
        is_practice: Whether they were drawn.
        is_whole: All of Food-101's classes: to be held against published results.
        photos: The pictures' files by half, row by row; empty where only their features
            are at hand.
        skipped: Pictures that could not be opened, and why.
    """

    names: list[str]
    train: TensorDataset
    test: TensorDataset
    where: str
    is_practice: bool
    is_whole: bool = False
    photos: dict[str, list[Path]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def without(self, dish: str) -> "ManyDishes":
        """The same without one of the dishes; photos are left out."""
        number, halves = self.names.index(dish), {}
        for half in HALVES:
            features, labels = getattr(self, half).tensors
            mine = labels != number
            numbered = labels[mine] - (labels[mine] > number).long()  # no gap
            halves[half] = TensorDataset(features[mine], numbered)
        kept = [name for name in self.names if name != dish]
        return replace(self, names=kept, photos={}, **halves)


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
    `slug` names the network in file names; the rest is as for `choose_photos`.

    Raises:
        DataError: If FOODVISION_BIG names something else.
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
        part.where,
        part.is_practice,
        part.is_whole,
        {half: [photo for photo, _ in read.samples] for half, read in stores.items()},
        train.skipped | test.skipped,
    )


def _stored_dishes(built: Built, slug: str, data_dir: Path) -> ManyDishes | None:
    """The dishes whose features the course brings; None if another base made them."""
    photos = find_features(built, slug, data_dir, what="photos")
    if photos is None:
        return None
    others = find_other_dishes(built, slug, data_dir, ours=photos.names)
    names, halves = sorted([*photos.names, *others.names]), []
    for half in HALVES:
        features, labels = [], []
        for part in (photos, others):
            rows, numbers = getattr(part, half).tensors
            features.append(rows)
            labels.append(torch.tensor([names.index(n) for n in part.names])[numbers])
        halves.append(TensorDataset(torch.cat(features), torch.cat(labels)))
    return ManyDishes(
        names,
        *halves,
        where=f"{photos.label} of {len(names)} dishes",
        is_practice=photos.is_practice or others.is_practice,
    )
