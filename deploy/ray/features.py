"""Store FoodVision Big's features with Ray Data, in the files that the lesson reads."""

import argparse
import time
from pathlib import Path

import numpy as np
import ray
import torch

from deploy import ROOT
from deploy.ray.workers import add_options, count, enough_room, start_ray
from going_modular.big.features import FeatureStore, in_chunks, weights_fingerprint
from going_modular.big.food101 import Tree, choose_photos, find_tree
from going_modular.files import LessonError
from going_modular.model_builder import CONTENDERS, Built
from going_modular.stored_features import Extractor

CONTENDER = {contender.slug: contender for contender in CONTENDERS}
OF_ANY_SIZE = " and ".join(c.slug for c in CONTENDERS if c.takes_size)


class Features:
    """The base on one core of some machine; `extract` is the lesson's own way."""

    def __init__(self, extract: Extractor) -> None:
        torch.set_num_threads(1)
        self.extract = extract
        self.name = ray.get_runtime_context().get_actor_id()

    def __call__(self, row: dict) -> dict:
        features, reasons = self.extract([Path(photo) for photo in row["photos"]])
        return {
            "half": row["half"],
            "places": row["places"],
            "features": np.asarray(features, np.float32).tobytes(),
            "skipped": list(reasons),
            "reasons": list(reasons.values()),
            "worker": self.name,
        }


def build(slug: str, input_size: int | None) -> Built:
    """The contender as the lesson has it; its head has no part in features."""
    size = {} if input_size is None else {"input_size": input_size}
    return CONTENDER[slug].build(2, **size)


def plan(tree: Tree, args: argparse.Namespace, built: Built) -> list[FeatureStore]:
    """The stores of both halves: files of features, of which rows may be missing."""
    part = choose_photos(tree, share=args.share, seed=args.seed)
    folder = args.features or tree.features_folder
    width, network = built.model.head[-1].in_features, weights_fingerprint(built)
    return [
        FeatureStore(folder, samples, network=network, width=width)
        for samples in (part.train, part.test)
    ]


def compute(stores: list[FeatureStore], extract: Extractor, workers: int) -> set[str]:
    """Have the workers make the missing rows, and write them as soon as they come.

    Returns:
        The workers that took part.
    """
    rows = [
        {
            "half": half,
            "places": places,
            "photos": [str(store.samples[place][0]) for place in places],
        }
        for half, store in enumerate(stores)
        for places in in_chunks(store.missing())
    ]
    made = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
        Features,
        fn_constructor_args=(extract,),
        compute=ray.data.ActorPoolStrategy(size=workers),
        num_cpus=1,
    )
    used = set()
    for row in made.iter_rows():
        reasons = dict(zip(map(int, row["skipped"]), row["reasons"], strict=True))
        flat, store = np.frombuffer(row["features"], np.float32), stores[row["half"]]
        features = flat.reshape(-1, store.width)
        store.write([int(place) for place in row["places"]], features, reasons)
        used.add(row["worker"])
    return used


def main() -> None:
    """Read the command line, store what is missing, say how it went."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("contender", choices=CONTENDER, help="whose base does the work")
    parser.add_argument("data", help="what FOODVISION_BIG says, on a shared disk")
    own = "folder for the features; default: where the lesson looks for them"
    parser.add_argument("features", type=Path, nargs="?", help=own)
    parser.add_argument("--input-size", type=count, help=f"of {OF_ANY_SIZE}, in pixels")
    parser.add_argument("--share", type=float, help="default: as in the lesson")
    parser.add_argument("--seed", type=int, default=42, help="default: 42")
    add_options(parser, answers=False)
    args = parser.parse_args()
    if args.input_size and not CONTENDER[args.contender].takes_size:
        parser.error(f"only {OF_ANY_SIZE} take an --input-size")
    used, started = set(), time.perf_counter()
    try:
        built = build(args.contender, args.input_size)
        tree = find_tree(args.data, ROOT / "data")
        stores = plan(tree, args, built)
        missing = sum(len(store.missing()) for store in stores)
        if missing:
            start_ray(args.workers)
            with enough_room(args.workers):
                used = compute(stores, Extractor(built), args.workers)
            ray.shutdown()
    except (LessonError, ValueError) as error:
        raise SystemExit(str(error)) from error
    except ray.exceptions.RayTaskError as error:
        raise SystemExit(
            f"A worker failed: {error.cause}. Every machine must be able to read "
            f"{tree.folder}. Run this again: what is stored is kept."
        ) from error
    photos = sum(len(store.samples) for store in stores)
    done = f"{missing} made now by {len(used)} workers"
    seconds = time.perf_counter() - started
    print(f"{stores[0].folder}: {photos} photos, {done} in {seconds:.1f} s")


if __name__ == "__main__":
    main()
