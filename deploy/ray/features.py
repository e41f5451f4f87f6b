"""Store FoodVision Big's features with Ray Data, in the files that the lesson reads."""

import argparse
import time

import ray
import torch

from deploy import ROOT
from deploy.ray.workers import add_workers, count, enough_room, start_ray
from going_modular.big.features import FeatureStore, in_chunks, weights_fingerprint
from going_modular.big.food101 import choose_photos, find_tree
from going_modular.files import LessonError
from going_modular.model_builder import CONTENDERS
from going_modular.stored_features import Extractor

CONTENDER = {contender.slug: contender for contender in CONTENDERS}
OF_ANY_SIZE = " and ".join(c.slug for c in CONTENDERS if c.takes_size)


class Features:
    """The base on one core of some machine, which makes a file of features at a time.

    The disk of the photos is shared, so each worker writes its files itself.
    """

    def __init__(self, stores: list[FeatureStore], extract: Extractor) -> None:
        torch.set_num_threads(1)
        self.stores, self.extract = stores, extract
        self.name = ray.get_runtime_context().get_actor_id()

    def __call__(self, row: dict) -> dict:
        store, rows = self.stores[row["half"]], [int(each) for each in row["rows"]]
        store.write(rows, *self.extract([store.samples[at][0] for at in rows]))
        return {"worker": self.name}


def compute(stores: list[FeatureStore], extract: Extractor, workers: int) -> set[str]:
    """Have the workers make the missing files; return who took part."""
    missing = [
        {"half": half, "rows": rows}
        for half, store in enumerate(stores)
        for rows in in_chunks(store.missing())
    ]
    made = ray.data.from_items(missing, override_num_blocks=len(missing)).map(
        Features,
        fn_constructor_args=(stores, extract),
        compute=ray.data.ActorPoolStrategy(size=workers),
        num_cpus=1,
    )
    with enough_room(workers):
        return {row["worker"] for row in made.iter_rows()}


def main() -> None:
    """Read the command line, store what is missing, say how it went."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("contender", choices=CONTENDER, help="whose base does the work")
    parser.add_argument("data", help="what FOODVISION_BIG says, on a shared disk")
    parser.add_argument("--input-size", type=count, help=f"of {OF_ANY_SIZE}, in pixels")
    parser.add_argument("--share", type=float, help="default: as in the lesson")
    add_workers(parser)
    args = parser.parse_args()
    contender, size = CONTENDER[args.contender], {}
    if args.input_size:
        size = {"input_size": args.input_size}
        if not contender.takes_size:
            parser.error(f"only {OF_ANY_SIZE} take an --input-size")
    used, started = set(), time.perf_counter()
    try:
        tree = find_tree(args.data, ROOT / "data")
        part = choose_photos(tree, share=args.share)
        built = contender.build(2, **size)  # its head has no part in features
        known = {"network": weights_fingerprint(built)}
        known["width"] = built.model.head[-1].in_features
        stores = [
            FeatureStore(tree.features_folder, samples, **known)
            for samples in (part.train, part.test)
        ]
        missing = sum(len(store.missing()) for store in stores)
        if missing:
            start_ray(args.workers)
            used = compute(stores, Extractor(built), args.workers)
            ray.shutdown()
    except (LessonError, ValueError) as error:
        raise SystemExit(str(error)) from error
    except ray.exceptions.RayTaskError as error:
        raise SystemExit(
            f"A worker failed: {error.cause}. Every machine must be able to read "
            f"{tree.folder}, and to write beside it. Run this again: what is stored "
            "is kept."
        ) from error
    photos = sum(len(store.samples) for store in stores)
    done = f"{missing} made now by {len(used)} workers"
    seconds = time.perf_counter() - started
    print(f"{tree.features_folder}: {photos} photos, {done} in {seconds:.1f} s")


if __name__ == "__main__":
    main()
