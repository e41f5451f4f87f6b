"""The lesson's plots. Each returns its figure; each axis says what it shows."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from going_modular.datasets import load_picture
from going_modular.engine import Epoch
from going_modular.evaluation import GOAL_PER_SECOND as GOAL
from going_modular.evaluation import GOAL_RIGHT, Report, wilson_interval

COLOURS = RED, DARK, GREEN, YELLOW = ("#d1495b", "#22313f", "#3a7d44", "#edae49")
WIDTH = 9  # inches: no wider than the page
DOT_AREA = 8  # square points for each megabyte


def _panels(columns: int, height: float, *, rows: int = 1, **shared: bool):
    """A figure as wide as the page, of a height in inches, and its axes in order."""
    size = {"figsize": (WIDTH, height), "layout": "constrained"}
    figure, axes = plt.subplots(rows, columns, squeeze=False, **size, **shared)
    for axis in axes.flat:
        axis.grid(alpha=0.3)
    return figure, [*axes.flat]


def _error_bars(axis: plt.Axes, x, share, low, high, **style) -> None:
    """Points with their intervals, all shares in percent; rounding may not turn one."""
    reach = [np.clip(share - low, 0, None), np.clip(high - share, 0, None)]
    axis.errorbar(x, share, yerr=np.reshape(reach, (2, -1)), clip_on=False, **style)


def plot_pictures(files: Sequence[Path], titles: Sequence[str], *, columns=4) -> Figure:
    """Show pictures in a grid, each under its title."""
    rows = -(-len(files) // columns)
    figure, axes = _panels(columns, 2.6 * rows, rows=rows)
    for axis in axes:
        axis.axis("off")
    for axis, file, title in zip(axes, files, titles, strict=False):
        axis.imshow(load_picture(file))
        axis.set_title(title, fontsize=10)
    return figure


def plot_most_wrong(predictions: pd.DataFrame, *, count: int = 4) -> Figure:
    """The pictures whose own class got the least probability, worst first."""
    worst = predictions.sort_values("prob_truth", kind="stable").head(count)
    titles = [
        f"{row.truth}, right but\nonly {row.prob_truth:.0%} sure"
        if row.right
        else f"{row.truth}, taken for\n{row.guess} ({row.prob_guess:.0%} sure)"
        for row in worst.itertuples()
    ]
    return plot_pictures(list(worst.file), titles, columns=count)


def plot_loss_curves(histories: dict[str, list[Epoch]], *, where: str) -> Figure:
    """Loss over the epochs, trained on and held out, one panel a contender."""
    figure, axes = _panels(len(histories), 3.2, sharey=True)
    for axis, (name, history) in zip(axes, histories.items(), strict=True):
        losses = [(epoch.train.loss, epoch.val.loss) for epoch in history]
        epochs, columns = range(1, len(losses) + 1), ["trained on", "held out"]
        table = pd.DataFrame(losses, epochs, columns)
        table.plot(ax=axis, color=(DARK, RED), legend=False, xlabel="epoch", grid=True)
        axis.set_title(name, fontsize=10)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
    axes[0].set(ylabel="cross-entropy loss", ylim=(0, None))
    axes[0].legend(frameon=False)
    figure.suptitle(f"Cross-validation on {where}", fontsize=11)
    return figure


def plot_speed_accuracy(reports: dict[str, Report], *, where: str) -> Figure:
    """Predictions a second against the share right; the dot's area is the file's size.

    Error bars are 95% Wilson intervals. A hollow dot stands for a published count.
    """
    figure, (axis,) = _panels(1, 5)
    shown = {name: r for name, r in reports.items() if r.count_and_total is not None}
    for (name, report), colour in zip(shown.items(), COLOURS, strict=False):
        right, total = report.count_and_total
        low, high = (100 * share for share in wilson_interval(right, total))
        x, share = report.per_second, 100 * right / total
        published = "\n(published)" if report.right is None else ""
        label = f"{name}\n{right} of {total}{published}\n{report.megabytes:.0f} MB"
        _error_bars(axis, x, share, low, high, color=colour, capsize=4, label=label)
        dot = {"s": DOT_AREA * report.megabytes, "edgecolor": colour, "linewidth": 2}
        face = "white" if published else colour
        axis.scatter(x, share, facecolor=face, **dot, zorder=3, clip_on=False)
    edge = 1.4 * max(GOAL, axis.get_xlim()[1])
    axis.set(xlim=(0, edge), ylim=(min(88.0, axis.get_ylim()[0]), 100))
    axis.fill_between([GOAL, edge], 100 * GOAL_RIGHT, 100, color=YELLOW, alpha=0.15)
    style = {"ha": "right", "va": "bottom", "color": "#7a5a10"}
    axis.text(0.99 * edge, 100 * GOAL_RIGHT, "both goals met", **style)
    axis.set_xlabel("predictions a second on this CPU, one at a time (file to answer)")
    axis.set_ylabel("right, % of test pictures")
    if shown:
        figure.legend(loc="outside lower center", ncols=len(shown), frameon=False)
    figure.suptitle(f"Speed against accuracy on {where}", fontsize=12)
    return figure


def plot_time_parts(predictions: dict[str, pd.DataFrame], *, where: str) -> Figure:
    """Where the median time of a prediction goes, by contender, from `take_turns`."""
    parts = {}
    for name, table in predictions.items():
        decode, network = table.decode_ms.median(), table.forward_ms.median()
        prepare = (table.total_ms - table.decode_ms - table.forward_ms).median()
        before = (decode + prepare) / (decode + prepare + network)
        sums = f"{decode:.1f} + {prepare:.1f} + {network:.1f} ms"
        label = f"{name}: {sums},\n{before:.0%} before the network"
        parts[label] = decode, prepare, network
    figure, (axis,) = _panels(1, 1.5 + 0.5 * len(parts))
    columns = ["decoding the file", "preparing the picture", "the network"]
    table = pd.DataFrame.from_dict(parts, orient="index", columns=columns)
    table.plot.barh(ax=axis, stacked=True, legend=False, color=(YELLOW, GREEN, DARK))
    axis.axvline(1000 / GOAL, color=RED, linestyle="--")
    at = {"transform": axis.get_xaxis_transform(), "ha": "center", "va": "bottom"}
    axis.text(1000 / GOAL, 1.01, f"{GOAL} a second", color=RED, **at)
    axis.set(xlabel="milliseconds, medians; one picture at a time, CPU")
    axis.set_title(f"From file to answer, {where}", fontsize=11, pad=18)
    axis.grid(visible=False)
    axis.invert_yaxis()  # the first contender on top
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    return figure


def plot_rounding(weights: np.ndarray, *, bits: int = 7) -> Figure:
    """What integers of some bits, one for the sign, make of a channel's weights (N,).

    As in `quantize`, the largest weight of either sign becomes the largest integer.
    """
    most = 2 ** (bits - 1) - 1
    scale = np.abs(weights).max() / most
    rounded = scale * np.round(weights / scale)
    figure, (left, right) = _panels(2, 4)
    grid = scale * np.arange(-most, most + 1)
    left.hist(weights, bins=[*(grid - scale / 2), grid[-1] + scale / 2], color=DARK)
    left.plot(grid, 0 * grid, "|", color=RED, label="values that are stored")
    left.set(xlabel="weight (fp32)", ylabel="weights that get this value")
    left.yaxis.set_major_locator(MaxNLocator(integer=True))
    left.legend(frameon=False, fontsize=8, loc="upper left")
    left.grid(visible=False)
    top = left.secondary_xaxis("top", (lambda w: w / scale, lambda n: n * scale))
    top.set_xlabel(f"integer it becomes, {-most} to {most}")

    worst = np.abs(rounded - weights).argmax()
    x, y = weights[worst], rounded[worst]
    line = np.clip(x + scale * np.linspace(-4.8, 4.8, 2001), grid[0], grid[-1])
    stairs = scale * np.round(line / scale)
    right.plot(line, line, color=YELLOW, label="unrounded")
    right.plot(line, stairs, color=DARK, linewidth=1, label="rounded")
    near = np.abs(weights - x) < 4.8 * scale
    right.plot(weights[near], rounded[near], ".", color=DARK, label="weights")
    right.plot([x, x], [x, y], color=RED, linewidth=3)
    note = f"largest error: {abs(x - y):.2g},\n{abs(x - y) / scale:.2f} of a step"
    style = {"color": RED, "arrowprops": {"arrowstyle": "->", "color": RED}}
    beside = {"xytext": (20, -30), "textcoords": "offset points"}
    right.annotate(note, (x, (x + y) / 2), **beside, **style)
    right.set(xlabel="weight (fp32)", ylabel="integer times step", xlim=line[[0, -1]])
    right.legend(frameon=False)
    what = f"{len(weights):,} weights of one channel in {bits} bits: one step is"
    left_over = f"{len(np.unique(rounded))} different values are left"
    figure.suptitle(f"{what} {scale:.2g}; {left_over}", fontsize=11)
    return figure


def plot_reliability(tables: dict[str, pd.DataFrame], *, where: str) -> Figure:
    """How often answers were right against how sure they were: from `reliability`."""
    figure, axes = _panels(len(tables), 4.2, sharey=True)
    beside = {"xytext": (6, -4), "textcoords": "offset points", "fontsize": 8}
    for axis, (name, table) in zip(axes, tables.items(), strict=True):
        axis.plot([0, 100], [0, 100], color=DARK, linestyle="--", linewidth=1)
        percent = 100 * table[["said", "share", "low", "high"]]
        _error_bars(axis, *percent.to_numpy().T, fmt="o", color=RED, capsize=3)
        for x, y, total in zip(percent.said, percent.share, table.total, strict=True):
            axis.annotate(f"{total}", (x, y), **beside)
        axis.set(title=name, xlabel="said: mean probability, %", xlim=(30, 100))
    axes[0].set(ylabel="came true: right answers, %", ylim=(0, 100))
    figure.suptitle(f"{where}; the numbers count the answers of a bin", fontsize=11)
    return figure


def plot_strangers(
    groups: dict[str, tuple[Sequence[float], Sequence[float]]],
    *,
    knn_similarity_threshold: float,
    in_distribution_threshold: float,
) -> Figure:
    """Both scores of the gate, for each picture of our dishes, others, and no food."""
    figure, (axis,) = _panels(1, 4.6)
    colours = (GREEN, YELLOW, RED)
    for (name, (likeness, scores)), colour in zip(groups.items(), colours, strict=True):
        shown = np.clip(scores, 0.004, 0.996)  # for the scale
        label = f"{name} ({len(shown)})"
        axis.scatter(likeness, shown, s=16, color=colour, alpha=0.75, label=label)
    left, right = axis.get_xlim()
    line = {"color": DARK, "linestyle": "--"}
    axis.axvline(knn_similarity_threshold, **line)
    axis.hlines(in_distribution_threshold, knn_similarity_threshold, right, **line)
    at = {"transform": axis.transAxes, "color": DARK}
    axis.text(0.01, 0.95, "no plate", **at)
    axis.text(0.99, 0.95, "let through", ha="right", **at)
    axis.text(0.99, 0.04, "another dish", ha="right", **at)
    axis.set(xlabel="knn_similarity", ylabel="in_distribution_score", yscale="logit")
    axis.set(xlim=(left, right), ylim=(0.003, 0.997))
    ticks = (0.01, 0.05, 0.2, 0.5, 0.8, 0.95, 0.99)
    axis.set_yticks(ticks, labels=ticks)
    axis.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
    return figure


def plot_drift(
    table: pd.DataFrame, worlds: dict[str, int], *, thresholds: dict[str, float]
) -> Figure:
    """What an app noted (`read_feedback`), and the median or share of 15 answers.

    `worlds` are what was sent, in order, and how many answers long.
    """
    names = ("score", "knn_similarity", "in_distribution_score")
    figure, (*above, last) = _panels(1, 8, rows=len(names) + 1, sharex=True)
    for axis, name in zip(above, names, strict=True):
        axis.plot(table[name].rolling(15, min_periods=1).median(), color=DARK)
        axis.plot(table[name], ".", color=RED, alpha=0.35)
        if name in thresholds:
            axis.axhline(thresholds[name], color=DARK, linestyle="--")
        axis.set(ylabel=name, ylim=(min(0, table[name].min()), 1.05))
    above[0].set(ylabel="probability of the guess")
    down = (table.thumb == "down").astype(float)
    last.plot(down.rolling(15, min_periods=1).mean(), color=DARK)
    last.set(ylabel="thumbs down, share", ylim=(0, 1.05))
    last.set(xlabel="answer, in the order they came")
    begins = np.cumsum([0, *worlds.values()])
    for axis in (*above, last):
        for world, begin in zip(worlds, begins, strict=False):
            axis.axvline(begin - 0.5, color=YELLOW)
            axis.text(begin, 1.08, world if axis is above[0] else "", fontsize=9)
    return figure


def plot_class_accuracy(table: pd.DataFrame, *, where: str) -> Figure:
    """The share right of each class in a `class_table`, with its interval."""
    rows = -(-len(table) // 2)
    figure, axes = _panels(2, 1.2 + 0.17 * rows, sharex=True)
    for axis, begin in zip(axes, (0, rows), strict=True):
        part = 100 * table.iloc[begin : begin + rows]
        axis.hlines(part.index, part.low, part.high, color=DARK, alpha=0.4)
        axis.scatter(part.share, part.index, color=RED, s=14, zorder=3, clip_on=False)
        axis.set(xlim=(0, 100), ylim=(rows - 0.3, -0.7))
        axis.set_xlabel("right, % of its test pictures")
        axis.tick_params(axis="y", labelsize=7, length=0)
        axis.grid(axis="y", visible=False)
    low, high = table.total.min(), table.total.max()
    each = f"{low}" if low == high else f"{low} to {high}"
    figure.suptitle(f"Class by class, {each} pictures each, {where}", fontsize=11)
    return figure
