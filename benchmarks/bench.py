"""Measure training, predictions and the app against the usual way, in one run.

Uses the lesson's pictures (FOODVISION_DATA), or draws them where there is no internet.
A full run takes about a quarter of an hour on two cores, and longer the first time,
when it installs an environment for each of the two apps it compares.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path[0] = str(ROOT)  # so that it runs from anywhere

import psutil  # noqa: E402
import torch  # noqa: E402

from benchmarks import big, load, pocket, prediction, serving, training  # noqa: E402
from benchmarks.making import make_all  # noqa: E402
from benchmarks.plan import TINY, Bench, Plan, progress  # noqa: E402
from benchmarks.report import Section, page  # noqa: E402
from going_modular.data_setup import find_pictures  # noqa: E402
from tools.readme_block import renew_block  # noqa: E402

PARTS = {
    "training": None,
    "prediction": prediction.measure,
    "app": serving.measure,
    "load": load.measure,
    "pocket": pocket.measure,
    "big": None,
}
RESULTS = ROOT / "benchmarks" / "results.md"
BUSY = 0.5  # load average; more means that times are not to be trusted
ELSEWHERE = ROOT / "build" / "benchmark.md"


def run(bench: Bench, parts: Sequence[str]) -> list[Section]:
    """Measure the parts, in the order of `PARTS`."""
    sections = []
    if "training" in parts:
        sections.append(training.measure(bench))
    others = [measure for name, measure in PARTS.items() if name in parts and measure]
    if others:
        made = make_all(bench)
        sections += [measure(bench, made) for measure in others]
    if "big" in parts:
        sections.append(big.measure(bench))
    return sections


def save(text: str, file: Path) -> None:
    """Write the page, all or nothing."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f".{file.name}.part")
    part.write_text(text, "utf-8")
    os.replace(part, file)


def quoted(text: str) -> str:
    """The goals of a page, which come first: what the README quotes."""
    return text.split("\n\n")[2]


def _parts(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if unknown := [name for name in names if name not in PARTS]:
        known = ", ".join(PARTS)
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: choose from {known}")
    return names


def main() -> None:
    """Run the benchmark, print its page and save it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tiny", action="store_true", help="only see whether it runs")
    parser.add_argument("--only", type=_parts, help=f"some of {','.join(PARTS)}")
    parser.add_argument("--out", type=Path, help="where the page goes")
    options = parser.parse_args()
    parts = options.only or list(PARTS)
    # Only a full run may replace the page that the README quotes.
    is_full = not options.tiny and set(parts) == set(PARTS)
    out = options.out or (RESULTS if is_full else ELSEWHERE)
    plan = TINY if options.tiny else Plan()
    torch.set_num_threads(plan.threads)
    start, load_average = time.monotonic(), psutil.getloadavg()[0]
    if load_average > BUSY:
        progress(f"other programs are at work (load {load_average:.1f}): expect noise")
    pictures = find_pictures(ROOT / "data")
    progress(f"using {pictures.label}")
    with tempfile.TemporaryDirectory(prefix="benchmark-") as workdir:
        bench = Bench(plan, pictures, Path(workdir), load_average)
        sections = run(bench, parts)
        text = page(bench, sections, (time.monotonic() - start) / 60)
    save(text, out)
    if out == RESULTS:
        renew_block("benchmark", quoted(text))
    print(f"\n{text}\nWritten to {out}")


if __name__ == "__main__":
    main()
