"""What all parts share: how much is measured, on what, in turns, and the goals.

A part returns what results.json keeps. A table is a list of rows by column, numbers
rounded as they are read; "goals" is one of its tables.
"""

import time
import tomllib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from going_modular.data_setup import Pictures
from going_modular.datasets import PictureDataset, make_datasets
from going_modular.files import progress_bar
from going_modular.predictions import WARM_UP
from pocket.runtimes import LITE_RT, Engine
from pocket.site import write_pocket

ROOT = Path(__file__).resolve().parents[1]
MODEL = ROOT / "models" / "foodvision_mini.onnx"  # the committed one
GOALS = tomllib.loads(Path(__file__).with_name("goals.toml").read_text("utf-8"))
SEED = 42
TURN = 30  # pictures that one way gets before the next one has its turn
# Seconds until threads of a runtime, done, sleep: no answer is held up by another's.
PAUSE = 0.005


class Plan(NamedTuple):
    """How often and how long things are measured."""

    threads: int = 2  # of PyTorch and ONNX Runtime alike
    rounds: int = 3  # times that everything is done, all ways taking turns
    starts: int = 4  # first visits to the page in a round
    megapixels: tuple[float, ...] = (12, 48)  # of big pictures
    camera_seconds: float = 600.0  # that the browser demo answers for a live camera
    per_class: int | None = None  # pictures of each class and half; None takes all
    taught: int | None = None  # dishes that the browser demo is taught; None: all
    own_environments: bool = True  # whether both apps get environments of their own


TINY = Plan(1, 1, 1, (1, 2), 8.0, per_class=2, taught=2, own_environments=False)


class Bench(NamedTuple):
    """One run of the benchmark."""

    plan: Plan
    pictures: Pictures  # that the networks learn from and are asked about
    workdir: Path  # a temporary folder

    def datasets(self, transform: Callable | None = None) -> tuple[PictureDataset, ...]:
        halves = make_datasets(self.pictures.folder, transform)
        for data in halves if self.plan.per_class else ():
            few = pd.DataFrame(data.samples).groupby(1).head(self.plan.per_class)
            data.samples = list(few.itertuples(index=False, name=None))
        return halves

    @property
    def class_names(self) -> list[str]:
        return self.datasets()[0].classes

    def test_pictures(self, count: int | None = None) -> list[tuple[Path, str]]:
        """All test pictures, or so many evenly, each with the name of its class."""
        _, data = self.datasets()
        count = min(count or len(data), len(data))
        places = (np.arange(count) + 0.5) * len(data) / count
        some = [data.samples[int(place)] for place in places]
        return [(file, data.classes[label]) for file, label in some]

    def write_site(self, engine: Engine = LITE_RT) -> Path:
        """The browser demo of the model, once a run, with three pictures to try."""
        if not (folder := self.workdir / engine.code.name).exists():
            examples = [file for file, _ in self.test_pictures(3)]
            write_pocket(MODEL, folder, examples=examples, engine=engine)
        return folder


def progress(text: str) -> None:
    """Say what is being done."""
    print(f"... {text}", flush=True)


def in_turns(
    what: str, ways: Mapping, items: Sequence, *, turn=TURN, warm_up=WARM_UP
) -> dict[str, pd.DataFrame]:
    """Let every way, a function of an item, do the same things, a few at a turn.

    A spell of other work on the machine so meets all, and each goes first as often. A
    turn begins with a warm-up that is not counted: right after another network, a way
    finds caches filled with other weights and its threads asleep. Returns by way a row
    an item, with ms and the keys of what the way returned.
    """
    order, rows = deque(ways), {name: [] for name in ways}
    with progress_bar(what, len(items) * len(ways)) as bar:
        for start in range(0, len(items), turn):
            now = items[start : start + turn]
            for name in order:
                for item in now[:warm_up]:
                    ways[name](item)
                for item in now:
                    time.sleep(PAUSE)
                    begun = time.perf_counter()
                    result = ways[name](item)
                    ms = 1000 * (time.perf_counter() - begun)
                    rows[name].append({"ms": ms, **result})
                bar.update(len(now))
            order.rotate()
    return {name: pd.DataFrame(rows[name]) for name in ways}


def goal(name: str, value: float, **more: object) -> dict[str, str]:
    """A row of the goals: one of goals.toml; `more` is what else its texts say."""
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
