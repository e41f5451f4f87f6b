"""Classify a folder of pictures with Ray Data: one table, one row a picture."""

import argparse
import time
from pathlib import Path

import pyarrow as pa
import ray
from pyarrow import csv, fs, parquet

from deploy import DEFAULT_MODEL
from deploy.ray.workers import Worker, add_workers, on_workers, read_model
from deploy.reply import as_json
from going_modular.app.model import PictureError
from going_modular.files import FileError, atomic_write

NUMBERS = ("probability", "knn_similarity", "in_distribution_score")
COLUMNS = ("file", "class", *NUMBERS, "verdict", "error")
KINDS = {name: pa.float64() if name in NUMBERS else pa.string() for name in COLUMNS}
WRITERS = {".csv": csv.write_csv, ".parquet": parquet.write_table}


class Classify(Worker):
    """Adds its answer to the name of a file, and which worker gave it."""

    def __init__(self, content: bytes, disk: fs.FileSystem, folder: str) -> None:
        super().__init__(content)
        self.disk, self.folder = disk, folder
        self.name = ray.get_runtime_context().get_actor_id()

    def __call__(self, row: dict) -> dict:
        row = row | {"worker": self.name}
        try:
            with self.disk.open_input_stream(f"{self.folder}/{row['file']}") as stream:
                return row | as_json(self.predictor.predict(stream))
        except (PictureError, OSError) as error:  # the others' answers are kept
            return row | {"error": str(error)}


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


def main() -> None:
    """Read the command line, classify, write the table, say how it went."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", help="of pictures; s3://... and gs://... work too")
    parser.add_argument("table", type=Path, help="to write: .csv or .parquet")
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL)
    add_workers(parser)
    args, started = parser.parse_args(), time.perf_counter()
    if args.table.suffix not in WRITERS or not args.table.parent.is_dir():
        parser.error(f"{args.table} must be a .csv or .parquet in an existing folder")
    content = read_model(args.model)
    disk, folder, files = find_files(args.folder)
    if not files:
        raise SystemExit(f"There are no files in {args.folder}")
    told = {"rows": [{"file": file} for file in files], "workers": args.workers}
    rows = on_workers(Classify, content, disk, folder, **told)
    table = pa.Table.from_pylist(rows, schema=pa.schema(KINDS)).sort_by("file")
    try:
        with atomic_write(args.table) as part:
            WRITERS[args.table.suffix](table, part)
    except FileError as error:
        raise SystemExit(str(error)) from error
    used, seconds = len({row["worker"] for row in rows}), time.perf_counter() - started
    print(f"{args.table}: {len(table)} files, {used} workers, {seconds:.1f} s")
    if failed := len(table) - table["error"].null_count:
        print(f"{failed} of them have no answer: the column error says why")


if __name__ == "__main__":
    main()
