"""Store the features of Food-101's photos with Ray Data, in the lesson's own shards."""

import argparse
import json
import sys
import time
from pathlib import Path

# First: it finds the demo's model.py, and has settings that Ray reads on import.
from workers import ROOT, count, start_ray  # isort: skip

import numpy as np
import onnxruntime
import ray
from model import PictureError, open_picture

sys.path.insert(0, str(ROOT))
from going_modular.datasets import PicturesError  # noqa: E402
from going_modular.extractor import OnnxExtractor  # noqa: E402
from going_modular.feature_store import (  # noqa: E402
    FeatureStore,
    FeatureStoreError,
    Shard,
    write_shard,
)
from going_modular.food101 import SHARE, choose_photos  # noqa: E402
from going_modular.progress import Progress  # noqa: E402


class Features:
    """The base on one core of some machine: turns a shard's photos into its features.

    It needs nothing of this repository. Food-101's photos are small enough for
    `open_picture` to give the very pixels that the lesson's `load_picture` gives.
    """

    def __init__(self, content: bytes) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(content, options)
        self.name = ray.get_runtime_context().get_actor_id()

    def __call__(self, row: dict) -> dict:
        rows, reasons = [], {}
        for place, photo in enumerate(row["photos"]):
            try:
                picture = open_picture(photo)
            except PictureError as error:  # one broken photo does not lose the others
                reasons[place] = str(error)
            else:
                rows.append(self.session.run(None, {"picture": picture})[0])
        return {
            "shard": row["shard"],
            "features": np.array(rows, np.float32).tobytes(),
            "reasons": json.dumps(reasons),
            "worker": self.name,
        }


def read_extractor(path: Path) -> tuple[bytes, str]:
    """Return the file's bytes, and what it says its network is.

    Raises:
        SystemExit: If it is not an extractor; the message says what to do.
    """
    try:
        return path.read_bytes(), OnnxExtractor(path).network
    except Exception as error:  # noqa: BLE001 - ONNX Runtime's have no base of their own
        raise SystemExit(
            f"{path} is not an extractor: run the lesson's bonus section to make it"
        ) from error


def plan(args: argparse.Namespace, network: str) -> tuple[list[Shard], int]:
    """The shards that are missing, and how many photos there are in all."""
    try:
        part = choose_photos(args.data.resolve(), share=args.share, seed=args.seed)
        stores = [
            FeatureStore(args.features, samples, network=network)
            for samples in (part.train, part.test)
        ]
    except (PicturesError, FeatureStoreError, ValueError) as error:
        raise SystemExit(str(error)) from error
    photos = sum(len(store.samples) for store in stores)
    return [shard for store in stores for shard in store.missing()], photos


def compute(shards: list[Shard], photos: int, content: bytes, workers: int) -> set[str]:
    """Have the workers make the shards, and write each as soon as it is there.

    Returns:
        The workers that took part.
    """
    rows = [
        {"shard": number, "photos": [str(photo) for photo in shard.photos]}
        for number, shard in enumerate(shards)
    ]
    made = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
        Features,
        fn_constructor_args=(content,),
        compute=ray.data.ActorPoolStrategy(size=workers),
        num_cpus=1,
    )
    before = photos - sum(len(shard.photos) for shard in shards)
    progress, used = Progress(photos, before=before), set()
    for row in made.iter_rows():
        shard, reasons = shards[row["shard"]], json.loads(row["reasons"])
        flat = np.frombuffer(row["features"], np.float32)
        features = (
            flat.reshape(len(shard.photos) - len(reasons), -1) if len(flat) else []
        )
        write_shard(shard, features, reasons)
        progress.add(len(shard.photos))
        used.add(row["worker"])
    return used


def main() -> None:
    """Read the command line, store what is missing, say how it went."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("extractor", type=Path, help="models/..._extractor.onnx")
    parser.add_argument("data", type=Path, help="holds food-101/, on a shared disk")
    parser.add_argument("features", type=Path, help="folder for the shards")
    parser.add_argument("--share", type=float, default=SHARE, help="default: 0.2")
    parser.add_argument("--seed", type=int, default=42, help="default: 42")
    parser.add_argument("--workers", type=count, default=2, help="default: 2")
    args = parser.parse_args()
    content, network = read_extractor(args.extractor)
    shards, photos = plan(args, network)
    used, started = set(), time.perf_counter()
    if shards:
        start_ray(args.workers)
        try:
            used = compute(shards, photos, content, args.workers)
        except ray.exceptions.GetTimeoutError as error:
            raise SystemExit(
                f"The cluster has no room for {args.workers} workers of one core: ask "
                "for fewer with --workers, or start more machines."
            ) from error
        except ray.exceptions.RayTaskError as error:
            raise SystemExit(
                f"A worker failed: {error.cause}. Every machine must be able to read "
                f"{args.data.resolve()}. Run this again: finished shards are kept."
            ) from error
        except FeatureStoreError as error:
            raise SystemExit(str(error)) from error
        ray.shutdown()
    made = f"{len(shards)} shards made by {len(used)} workers"
    seconds = time.perf_counter() - started
    print(f"{args.features}: {photos} photos, {made} in {seconds:.1f} s")


if __name__ == "__main__":
    main()
