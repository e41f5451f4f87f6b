"""Fill page.md.j2 with what was measured, and on which machine."""

import os
import platform
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import psutil
from jinja2 import Environment, StrictUndefined

from benchmarks.plan import Bench
from going_modular.model_builder import CONTENDERS

PAGE = Path(__file__).with_name("page.md.j2")
EXTENSIONS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni")  # as Linux names them
PACKAGES = ("torch", "torchvision", "timm", "onnxruntime", "gradio", "pillow", "numpy")


class Goal(NamedTuple):
    """Something this project set out to reach, and what was measured."""

    text: str
    measured: str
    reached: bool


# What one section of the page is about: numbers by name, and the goals they decide.
Part = tuple[Mapping[str, object], Sequence[Goal]]


def times(ratio: float) -> str:
    """A ratio for reading: "12.3 times"."""
    return f"{ratio:.1f} times"


def page(parts: Mapping[str, Part], **names: object) -> str:
    """The page, with a section for each part, and whatever else it names."""
    jinja = Environment(trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined)
    jinja.filters |= {"format": format, "times": times}
    jinja.globals["has_avx_vnni"] = has_avx_vnni()
    return jinja.from_string(PAGE.read_text("utf-8")).render(
        measured={name: facts for name, (facts, _) in parts.items()},
        goals=[goal for _, goals in parts.values() for goal in goals],
        **names,
    )


def circumstances(bench: Bench, load_average: float, minutes: float) -> dict[str, str]:
    """What the numbers depend on."""
    train, test = bench.datasets()
    weights = (
        f"{c.name} {'rehearsal (untrained)' if c.rehearses() else 'pretrained'}"
        for c in CONTENDERS
    )
    threads, label = bench.plan.threads, bench.pictures.label
    return {
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


def _processor() -> str:
    """Its name and, where Linux tells, what matters for the speed of networks."""
    try:
        fields = _cpuinfo()
        family = f"family {fields['cpu family']}, model {fields['model']}"
        known = [name for name in EXTENSIONS if name in fields["flags"].split()]
        extras = ", ".join(known).upper().replace("_", "-") or "no AVX2"
        return f"{fields['model name']} ({family}; {extras})"
    except (OSError, KeyError):
        return platform.processor() or platform.machine()


def has_avx_vnni() -> bool | None:
    """Whether the processor has AVX-VNNI; None where nothing tells."""
    try:
        return "avx_vnni" in _cpuinfo()["flags"].split()
    except (OSError, KeyError):
        return None


def _cpuinfo() -> dict[str, str]:
    """What Linux says of the processor's last core; no x86, no "flags".

    Raises:
        OSError: If this is no Linux.
    """
    text = Path("/proc/cpuinfo").read_text("utf-8")
    return dict(re.findall(r"^(\S.*?)\s*: (.*)$", text, re.MULTILINE))
