"""Store FoodVision Big's features with Ray Data, in the files that the lesson reads."""

import argparse
import time

import ray
import torch

from deploy import ROOT
from deploy.ray.workers import add_workers, count, on_workers
from going_modular.big.features import FeatureStore, in_chunks, weights_fingerprint
from going_modular.big.food101 import choose_photos, find_tree
from going_modular.files import LessonError
from going_modular.model_builder import CONTENDERS
from going_modular.stored_features import Extractor

CONTENDER = {contender.slug: contender for contender in CONTENDERS}


class Features:
    """The base on one core of some machine, which writes a file at a time."""

    def __init__(self, stores: list[FeatureStore], extract: Extractor) -> None:
        torch.set_num_threads(1)
        self.stores, self.extract = stores, extract

    def __call__(self, part: dict) -> dict:
        store, rows = self.stores[part["half"]], [int(row) for row in part["rows"]]
        store.write(rows, *self.extract([store.samples[row][0] for row in rows]))
        return {"made": len(rows)}


def main() -> None:
    """Read the command line, store what is missing, say how it went."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("contender", choices=CONTENDER, help="whose base does the work")
    parser.add_argument("data", help="what FOODVISION_BIG says, on a shared disk")
    parser.add_argument("--input-size", type=count, help="in pixels; not of all")
    parser.add_argument("--share", type=float, help="default: as in the lesson")
    add_workers(parser)
    args = parser.parse_args()
    contender, started = CONTENDER[args.contender], time.perf_counter()
    if args.input_size and not contender.takes_size:
        parser.error(f"{args.contender} takes no --input-size")
    if args.share is not None and not 0 < args.share <= 1:
        parser.error("--share must be over 0 and at most 1")
    size = {"input_size": args.input_size} if args.input_size else {}
    try:
        tree = find_tree(args.data, ROOT / "data")
        part = choose_photos(tree, share=args.share)
        built = contender.build(2, **size)  # its head has no part in features
        told = {"network": weights_fingerprint(built)}
        told["width"] = built.model.head[-1].in_features
        halves, folder = (part.train, part.test), tree.features_folder
        stores = [FeatureStore(folder, samples, **told) for samples in halves]
        missing = [
            {"half": half, "rows": rows}
            for half, store in enumerate(stores)
            for rows in in_chunks(store.missing())
        ]
        how = {"rows": missing, "workers": args.workers}
        made = on_workers(Features, stores, Extractor(built), **how) if missing else []
    except LessonError as error:
        raise SystemExit(str(error)) from error
    except ray.exceptions.RayTaskError as error:
        raise SystemExit(
            f"A worker failed: {error.cause}. Every machine must be able to read "
            f"{tree.folder}, and to write into {folder}. Run this again: what is "
            "stored is kept."
        ) from error
    photos, new = sum(map(len, halves)), sum(part["made"] for part in made)
    seconds = time.perf_counter() - started
    print(f"{folder}: {photos} photos, {new} made now in {seconds:.1f} s")


if __name__ == "__main__":
    main()
