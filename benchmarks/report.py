"""Write what was measured as a page of Markdown; nothing on it is typed by hand."""

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil

from benchmarks.plan import TINY, Bench
from going_modular.model_builder import CONTENDERS

PACKAGES = (
    "torch",
    "torchvision",
    "timm",
    "onnxruntime",
    "gradio",
    "pillow",
    "numpy",
)


@dataclass(frozen=True)
class Goal:
    """Something this project set out to reach, and what was measured."""

    text: str
    measured: str
    reached: bool


@dataclass(frozen=True)
class Table:
    """A table with a sentence before it and remarks after it.

    Attributes:
        intro: What was done.
        head: Column titles.
        rows: Cells, ready to be read.
        notes: What a reader has to know to judge the numbers.
    """

    intro: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()

    def markdown(self) -> str:
        lines = [self.head, ["---"] + ["---:"] * (len(self.head) - 1), *self.rows]
        table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
        notes = "\n".join(f"- {note}" for note in self.notes)
        return "\n\n".join(part for part in (self.intro, table, notes) if part)


@dataclass(frozen=True)
class Section:
    """One part of the benchmark."""

    title: str
    tables: Sequence[Table]
    goals: Sequence[Goal] = field(default=())

    def markdown(self) -> str:
        parts = [f"## {self.title}", *(table.markdown() for table in self.tables)]
        return "\n\n".join(parts)


def page(bench: Bench, sections: Sequence[Section], minutes: float) -> str:
    """Put the sections on one page, under the goals and the machine."""
    parts = [
        "# Benchmark",
        "Written by `make bench` in one run; nothing here is typed by hand. Times "
        "are of one machine and differ on yours; ratios travel better.",
    ]
    if bench.plan == TINY:
        parts.append("**A rehearsal on tiny settings: these numbers mean nothing.**")
    goals = [goal for section in sections for goal in section.goals]
    if goals:
        rows = [(g.text, g.measured, "yes" if g.reached else "no") for g in goals]
        parts.append(Table("", ("goal", "measured", "reached"), rows).markdown())
    parts.append(_circumstances(bench, minutes).markdown())
    parts += [section.markdown() for section in sections]
    return "\n\n".join(parts) + "\n"


def _circumstances(bench: Bench, minutes: float) -> Table:
    train, test = bench.datasets()
    weights = ", ".join(
        f"{c.name} {'rehearsal (untrained)' if c.rehearses() else 'pretrained'}"
        for c in CONTENDERS
    )
    rows = [
        ("processor", _processor()),
        ("cores", f"{os.cpu_count()}; threads of PyTorch and ONNX Runtime: "
                  f"{bench.plan.threads}"),
        ("memory", f"{psutil.virtual_memory().total / 1e9:.0f} GB"),
        ("other work", f"load average {bench.load_average:.1f} when it began"),
        ("system", f"{platform.system()} {platform.release()}, {platform.machine()}"),
        ("Python", platform.python_version()),
        ("packages", ", ".join(f"{name} {version(name)}" for name in PACKAGES)),
        ("pictures", f"{bench.pictures.label}: {len(train)} to train on, {len(test)} "
                     "to test on"),
        ("weights", weights),
        ("date", f"{datetime.now(UTC):%d %B %Y}; the run took {minutes:.0f} minutes"),
    ]  # fmt: skip
    return Table("", ("circumstance", "this run"), rows)


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        fields = dict(
            map(str.strip, line.split(":", 1))
            for line in cpuinfo.read_text("utf-8").splitlines()
            if ":" in line
        )
        if "model name" in fields:
            numbers = (fields.get("cpu family"), fields.get("model"))
            known = [name for name in ("avx2", "avx512f") if name in fields["flags"]]
            known += ["VNNI"] if "vnni" in fields["flags"] else []
            extras = ", ".join(name.upper() for name in known) or "no AVX2"
            family = f"family {numbers[0]}, model {numbers[1]}"
            return f"{fields['model name']} ({family}; {extras})"
    return platform.processor() or platform.machine()


def count(right: int, total: int, *, counted: bool = True) -> str:
    """A count with its denominator; rehearsal weights are no result."""
    return f"{right} of {total}" if counted else "not counted (rehearsal weights)"


def times(ratio: float) -> str:
    """A ratio for reading: "12.3 times"."""
    return f"{ratio:.1f} times"
