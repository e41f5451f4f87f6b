"""Store features of photos, so that results can be had without the photos.

The committed files were made from real photos of Food-101, by

    python -m tools.store_features photos pizza_steak_sushi_20_percent.zip
    python -m tools.store_features other_dishes food101_eight_dishes.zip

and the same with `--contender effnet_lite0`, and of the photos with `--input-size 288`
and as `changed` in place of `photos`. A frozen base gives everybody the same features.
If another contender wins, or another size, make a file for it.
"""

import argparse
import os
from pathlib import Path

import torch
from torch.utils.data import TensorDataset
from torchvision.transforms import v2

from going_modular import stored_features as stores
from going_modular.app.model import spoken
from going_modular.big.food101 import choose_photos, find_tree
from going_modular.data_setup import find_pictures
from going_modular.datasets import Sample, make_datasets
from going_modular.drawn import CLASS_NAMES
from going_modular.files import LessonError
from going_modular.model_builder import CONTENDERS

DATA = Path(__file__).resolve().parents[1] / "data"
MOST = {"train": 150, "test": 75}  # photos of another dish
CONTENDER = {contender.slug: contender for contender in CONTENDERS}
# What augmentation does to a training photo: companion 1 asks what it is worth.
CHANGES = [v2.RandomHorizontalFlip(), v2.RandomResizedCrop(384, scale=(0.4, 1.0))]
Chosen = tuple[list[str], dict[str, list[Sample]], bool]  # classes, halves, drawn?


def choose_ours(source: str) -> Chosen:
    """All photos of a folder or zip with train/ and test/."""
    os.environ["FOODVISION_DATA"] = source
    pictures = find_pictures(DATA)
    halves = make_datasets(pictures.folder, None)
    samples = {half: data.samples for half, data in zip(MOST, halves, strict=True)}
    return halves[0].classes, samples, pictures.is_practice


def choose_others(source: str) -> Chosen:
    """Some photos of a tree in Food-101's format, of each dish that is not ours."""
    part = choose_photos(find_tree(source, DATA), share=1)
    others, halves = [name for name in part.class_names if name not in CLASS_NAMES], {}
    for half, most in MOST.items():
        photos = {name: [] for name in part.class_names}
        for photo, label in getattr(part, half):
            photos[part.class_names[label]].append(photo)
        halves[half] = [(p, n) for n, d in enumerate(others) for p in photos[d][:most]]
    return [*map(spoken, others)], halves, part.is_practice


def main() -> None:
    """Read the command line, store, say where."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["photos", "changed", "other_dishes"])
    parser.add_argument("source", help="a folder or zip; of other dishes: a tree")
    parser.add_argument("--contender", choices=CONTENDER, default="effnet_lite2")
    parser.add_argument("--input-size", type=int, help="of an EffNet-Lite, if not 224")
    args = parser.parse_args()
    size = {"input_size": args.input_size} if args.input_size else {}
    built, files, stored = CONTENDER[args.contender].build(2, **size), {}, []
    if args.what == "changed":
        torch.manual_seed(42)
        built.transform = v2.Compose([*CHANGES, built.transform])
    is_other = args.what == "other_dishes"
    try:
        choose = choose_others if is_other else choose_ours
        names, halves, is_practice = choose(args.source)
        for half, samples in halves.items():
            rows, unreadable = stores.Extractor(built)([photo for photo, _ in samples])
            kept = [s for place, s in enumerate(samples) if place not in unreadable]
            print(f"{len(kept)} photos, {len(unreadable)} could not be opened")
            labels = torch.tensor([label for _, label in kept])
            stored.append(TensorDataset(torch.from_numpy(rows), labels))
            files[half] = [photo.name for photo, _ in kept]
        kinds = stores.probe_features(built), is_practice, {} if is_other else files
        where = DATA, args.what, args.contender
        file = stores.features_file(*where, built.preprocess.size)
        stores.write_features(stores.StoredFeatures(names, *stored, *kinds), file)
    except LessonError as error:
        raise SystemExit(str(error)) from error
    print(f"{file.name}: {file.stat().st_size / 1e6:.1f} MB, {', '.join(names)}")


if __name__ == "__main__":
    main()
