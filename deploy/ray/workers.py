"""What the commands share: Ray; workers that get model and code from the starter."""

import argparse
import os
import sys
import tempfile
from pathlib import Path

import ray

from deploy import reply
from going_modular.app import model

STARTS = 3  # Ray gives its own processes 30 s, which a busy computer can miss


def add_workers(parser: argparse.ArgumentParser) -> None:
    """Add the option that all commands have."""
    told = "each uses one core; default: %(default)s"
    parser.add_argument("--workers", type=count, default=2, help=told)


def count(text: str) -> int:
    """Read a number of at least 1."""
    if int(text) < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return int(text)


def start_ray(workers: int) -> None:
    """Join the cluster that RAY_ADDRESS names, or start Ray on this machine only."""
    where = {"address": "local", "num_cpus": workers, "include_dashboard": False}
    if cluster := os.environ.get("RAY_ADDRESS"):
        where = {"address": cluster}
    for more in reversed(range(STARTS)):
        try:
            ray.init(log_to_driver=False, **where)
            break
        except Exception as error:  # Ray has no kind of its own for it
            if not more or "timed out during startup" not in str(error):
                raise
            ray.shutdown()
    for module in (model, reply, sys.modules[__name__]):
        ray.cloudpickle.register_pickle_by_value(module)


def on_workers(work: type, *arguments, rows: list[dict], workers: int) -> list[dict]:
    """What each row becomes; each worker makes `work(*arguments)`, and calls it."""
    start_ray(workers)
    done = ray.data.from_items(rows).map(
        work,
        fn_constructor_args=arguments,
        compute=ray.data.ActorPoolStrategy(size=workers),
        num_cpus=1,
    )
    try:
        return done.take_all()
    except ray.exceptions.GetTimeoutError as error:
        raise SystemExit(
            f"The cluster has no room for {workers} workers of one core: ask for "
            "fewer with --workers, or start more machines."
        ) from error
    finally:
        ray.shutdown()


def read_model(path: Path) -> bytes:
    """The model file's bytes; what is none is told here, not on a worker."""
    try:
        model.Predictor(path, threads=1)
    except (OSError, ValueError) as error:
        raise SystemExit(str(error)) from error
    return path.read_bytes()


class Worker:
    """The model on one core of some machine."""

    def __init__(self, content: bytes) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "model.onnx")
            path.write_bytes(content)
            self.predictor = model.Predictor(path, threads=1)
