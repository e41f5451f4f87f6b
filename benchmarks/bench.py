"""Measure training, predictions, the app and the page, in one run.

Uses the lesson's pictures (FOODVISION_DATA, and FOODVISION_BIG for other dishes), or
drawn ones where there is no internet. A full run takes about an hour on two cores.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import torch

from benchmarks import app, big, camera, gate, pocket, prediction, teaching, training
from benchmarks.browser import CHROMIUM
from benchmarks.plan import ROOT, TINY, Bench, Plan, progress
from benchmarks.report import Part, as_table, circumstances, goals_of, page
from going_modular.data_setup import find_pictures
from going_modular.files import atomic_write
from tools.readme_block import renew_block

MODULES = (training, prediction, app, pocket, camera, teaching, big, gate)
PARTS = {module.__name__.rpartition(".")[2]: module.measure for module in MODULES}
IN_A_BROWSER = {"pocket", "camera", "teaching"}
RESULTS = ROOT / "benchmarks" / "results.json"  # the page lies beside it
ELSEWHERE = ROOT / "build" / "benchmark.json"
BUSY = 0.5  # load average; more means that times are not to be trusted


def run(how_much: Plan, names: Sequence[str]) -> dict[str, Part]:
    """Measure the named parts; returns what each found, and on what."""
    start, load_average = time.monotonic(), psutil.getloadavg()[0]
    torch.set_num_threads(how_much.threads)
    if load_average > BUSY:
        progress(f"other programs are at work (load {load_average:.1f}): expect noise")
    pictures = find_pictures(ROOT / "data")
    progress(f"using {pictures.label}")
    with tempfile.TemporaryDirectory(prefix="benchmark-") as workdir:
        bench = Bench(how_much, pictures, Path(workdir))
        if "teaching" in names:
            teaching.find_photos(bench)  # what is missing is told now
        parts = {name: PARTS[name](bench) for name in PARTS if name in names}
    minutes = (time.monotonic() - start) / 60
    return {"circumstances": circumstances(bench, load_average, minutes), **parts}


def write(results: dict[str, Part], out: Path) -> str:
    """Keep the results as JSON, and as a page beside it; returns the page."""
    text = page(results)
    stored = json.dumps(results, indent=1, ensure_ascii=False) + "\n"
    for file, content in ((out, stored), (out.with_suffix(".md"), text)):
        with atomic_write(file) as part:
            part.write_text(content, "utf-8", newline="\n")
    if out == RESULTS:
        renew_block("benchmark", as_table(goals_of(results)))
    return text


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark, print its page and save both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tiny", action="store_true", help="only see whether it runs")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--out", type=Path, help="a .json; the page goes beside it")
    options = parser.parse_args(arguments)
    if IN_A_BROWSER & {*options.only} and CHROMIUM is None:
        parser.error("a part needs chromium: install it, or leave it out by --only")
    # Only a full run may replace what the README and the notebooks quote.
    is_full = not options.tiny and set(options.only) == set(PARTS)
    out = options.out or (RESULTS if is_full else ELSEWHERE)
    text = write(run(TINY if options.tiny else Plan(), options.only), out)
    print(f"\n{text}\nWritten to {out} and beside it")


if __name__ == "__main__":
    main()
