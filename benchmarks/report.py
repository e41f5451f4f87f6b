"""Results as data, the page that is written from them, and what they depend on."""

import os
import platform
import re
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import psutil

from benchmarks.plan import Bench

WORDS, GOALS = (
    tomllib.loads(Path(__file__).with_name(name).read_text("utf-8"))
    for name in ("page.toml", "goals.toml")
)
EXTENSIONS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni")  # as Linux names them
PACKAGES = ("torch", "torchvision", "timm", "onnxruntime", "gradio", "pillow", "numpy")
# What a part of the bench found, as results.json keeps it: a table is a list of rows by
# column, with numbers rounded as they are read; "goals" is one of its tables.
Part = dict[str, object]


def goal(name: str, value: float, **more: object) -> dict[str, str]:
    """A row of the goals: what this project set out to reach, and what came of it.

    The name is of goals.toml; `more` is what else its texts say.
    """
    said = GOALS[name]
    limit = said.get("least", said.get("most"))
    reached = value >= limit if "least" in said else value <= limit
    return {
        "goal": said["goal"].format(limit=limit, **more),
        "measured": said["measured"].format(value=value, **more),
        "reached": "yes" if reached else "no",
    }


def speed(ms: pd.Series) -> dict[str, float]:
    """Columns about milliseconds, one a call."""
    return {
        "median ms": round(ms.median(), 1),
        "95th pct ms": round(ms.quantile(0.95), 1),
        "a second": round(1000 / ms.median()),
    }


def as_table(rows: Sequence[Mapping[str, object]]) -> str:
    """Rows with the same columns as a Markdown table."""
    lines = [list(rows[0]), ["---", *["---:"] * (len(rows[0]) - 1)]]
    for row in rows:
        is_number = [isinstance(value, int | float) for value in row.values()]
        cells = zip(row.values(), is_number, strict=True)
        lines.append([f"{cell:,}" if number else cell for cell, number in cells])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def goals_of(results: Mapping[str, Part]) -> list[dict[str, str]]:
    """The goals of all parts, in their order."""
    return [row for part in results.values() for row in part.get("goals", ())]


def page(results: Mapping[str, Part]) -> str:
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


def circumstances(bench: Bench, load_average: float, minutes: float) -> Part:
    """What the numbers depend on."""
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
