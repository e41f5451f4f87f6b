"""Classify a folder of pictures with Ray Data: one table, one row a picture."""

import argparse
import time
from pathlib import Path

import pyarrow as pa
import ray
from pyarrow import csv, fs, parquet

from deploy import DEFAULT_MODEL
from deploy.ray import workers
from deploy.reply import as_json
from going_modular.app.model import PictureError
from going_modular.files import FileError, atomic_write

NUMBERS = ("probability", "knn_similarity", "in_distribution_score")
COLUMNS = ["file", "class", *NUMBERS, "verdict", "error", "worker"]
SCHEMA = pa.schema(
    {name: pa.float64() if name in NUMBERS else pa.string() for name in COLUMNS}
)
WRITERS = {".csv": csv.write_csv, ".parquet": parquet.write_table}
BLOCK = 64  # about as many pictures as a worker takes at a time


class Classify(workers.Worker):
    """Turns names of files into rows of the table."""

    def __init__(self, content: bytes, disk: fs.FileSystem, folder: str) -> None:
        super().__init__(content)
        self.disk, self.folder = disk, folder
        self.name = ray.get_runtime_context().get_actor_id()

    def __call__(self, batch: pa.Table) -> pa.Table:
        rows = [self.row(file) for file in batch["file"].to_pylist()]
        return pa.Table.from_pylist(rows, schema=SCHEMA)

    def row(self, file: str) -> dict:
        found = {"file": file, "worker": self.name}
        try:
            with self.disk.open_input_stream(f"{self.folder}/{file}") as stream:
                return found | as_json(self.predictor.predict(stream))
        except (PictureError, OSError) as error:  # the others' answers are kept
            return found | {"error": str(error)}


def find_files(place: str) -> tuple[fs.FileSystem, str, list[str]]:
    """List a folder, of a disk or a bucket, and all below it, but no hidden files."""
    try:
        uri = place if "://" in place else str(Path(place).resolve())
        disk, folder = fs.FileSystem.from_uri(uri)
        found = disk.get_file_info(fs.FileSelector(folder, recursive=True))
    except (OSError, ValueError) as error:
        raise SystemExit(f"Cannot list {place}: {error}") from error
    paths = [each.path for each in found if each.type != fs.FileType.Directory]
    names = [path[len(folder) :].lstrip("/") for path in paths]
    return disk, folder, sorted(name for name in names if "/." not in f"/{name}")


def classify(place: str, number: int, content: bytes) -> pa.Table:
    """Have a number of workers answer for every picture of a folder."""
    disk, folder, files = find_files(place)
    if not files:
        raise SystemExit(f"There are no files in {place}")
    workers.start_ray(number)
    blocks = min(len(files), max(4 * number, len(files) // BLOCK))
    names = [{"file": file} for file in files]
    rows = ray.data.from_items(names, override_num_blocks=blocks).map_batches(
        Classify,
        fn_constructor_args=(content, disk, folder),
        compute=ray.data.ActorPoolStrategy(size=number),
        num_cpus=1,
        batch_size=None,
        batch_format="pyarrow",
    )
    with workers.enough_room(number):
        return pa.concat_tables(ray.get(rows.to_arrow_refs())).sort_by("file")


def main() -> None:
    """Read the command line, classify, write the table, say how it went."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", help="of pictures; s3://... and gs://... work too")
    parser.add_argument("table", type=Path, help="to write: .csv or .parquet")
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL)
    workers.add_workers(parser)
    args = parser.parse_args()
    if args.table.suffix not in WRITERS or not args.table.parent.is_dir():
        parser.error(f"{args.table} must be a .csv or .parquet in an existing folder")
    started = time.perf_counter()
    table = classify(args.folder, args.workers, workers.read_model(args.model))
    seconds = time.perf_counter() - started
    ray.shutdown()
    try:
        with atomic_write(args.table) as part:
            WRITERS[args.table.suffix](table.drop_columns("worker"), part)
    except FileError as error:
        raise SystemExit(str(error)) from error
    used = len(set(table["worker"].to_pylist()))
    print(f"{args.table}: {len(table)} files, {used} workers, {seconds:.1f} s")
    if failed := len(table) - table["error"].null_count:
        print(f"{failed} of them have no answer: the column error says why")


if __name__ == "__main__":
    main()
