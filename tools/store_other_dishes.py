"""Store the features of other dishes, for the gate to learn from.

The committed files, data/other_dishes_effnet_lite2_224.npz and the one of
effnet_lite0, were made by

    python -m tools.store_other_dishes food101_eight_dishes.zip
    python -m tools.store_other_dishes food101_eight_dishes.zip --contender effnet_lite0

from real photos of five dishes of Food-101. They hold features, not photos: a frozen
base gives everybody the same ones. If another contender wins, or another input size,
make a file for it in the same way, from any photos in Food-101's format.
"""

import argparse
import sys
from pathlib import Path

import torch
from torch.utils.data import TensorDataset

from going_modular.big.features import Extractor
from going_modular.big.food101 import choose_photos, find_tree, spoken
from going_modular.datasets import Sample
from going_modular.drawn import CLASS_NAMES
from going_modular.files import LessonError
from going_modular.model_builder import CONTENDERS, Built
from going_modular.ood_data import (
    STORED,
    OtherDishes,
    probe_features,
    write_other_dishes,
)

DATA = Path(__file__).resolve().parents[1] / "data"
MOST = {"train": 150, "test": 75}  # photos of a dish
CONTENDER = {contender.slug: contender for contender in CONTENDERS}


def store(built: Built, samples: list[Sample], most: int, names: list[str], left_out):
    """Features and labels of the first `most` photos of each dish not left out."""
    kept = [number for number, name in enumerate(names) if name not in left_out]
    chosen = [
        (photo, place)
        for place, number in enumerate(kept)
        for photo in [photo for photo, label in samples if label == number][:most]
    ]
    rows, unreadable = Extractor(built)([photo for photo, _ in chosen])
    labels = [label for at, (_, label) in enumerate(chosen) if at not in unreadable]
    print(f"{len(labels)} photos, {len(unreadable)} could not be opened")
    return TensorDataset(torch.from_numpy(rows), torch.tensor(labels))


def main() -> None:
    """Read the command line, store, say where."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tree", help="what FOODVISION_BIG may say: folder, zip or word")
    parser.add_argument("--contender", choices=CONTENDER, default="effnet_lite2")
    lites = " and ".join(c.slug for c in CONTENDERS if c.takes_size)
    parser.add_argument("--input-size", type=int, help=f"of {lites}; default: 224")
    ours = "names of the dishes that are yours, so that they are left out"
    parser.add_argument("--ours", nargs="+", default=list(CLASS_NAMES), help=ours)
    args = parser.parse_args()
    if args.input_size and not CONTENDER[args.contender].takes_size:
        parser.error(f"only {lites} take an --input-size")
    size = {"input_size": args.input_size} if args.input_size else {}
    try:
        built = CONTENDER[args.contender].build(2, **size)
        part = choose_photos(find_tree(args.tree, DATA), share=1)
        halves = {
            half: store(built, samples, MOST[half], part.class_names, args.ours)
            for half, samples in (("train", part.train), ("test", part.test))
        }
        names = [name for name in part.class_names if name not in args.ours]
        others = OtherDishes(
            spoken(names),
            **halves,
            probe=probe_features(built),
            is_practice=part.is_practice,
        )
        file = DATA / STORED.format(args.contender, built.preprocess.size)
        write_other_dishes(others, file)
    except LessonError as error:
        sys.exit(str(error))
    print(f"{file.name}: {file.stat().st_size / 1e6:.1f} MB, {', '.join(others.names)}")


if __name__ == "__main__":
    main()
