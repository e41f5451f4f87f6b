"""Measure training, predictions, the app and the page, in one run.

Uses the lesson's pictures (FOODVISION_DATA, and FOODVISION_BIG for other dishes), or
drawn ones where there is no internet. A full run takes about an hour on two cores.
"""

import argparse
import json
import os
import platform
import re
import tempfile
import time
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil
import torch

from benchmarks import app, networks, pocket, teaching
from benchmarks.browser import CHROMIUM
from benchmarks.plan import ROOT, TINY, Bench, Plan, progress
from going_modular.data_setup import find_pictures
from going_modular.files import atomic_write
from tools.readme_block import renew_block

PARTS = {
    "training": networks.training,
    "prediction": networks.prediction,
    "app": app.measure,
    "pocket": pocket.measure,
    "camera": pocket.watch_camera,
    "teaching": teaching.measure,
    "big": networks.big,
    "gate": networks.strangers,
}
IN_A_BROWSER = {"pocket", "camera", "teaching"}
RESULTS = ROOT / "benchmarks" / "results.json"  # the page lies beside it
WORDS = tomllib.loads(RESULTS.with_name("page.toml").read_text("utf-8"))
EXTENSIONS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni")  # as Linux names them
PACKAGES = ("torch", "torchvision", "timm", "onnxruntime", "gradio", "pillow", "numpy")


def run(how_much: Plan, names: Sequence[str]) -> dict[str, dict]:
    """Measure the named parts; returns what each found, and on what."""
    start, load_average = time.monotonic(), psutil.getloadavg()[0]
    torch.set_num_threads(how_much.threads)
    pictures = find_pictures(ROOT / "data")
    progress(f"using {pictures.label}; load average {load_average:.1f}")
    with tempfile.TemporaryDirectory(prefix="benchmark-") as workdir:
        bench = Bench(how_much, pictures, Path(workdir))
        if "teaching" in names:
            teaching.find_photos(bench)  # what is missing is told now
        parts = {name: PARTS[name](bench) for name in PARTS if name in names}
    minutes = (time.monotonic() - start) / 60
    return {"circumstances": _circumstances(bench, load_average, minutes), **parts}


def _circumstances(bench: Bench, load_average: float, minutes: float) -> dict:
    train, test = bench.datasets()
    threads, label = bench.plan.threads, bench.pictures.label
    facts = {
        "processor": _processor(),
        "cores": f"{os.cpu_count()}; threads of PyTorch and ONNX Runtime: {threads}",
        "memory": f"{psutil.virtual_memory().total / 1e9:.0f} GB",
        "other work": f"load average {load_average:.1f} when it began",
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "Python": platform.python_version(),
        "packages": ", ".join(f"{name} {version(name)}" for name in PACKAGES),
        "pictures": f"{label}: {len(train)} to train on, {len(test)} to test on",
        "date": f"{datetime.now(UTC):%d %B %Y}; the run took {minutes:.0f} minutes",
    }
    rows = [{"circumstance": name, "this run": fact} for name, fact in facts.items()]
    return {"is_tiny": bench.plan.per_class is not None, "table": rows}


def _processor() -> str:
    """Its name and, where Linux tells, what matters for the speed of networks."""
    with suppress(OSError, KeyError):  # no Linux, or no x86
        text = Path("/proc/cpuinfo").read_text("utf-8")  # its last core counts
        told = dict(re.findall(r"^(\S.*?)\s*: (.*)$", text, re.MULTILINE))
        known = [name for name in EXTENSIONS if name in told["flags"].split()]
        family = f"family {told['cpu family']}, model {told['model']}"
        extras = ", ".join(known).upper().replace("_", "-")
        return f"{told['model name']} ({family}; {extras})"
    return platform.processor() or platform.machine()


def as_table(rows: Sequence[Mapping[str, object]]) -> str:
    """Rows with the same columns as a Markdown table."""
    lines = [list(rows[0]), ["---", *["---:"] * (len(rows[0]) - 1)]]
    for cells in (row.values() for row in rows):
        lines.append([f"{x:,}" if isinstance(x, int | float) else x for x in cells])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def goals_of(results: Mapping[str, dict]) -> list[dict[str, str]]:
    """The goals of all parts, in their order."""
    return [row for part in results.values() for row in part.get("goals", ())]


def page(results: Mapping[str, dict]) -> str:
    """The page that says in words and tables what results.json holds."""
    blocks = [WORDS["head"]]
    if results["circumstances"]["is_tiny"]:
        blocks.append("**A rehearsal on tiny settings: these numbers mean nothing.**")
    blocks += [as_table(goals_of(results)), as_table(results["circumstances"]["table"])]
    for name, part in results.items():
        if words := WORDS.get(name):
            blocks.append(f"## {words['title']}")
            for table, text in words["tables"].items():
                blocks += [text.format_map(part), as_table(part[table])]
            notes = [f"- {note.format_map(part)}" for note in words["notes"]]
            blocks.append("\n".join(notes))
    return "\n\n".join(blocks) + "\n"


def write(results: dict[str, dict], out: Path) -> str:
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
    out = options.out or (RESULTS if is_full else ROOT / "build" / "benchmark.json")
    text = write(run(TINY if options.tiny else Plan(), options.only), out)
    print(f"\n{text}\nWritten to {out} and beside it")


if __name__ == "__main__":
    main()
