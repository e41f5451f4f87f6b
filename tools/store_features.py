"""Store features of photos, so that results can be had without the photos.

The committed files were made from real photos of Food-101, by

    python -m tools.store_features photos pizza_steak_sushi_20_percent.zip
    python -m tools.store_features other_dishes food101_eight_dishes.zip

and the same with `--contender effnet_lite0`, and of the photos with `--input-size 288`
and as `changed` in place of `photos`. They hold features, not photos: a frozen base
gives everybody the same ones. If another contender wins, or another size, make a file
for it.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch.utils.data import TensorDataset
from torchvision.transforms import v2

from going_modular.big.food101 import choose_photos, find_tree, spoken
from going_modular.data_setup import find_pictures
from going_modular.datasets import Sample, make_datasets
from going_modular.drawn import CLASS_NAMES
from going_modular.files import LessonError
from going_modular.model_builder import CONTENDERS, Built
from going_modular.stored_features import (
    Extractor,
    StoredFeatures,
    features_file,
    probe_features,
    write_features,
)

DATA = Path(__file__).resolve().parents[1] / "data"
MOST = {"train": 150, "test": 75}  # photos of another dish
CONTENDER = {contender.slug: contender for contender in CONTENDERS}
# What augmentation does to a training photo: companion 1 asks what it is worth.
CHANGE = v2.Compose(
    [v2.RandomHorizontalFlip(), v2.RandomResizedCrop(384, scale=(0.4, 1.0))]
)


def extract(built: Built, samples: Sequence[Sample]) -> tuple[TensorDataset, list[str]]:
    """Features and labels of photos that can be opened, and their file names."""
    rows, unreadable = Extractor(built)([photo for photo, _ in samples])
    kept = [s for place, s in enumerate(samples) if place not in unreadable]
    print(f"{len(kept)} photos, {len(unreadable)} could not be opened")
    labels = torch.tensor([label for _, label in kept])
    return TensorDataset(torch.from_numpy(rows), labels), [p.name for p, _ in kept]


def store_photos(built: Built, source: str) -> StoredFeatures:
    """Features of a folder or zip with train/ and test/."""
    os.environ["FOODVISION_DATA"] = source
    pictures = find_pictures(DATA)
    halves = make_datasets(pictures.folder, None)
    train, test = (extract(built, half.samples) for half in halves)
    files, probe = {"train": train[1], "test": test[1]}, probe_features(built)
    kind, names = pictures.is_practice, halves[0].classes
    return StoredFeatures(names, train[0], test[0], probe, kind, files)


def store_others(built: Built, source: str, ours: Sequence[str]) -> StoredFeatures:
    """Features of a tree in Food-101's format, without the dishes that are ours."""
    part = choose_photos(find_tree(source, DATA), share=1)
    names, halves = [name for name in part.class_names if name not in ours], []
    for half, most in MOST.items():
        photos = {name: [] for name in part.class_names}
        for photo, label in getattr(part, half):
            photos[part.class_names[label]].append(photo)
        chosen = [(p, n) for n, name in enumerate(names) for p in photos[name][:most]]
        halves.append(extract(built, chosen)[0])
    probe = probe_features(built)
    return StoredFeatures(spoken(names), *halves, probe, part.is_practice)


def main() -> None:
    """Read the command line, store, say where."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["photos", "changed", "other_dishes"])
    parser.add_argument("source", help="a folder or zip; of other dishes: a tree")
    parser.add_argument("--contender", choices=CONTENDER, default="effnet_lite2")
    parser.add_argument("--input-size", type=int, help="of an EffNet-Lite, if not 224")
    parser.add_argument("--ours", nargs="+", help="to leave out", default=CLASS_NAMES)
    args = parser.parse_args()
    size = {"input_size": args.input_size} if args.input_size else {}
    try:
        built = CONTENDER[args.contender].build(2, **size)
        file = features_file(DATA, args.what, args.contender, built.preprocess.size)
        if args.what == "changed":
            torch.manual_seed(42)
            built.transform = v2.Compose([CHANGE, built.transform])
        if args.what == "other_dishes":
            stored = store_others(built, args.source, args.ours)
        else:
            stored = store_photos(built, args.source)
        write_features(stored, file)
    except LessonError as error:
        sys.exit(str(error))
    print(f"{file.name}: {file.stat().st_size / 1e6:.1f} MB, {', '.join(stored.names)}")


if __name__ == "__main__":
    main()
