"""Checks of companion 4, in the browser: a profile, rounding, a live mean, a weight."""

import gzip
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
from onnx import numpy_helper

from going_modular.your_turn.checking import count, given, need, says

DEPTHWISE, OTHERS = "depthwise convolutions", "other convolutions"
MILLIONS = "multiplications, millions"


def first_step(model_file: Path) -> float:
    """From one 8-bit integer to the next, where a network takes a prepared picture."""
    graph = onnx.load(model_file).graph
    first = next(node for node in graph.node if node.op_type == "QuantizeLinear")
    steps = {constant.name: constant for constant in graph.initializer}
    return numpy_helper.to_array(steps[first.input[1]]).item()


@says
def profile(times_as_long: float, table: pd.DataFrame) -> str:
    """What one multiplication takes in a depthwise convolution, against the others.

    Args:
        times_as_long: The reader's ratio.
        table: With the columns "ms" and "multiplications, millions".
    """
    ms, millions = table["ms"], table[MILLIONS]
    found, each = float(times_as_long), ms / millions
    expected = each[DEPTHWISE] / each[OTHERS]
    need(
        not np.isclose(found, ms[DEPTHWISE] / ms[OTHERS], rtol=0.05),
        "that compares all of their time. Divide each by its multiplications first.",
    )
    need(
        not np.isclose(found, 1 / expected, rtol=0.05),
        "that is the other way round: depthwise first, divided by the others.",
    )
    need(
        np.isclose(found, expected, rtol=0.05),
        "divide ms by multiplications, in both rows; then divide the first by the "
        "second.",
    )
    return f"{expected:.0f} times as long for the same multiplication of two bytes."


@says
def fallen(number: int, one: np.ndarray, other: np.ndarray, step: float) -> str:
    """How many numbers of a picture are rounded to another integer.

    Args:
        number: The reader's count.
        one: The picture, prepared in one way.
        other: The same, prepared in another way.
        step: From one 8-bit integer to the next.
    """
    apart = np.round(one / step) != np.round(other / step)
    expected, number = int(apart.sum()), count(number)
    need(
        number != int((one != other).sum()) or number == expected,
        "these differ at all. Round both first: np.round(... / step).",
    )
    need(
        number == expected,
        "count where np.round(by_torch / step) and np.round(by_file / step) differ.",
    )
    most = float(np.abs(one - other).max()) / step
    return (
        f"{expected:,} of {one.size:,} numbers move by a whole step, though the two "
        f"pictures are at most {most:.4f} of a step apart."
    )


@says
def live_mean(mean_of: Callable[[Sequence[tuple], float], Sequence[float]]) -> str:
    """The mean of the answers that are less than half a second old."""
    answers = [(0.0, [0.9, 0.1]), (0.6, [0.2, 0.8]), (1.0, [0.6, 0.4])]
    found = np.asarray(given(mean_of(answers, 1.05)), float)
    need(found.shape == (2,), "return one probability for each class.")
    need(
        not np.allclose(found, [0.6, 0.4]),
        "that is the last answer alone, which makes the bars shake.",
    )
    need(
        not np.allclose(found, np.mean([p for _, p in answers], axis=0)),
        "leave the old ones out: now - then must be less than 0.5.",
    )
    need(
        np.allclose(found, [0.4, 0.6]),
        "answers of 0.6 and 1.0 s count at 1.05 s, that of 0.0 s does not; their mean "
        f"is [0.4, 0.6], not {found.tolist()}.",
    )
    return "A single odd frame no longer moves the bars by much."


@says
def unpacked(
    size_of: Callable[[Path, Sequence[str]], int],
    pocket: Path | None,
    fetched: dict[str, int],
) -> str:
    """What files weigh if the .gz ones are counted as they are once unpacked.

    Args:
        size_of: The reader's function of a folder and names of files in it.
        pocket: The folder of the page, if there is one.
        fetched: Sizes of what a first visit fetches of it, by name.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "page.js").write_bytes(b"x" * 300)
        (folder / "model.gz").write_bytes(gzip.compress(bytes(5000)))
        (folder / "other.gz").write_bytes(gzip.compress(bytes(700)))
        packed = sum(file.stat().st_size for file in folder.iterdir())
        found = int(given(size_of(folder, ["page.js", "model.gz"])))
    need(found != 6000, "count the files that are named, not all of the folder.")
    need(found > packed, "unpack the files that end in .gz before you count them.")
    need(
        found == 5300,
        f"a file of 300 bytes and one of 5,000, packed, are 5,300, not {found:,}.",
    )
    if pocket is None:
        return "(There is no page here to weigh.)"
    before, after = size_of(pocket, list(fetched)) / 1e6, sum(fetched.values()) / 1e6
    return f"Unpacked, a first visit would be {before:.1f} MB in place of {after:.1f}."
