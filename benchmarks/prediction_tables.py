"""Tables of what predictions cost."""

from collections.abc import Sequence

import pandas as pd

from benchmarks.plan import TURN, Bench
from benchmarks.report import Goal, Table, count, times
from benchmarks.routes import Route
from going_modular.predictions import WARM_UP

MEGAPIXELS = (12, 48)
JPEG_QUALITY = 90
GRAIN = 4  # standard deviation of the added brightness, of 255
GOAL_TIMES, GOAL_BIG = 8, 3


def predictions_table(
    bench: Bench, routes: Sequence[Route], answers: pd.DataFrame
) -> Table:
    """Whole predictions, a row a route."""
    medians = answers.groupby("route").ms.median()
    rows = []
    for route in routes:
        own = answers[answers.route == route.name]
        first = own[own["round"] == 0]
        rows.append(
            (
                route.name,
                f"{medians[route.name]:.1f}",
                f"{own.ms.quantile(0.95):.1f}",
                f"{1000 / medians[route.name]:.0f}",
                times(medians[routes[0].name] / medians[route.name]),
                count(first.right.sum(), len(first), counted=route.counted),
            )
        )
    return Table(
        f"{len(answers) // len(routes)} predictions by each route on "
        f"{bench.pictures.label}, one at a time, the routes taking turns of {TURN}; "
        f"threads: {bench.plan.threads}:",
        ("route", "median ms", "95th pct ms", "a second", "faster", "right"),
        rows,
        (
            "Median and percentile are over all predictions; \"faster\" and \"a "
            "second\" are of medians. Each network and session is loaded once; every "
            f"turn begins with a warm-up of {WARM_UP} that is not counted.",
            "The usual way decodes with PIL and prepares the picture with the preset "
            "transforms of torchvision's weights. EffNet-Lite2 in PyTorch and ONNX "
            "fp32 decode with PIL too; int8 is the app's own `model.py` with all it "
            "does.",
        ),
    )  # fmt: skip


def networks_table(
    bench: Bench, routes: Sequence[Route], alone: dict[str, float], peaks: dict
) -> Table:
    """The networks alone, and what share of the machine's peak they reach."""
    rows = []
    for route in routes:
        rate = route.multiply_adds / (alone[route.name] / 1000)
        rows.append(
            (
                route.name,
                f"{route.multiply_adds / 1e6:,.0f}",
                f"{alone[route.name]:.1f}",
                f"{rate / 1e9:.0f}",
                f"{rate / peaks[route.precision]:.0%} of {route.precision}",
            )
        )
    side = bench.plan.peak_side
    measured = " and ".join(
        f"{peak / 1e9:.0f} billion multiply-adds a second in {precision}"
        for precision, peak in peaks.items()
    )
    return Table(
        f"The networks alone, on a picture that is ready, in turns, median of "
        f"{bench.plan.network_runs}:",
        (
            "network",
            "million multiply-adds",
            "median ms",
            "billion a second",
            "share of peak",
        ),
        rows,
        (
            f"The peak was measured with matrices of {side} x {side}, the best of "
            f"several: {measured} (PyTorch's `mm`; ONNX Runtime's MatMulInteger).",
            "Multiply-adds are those of convolutions and linear layers.",
        ),
    )


def big_table(big: pd.DataFrame) -> Table:
    """Median milliseconds by size of picture and route."""
    small = big.iloc[0]
    rows = [
        (
            size,
            *(
                f"{ms:.1f} ({times(ms / small[name])})"
                for name, ms in zip(big.columns, medians, strict=True)
            ),
        )
        for size, *medians in big.itertuples()
    ]
    return Table(
        "Big pictures: median milliseconds, and how many times those of the first row.",
        ("picture", *big.columns),
        rows,
        (
            "The big ones are the first, enlarged, with grain like a camera's "
            f"(standard deviation {GRAIN} of 255), saved as JPEGs of quality "
            f"{JPEG_QUALITY}.",
            "The app decodes a big JPEG at an eighth of its size. What remains is "
            "reading its Huffman codes from end to end, which no reduced size spares.",
        ),
    )


def goals(
    routes: Sequence[Route], answers: pd.DataFrame, big: pd.DataFrame
) -> list[Goal]:
    """What a prediction by the last route was meant to cost, against the first."""
    usual, ours = routes[0].name, routes[-1].name
    medians = answers.groupby("route").ms.median()
    ratio = medians[usual] / medians[ours]
    text = f"a prediction from JPEG bytes at least {GOAL_TIMES} times faster"
    reached = [Goal(text, times(ratio), ratio >= GOAL_TIMES)]
    for place, megapixels in enumerate(MEGAPIXELS, start=1):
        cost = big[ours].iloc[place] / big[ours].iloc[0]
        text = (
            f"{megapixels} megapixels at most {GOAL_BIG} times the cost of a small one"
        )
        reached.append(Goal(text, times(cost), cost <= GOAL_BIG))
    return reached
