"""Results as data, the page that is written from them, and what they depend on."""

import os
import platform
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import psutil
from jinja2 import Environment, StrictUndefined

from benchmarks.plan import Bench
from going_modular.model_builder import CONTENDERS

PAGE = Path(__file__).with_name("page.md.j2")
EXTENSIONS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni")  # as Linux names them
PACKAGES = ("torch", "torchvision", "timm", "onnxruntime", "gradio", "pillow", "numpy")
# What a part of the bench found, as results.json keeps it: a table is a list of rows by
# column, with numbers rounded as they are read; "goals" is one of its tables.
Part = dict[str, object]


def goal(text: str, measured: str, reached: bool) -> dict[str, str]:
    """A row of the goals: what this project set out to reach, and what came of it."""
    return {"goal": text, "measured": measured, "reached": "yes" if reached else "no"}


def times(ratio: float) -> str:
    """A ratio for reading: "12.3 times"."""
    return f"{ratio:.1f} times"


def speed(ms: pd.Series) -> dict[str, float]:
    """Columns about milliseconds, one a call."""
    return {
        "median ms": round(ms.median(), 1),
        "95th pct ms": round(ms.quantile(0.95), 1),
        "a second": round(1000 / ms.median()),
    }


def as_table(rows: Sequence[Mapping[str, object]]) -> str:
    """Rows with the same columns as a Markdown table."""
    cells = [
        [
            f"{value:,}" if isinstance(value, int | float) else str(value)
            for value in row
        ]
        for row in (row.values() for row in rows)
    ]
    lines = [list(rows[0]), ["---", *["---:"] * (len(rows[0]) - 1)], *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def goals_of(results: Mapping[str, Part]) -> list[dict[str, str]]:
    """The goals of all parts, in their order."""
    return [row for part in results.values() for row in part.get("goals", ())]


def page(results: Mapping[str, Part]) -> str:
    """The page that says in words and tables what results.json holds."""
    jinja = Environment(trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined)
    jinja.filters["table"] = as_table
    template = jinja.from_string(PAGE.read_text("utf-8"))
    return template.render(results, goals=goals_of(results)) + "\n"


def circumstances(bench: Bench, load_average: float, minutes: float) -> Part:
    """What the numbers depend on."""
    train, test = bench.datasets()
    weights = (
        f"{c.name} {'rehearsal (untrained)' if c.rehearses() else 'pretrained'}"
        for c in CONTENDERS
    )
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
        "weights": ", ".join(weights),
        "date": f"{datetime.now(UTC):%d %B %Y}; the run took {minutes:.0f} minutes",
    }
    rows = [{"circumstance": name, "this run": fact} for name, fact in facts.items()]
    return {"is_tiny": bench.plan.per_class is not None, "table": rows}


def _processor() -> str:
    """Its name and, where Linux tells, what matters for the speed of networks."""
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8")  # its last core counts
        fields = dict(re.findall(r"^(\S.*?)\s*: (.*)$", text, re.MULTILINE))
        known = [name for name in EXTENSIONS if name in fields["flags"].split()]
        extras = ", ".join(known).upper().replace("_", "-") or "no AVX2"
        family = f"family {fields['cpu family']}, model {fields['model']}"
        return f"{fields['model name']} ({family}; {extras})"
    except (OSError, KeyError):  # no Linux, or no x86
        return platform.processor() or platform.machine()
