"""Checks of companion 4, in the browser: a profile, rounding, a live mean, a weight."""

import gzip
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
from onnx import numpy_helper

from going_modular.your_turn.checking import expect, expect_count, given, need, says


def first_step(model_file: Path) -> float:
    """From one 8-bit integer to the next, where a network takes a prepared picture."""
    graph = onnx.load(model_file).graph
    first = next(node for node in graph.node if node.op_type == "QuantizeLinear")
    steps = {constant.name: constant for constant in graph.initializer}
    return numpy_helper.to_array(steps[first.input[1]]).item()


@says
def profile(times_as_long: float, table: pd.DataFrame) -> dict:
    """What one multiplication takes in a depthwise convolution, against the others."""
    table = table.loc[["depthwise convolutions", "other convolutions"]]
    depthwise, others = table["ms"] / table["multiplications, millions"]
    slips = {"of_all": np.divide(*table["ms"]), "inverse": others / depthwise}
    expect(times_as_long, depthwise / others, near=0.05, **slips)
    return {"times": depthwise / others}


@says
def fallen(number: int, one: np.ndarray, other: np.ndarray, step: float) -> dict:
    """How many numbers of a picture, prepared twice, are rounded to other integers."""
    expected = int((np.round(one / step) != np.round(other / step)).sum())
    expect_count(number, expected, unrounded=int((one != other).sum()))
    most = float(np.abs(one - other).max()) / step
    return {"expected": expected, "total": one.size, "most": most}


@says
def live_mean(mean_of: Callable[[Sequence[tuple], float], Sequence[float]]) -> dict:
    """The mean of the answers that are less than half a second old."""
    answers = [(0.0, [0.9, 0.1]), (0.6, [0.2, 0.8]), (1.0, [0.6, 0.4])]
    found = np.asarray(given(mean_of(answers, 1.05)), float)
    need(found.shape == (2,), "shape")
    of_all = np.mean([probabilities for _, probabilities in answers], axis=0)
    expect(found, [0.4, 0.6], last=[0.6, 0.4], of_all=of_all)
    return {}


@says
def unpacked(size_of: Callable, pocket: Path | None, fetched: dict) -> dict | str:
    """What files of a page weigh if the .gz ones are counted as once unpacked."""
    with tempfile.TemporaryDirectory() as scratch:
        packed, folder = gzip.compress(bytes(5000)), Path(scratch)
        (folder / "page.js").write_bytes(b"x" * 300)
        (folder / "model.gz").write_bytes(packed)
        (folder / "other.gz").write_bytes(gzip.compress(bytes(700)))
        found = size_of(folder, ["page.js", "model.gz"])
    expect(found, 5300, folder=6000, packed=300 + len(packed))
    if pocket is None:
        return "(There is no page here to weigh.)"
    before, after = size_of(pocket, list(fetched)) / 1e6, sum(fetched.values()) / 1e6
    return {"before": before, "after": after}
