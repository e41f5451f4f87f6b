"""Measure training, predictions and the app against the usual way, in one run.

Uses the lesson's pictures (FOODVISION_DATA), or drawn ones where there is no internet.
A full run takes about 40 minutes on two cores, and longer the first time, when it
installs an environment for each of the two apps it compares.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import torch

from benchmarks import (
    app,
    big,
    camera,
    gate,
    plan,
    pocket,
    prediction,
    profile,
    training,
)
from benchmarks.plan import ROOT, TINY, Bench, Plan, progress
from benchmarks.report import circumstances, page
from going_modular.data_setup import find_pictures
from going_modular.files import atomic_write
from tools.readme_block import renew_block

PARTS = {
    "training": training.measure,
    "prediction": prediction.measure,
    "app": app.measure,
    "load": app.measure_load,
    "pocket": pocket.measure,
    "camera": camera.measure,
    "big": big.measure,
    "gate": gate.measure,
}
# Whose constants the page names:
MODULES = (app, big, camera, gate, plan, pocket, prediction, profile, training)
RESULTS = ROOT / "benchmarks" / "results.md"
ELSEWHERE = ROOT / "build" / "benchmark.md"
BUSY = 0.5  # load average; more means that times are not to be trusted


def run(how_much: Plan, names: Sequence[str]) -> str:
    """Measure the named parts; returns the page."""
    start, load_average = time.monotonic(), psutil.getloadavg()[0]
    torch.set_num_threads(how_much.threads)
    if load_average > BUSY:
        progress(f"other programs are at work (load {load_average:.1f}): expect noise")
    pictures = find_pictures(ROOT / "data")
    progress(f"using {pictures.label}")
    with tempfile.TemporaryDirectory(prefix="benchmark-") as workdir:
        bench = Bench(how_much, pictures, Path(workdir))
        parts = {name: PARTS[name](bench) for name in PARTS if name in names}
    minutes = (time.monotonic() - start) / 60
    facts = circumstances(bench, load_average, minutes)
    modules = {module.__name__.rpartition(".")[2]: module for module in MODULES}
    return page(parts, bench=bench, circumstances=facts, **modules)


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if unknown := [name for name in names if name not in PARTS]:
        known = ", ".join(PARTS)
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: choose from {known}")
    return names


def main() -> None:
    """Run the benchmark, print its page and save it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tiny", action="store_true", help="only see whether it runs")
    parser.add_argument("--only", type=_names, help=f"some of {','.join(PARTS)}")
    parser.add_argument("--out", type=Path, help="where the page goes")
    options = parser.parse_args()
    names = options.only or list(PARTS)
    # Only a full run may replace the page that the README quotes.
    is_full = not options.tiny and set(names) == set(PARTS)
    out = options.out or (RESULTS if is_full else ELSEWHERE)
    text = run(TINY if options.tiny else Plan(), names)
    with atomic_write(out) as part:
        part.write_text(text, "utf-8")
    if out == RESULTS:
        goals = text.split("\n\n")[2]
        renew_block("benchmark", goals)
    print(f"\n{text}\nWritten to {out}")


if __name__ == "__main__":
    main()
