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
from going_modular.evaluation import (
    GOAL_PER_SECOND,
    GOAL_RIGHT,
    Report,
    wilson_interval,
)

COLOURS = RED, DARK, GREEN, YELLOW = ("#d1495b", "#22313f", "#3a7d44", "#edae49")
WIDTH = 9  # inches: no wider than the page
DOT_AREA = 8  # square points for each megabyte


def plot_pictures(files: Sequence[Path], titles: Sequence[str], *, columns=4) -> Figure:
    """Show pictures in a grid, each under its title."""
    rows = -(-len(files) // columns)
    figure, axes = _panels(columns, 2.6 * rows, rows=rows)
    for axis in axes.flat:
        axis.axis("off")
    for axis, file, title in zip(axes.flat, files, titles, strict=False):
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


def _panels(columns: int, height: float, *, rows: int = 1, **shared: bool):
    """Panels beside each other, as wide as the page; height in inches."""
    size = {"figsize": (WIDTH, height), "layout": "constrained"}
    return plt.subplots(rows, columns, squeeze=False, **size, **shared)


def plot_loss_curves(histories: dict[str, list[Epoch]], *, where: str) -> Figure:
    """Loss over the epochs, trained on and held out, one panel a contender."""
    figure, axes = _panels(len(histories), 3.2, sharey=True)
    for axis, (name, history) in zip(axes.flat, histories.items(), strict=True):
        losses = {
            "trained on": [epoch.train.loss for epoch in history],
            "held out": [epoch.val.loss for epoch in history],
        }
        for label, colour in zip(losses, (DARK, RED), strict=True):
            epochs = range(1, len(history) + 1)
            axis.plot(epochs, losses[label], color=colour, label=label)
        axis.set_title(name, fontsize=10)
        axis.set(xlabel="epoch")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
        axis.grid(alpha=0.3)
    axes.flat[0].set(ylabel="cross-entropy loss", ylim=(0, None))
    axes.flat[0].legend(frameon=False)
    figure.suptitle(f"Cross-validation on {where}", fontsize=11)
    return figure


def plot_speed_accuracy(reports: dict[str, Report], *, where: str) -> Figure:
    """Predictions a second against the share right; the dot's area is the file's size.

    Error bars are 95% Wilson intervals. A hollow dot stands for a published count: this
    run measured that contender's speed and size, not its accuracy.
    """
    figure, ((axis,),) = _panels(1, 5)
    shown = {name: r for name, r in reports.items() if r.count_and_total is not None}
    for (name, report), colour in zip(shown.items(), COLOURS, strict=False):
        right, total = report.count_and_total
        low, high = (100 * share for share in wilson_interval(right, total))
        x, share = report.per_second, 100 * right / total
        reach = [[max(0.0, share - low)], [max(0.0, high - share)]]
        published = "\n(published)" if report.right is None else ""
        label = f"{name}\n{right} of {total}{published}\n{report.megabytes:.0f} MB"
        style = {"color": colour, "capsize": 4, "clip_on": False}
        axis.errorbar(x, share, yerr=reach, label=label, **style)
        axis.scatter(
            x,
            share,
            s=DOT_AREA * report.megabytes,
            facecolor="white" if published else colour,
            edgecolor=colour,
            linewidth=2,
            zorder=3,
            clip_on=False,
        )
    right_edge = 1.4 * max(GOAL_PER_SECOND, axis.get_xlim()[1])
    axis.set(xlim=(0, right_edge), ylim=(min(88.0, axis.get_ylim()[0]), 100))
    corner = (GOAL_PER_SECOND, 100 * GOAL_RIGHT)
    size = (right_edge - corner[0], 100 - corner[1])
    axis.add_patch(plt.Rectangle(corner, *size, color=YELLOW, alpha=0.15))
    style = {"ha": "right", "va": "bottom", "color": "#7a5a10"}
    axis.text(0.99 * right_edge, corner[1], "both goals met", **style)
    axis.grid(alpha=0.3)
    axis.set_xlabel("predictions a second on this CPU, one at a time (file to answer)")
    axis.set_ylabel("right, % of test pictures")
    if shown:
        figure.legend(loc="outside lower center", ncols=len(shown), frameon=False)
    figure.suptitle(f"Speed against accuracy on {where}", fontsize=12)
    return figure


def plot_time_parts(predictions: dict[str, pd.DataFrame], *, where: str) -> Figure:
    """Where the median time of a prediction goes, by contender, from `take_turns`."""
    parts, notes = {}, []
    for name, table in predictions.items():
        preparing = table.total_ms - table.decode_ms - table.forward_ms
        parts[name] = {
            "decoding the file": table.decode_ms.median(),
            "preparing the picture": preparing.median(),
            "the network": table.forward_ms.median(),
        }
        decode, prepare, network = parts[name].values()
        before = (decode + prepare) / (decode + prepare + network)
        medians = f"{decode:.1f} + {prepare:.1f} + {network:.1f} ms"
        notes.append(f"{name}: {medians},\n{before:.0%} before the network")
    figure, ((axis,),) = _panels(1, 1.5 + 0.5 * len(parts))
    style = {"stacked": True, "legend": False, "color": (YELLOW, GREEN, DARK)}
    pd.DataFrame(parts, columns=list(parts)).T.plot.barh(ax=axis, **style)
    axis.set_yticklabels(notes)
    axis.axvline(1000 / GOAL_PER_SECOND, color=RED, linestyle="--")
    at = {"transform": axis.get_xaxis_transform(), "ha": "center", "va": "bottom"}
    axis.text(
        1000 / GOAL_PER_SECOND, 1.01, f"{GOAL_PER_SECOND} a second", color=RED, **at
    )
    axis.set(xlabel="milliseconds, medians; one picture at a time, CPU")
    axis.set_title(f"From file to answer, {where}", fontsize=11, pad=18)
    axis.invert_yaxis()  # the first contender on top
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    return figure


def plot_rounding(weights: np.ndarray, *, bits: int = 7) -> Figure:
    """What integers of some bits, one for the sign, make of a channel's weights (N,).

    The scale is symmetric, as for a channel in `quantize`: the largest weight, of
    either sign, becomes the largest integer.
    """
    most = 2 ** (bits - 1) - 1
    scale = np.abs(weights).max() / most
    kinds = len(np.unique(np.round(weights / scale)))
    figure, ((left, right),) = _panels(2, 4)
    grid = scale * np.arange(-most, most + 1)
    left.hist(weights, bins=[*(grid - scale / 2), grid[-1] + scale / 2], color=DARK)
    left.plot(grid, 0 * grid, "|", color=RED, label="values that are stored")
    left.set(xlabel="weight (fp32)", ylabel="weights that get this value")
    left.yaxis.set_major_locator(MaxNLocator(integer=True))
    left.legend(frameon=False, fontsize=8, loc="upper left")
    top = left.secondary_xaxis("top", (lambda w: w / scale, lambda n: n * scale))
    top.set_xlabel(f"integer it becomes, {-most} to {most}")
    _draw_staircase(right, weights, scale)
    title = f"{len(weights):,} weights of one channel in {bits} bits: one step is "
    title += f"{scale:.2g}; {kinds} different values are left"
    figure.suptitle(title, fontsize=11)
    return figure


def _draw_staircase(axis: plt.Axes, weights: np.ndarray, scale: float) -> None:
    """Weights before and after rounding, a few steps around the largest error."""
    rounded = scale * np.round(weights / scale)
    worst = np.abs(rounded - weights).argmax()
    x, y = weights[worst], rounded[worst]
    most = np.abs(weights).max()
    line = np.clip(x + scale * np.linspace(-4.8, 4.8, 2001), -most, most)
    stairs = scale * np.round(line / scale)
    axis.plot(line, line, color=YELLOW, label="unrounded")
    axis.plot(line, stairs, color=DARK, linewidth=1, label="rounded")
    near = np.abs(weights - x) < 4.8 * scale
    axis.plot(weights[near], rounded[near], ".", color=DARK, label="weights")
    axis.plot([x, x], [x, y], color=RED, linewidth=3)
    note = f"largest error: {abs(x - y):.2g},\n{abs(x - y) / scale:.2f} of a step"
    style = {"color": RED, "arrowprops": {"arrowstyle": "->", "color": RED}}
    beside = {"xytext": (20, -30), "textcoords": "offset points"}
    axis.annotate(note, (x, (x + y) / 2), **beside, **style)
    axis.set(xlabel="weight (fp32)", ylabel="integer times step", xlim=line[[0, -1]])
    axis.grid(alpha=0.3)
    axis.legend(frameon=False)


def plot_reliability(tables: dict[str, pd.DataFrame], *, where: str) -> Figure:
    """How often answers were right against how sure they were: from `reliability`."""
    figure, axes = _panels(len(tables), 4.2, sharey=True)
    for axis, (name, table) in zip(axes.flat, tables.items(), strict=True):
        axis.plot([0, 100], [0, 100], color=DARK, linestyle="--", linewidth=1)
        said, share = 100 * table.said, 100 * table.share
        reach = [share - 100 * table.low, (100 * table.high - share).clip(lower=0)]
        style = {"fmt": "o", "color": RED, "capsize": 3, "clip_on": False}
        axis.errorbar(said, share, yerr=reach, **style)
        beside = {"xytext": (6, -4), "textcoords": "offset points", "fontsize": 8}
        for x, y, total in zip(said, share, table.total, strict=True):
            axis.annotate(f"{total}", (x, y), **beside)
        axis.set(title=name, xlabel="said: mean probability, %", xlim=(30, 100))
        axis.grid(alpha=0.3)
    axes.flat[0].set(ylabel="came true: right answers, %", ylim=(0, 100))
    figure.suptitle(f"{where}; the numbers count the answers of a bin", fontsize=11)
    return figure


def plot_strangers(
    groups: dict[str, tuple[Sequence[float], Sequence[float]]],
    *,
    knn_similarity_threshold: float,
    in_distribution_threshold: float,
) -> Figure:
    """Where our dishes and strangers lie by both scores of the gate.

    `groups` holds both scores of each picture, by what the pictures are; our dishes
    first, then the nearest strangers, then no food.
    """
    figure, ((axis,),) = _panels(1, 4.6)
    colours = (GREEN, YELLOW, RED)
    for (name, (likeness, scores)), colour in zip(groups.items(), colours, strict=True):
        shown = np.clip(scores, 0.004, 0.996)  # for the scale
        label = f"{name} ({len(shown)})"
        axis.scatter(likeness, shown, s=16, color=colour, alpha=0.75, label=label)
    left, right = axis.get_xlim()
    start, line = knn_similarity_threshold, {"color": DARK, "linestyle": "--"}
    axis.axvline(start, **line)
    axis.plot([start, right], [in_distribution_threshold] * 2, **line)
    for text, x, y, side in (
        ("no plate", 0.01, 0.95, "left"),
        ("let through", 0.99, 0.95, "right"),
        ("another dish", 0.99, 0.04, "right"),
    ):
        axis.text(x, y, text, transform=axis.transAxes, ha=side, color=DARK)
    axis.set(
        xlabel="knn_similarity",
        ylabel="in_distribution_score",
        yscale="logit",
        xlim=(left, right),
        ylim=(0.003, 0.997),
        yticks=(ticks := (0.01, 0.05, 0.2, 0.5, 0.8, 0.95, 0.99)),
        yticklabels=ticks,
    )
    axis.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
    axis.grid(alpha=0.3)
    return figure


def plot_drift(
    table: pd.DataFrame, worlds: dict[str, int], *, thresholds: dict[str, float]
) -> Figure:
    """What an app noted, answer by answer, while the world around it changed.

    The thick line is the median, or the share, of the last 15 answers.

    Args:
        table: From `read_feedback`.
        worlds: What was sent and how many answers long, in order.
        thresholds: The model's, by score.
    """
    scores = {"score": "probability of the guess"}
    scores |= {name: name for name in ("knn_similarity", "in_distribution_score")}
    figure, axes = _panels(1, 8, rows=len(scores) + 1, sharex=True)
    *above, last = axes.flat
    for axis, (name, label) in zip(above, scores.items(), strict=True):
        axis.plot(table[name].rolling(15, min_periods=1).median(), color=DARK)
        axis.plot(table[name], ".", color=RED, alpha=0.35)
        if name in thresholds:
            axis.axhline(thresholds[name], color=DARK, linestyle="--")
        axis.set(ylabel=label, ylim=(min(0, table[name].min()), 1.05))
    down = (table.thumb == "down").astype(float)
    last.plot(down.rolling(15, min_periods=1).mean(), color=DARK)
    last.set(ylabel="thumbs down, share", ylim=(0, 1.05))
    last.set(xlabel="answer, in the order they came")
    for axis in axes.flat:
        axis.grid(alpha=0.3)
        begin = 0
        for world, length in worlds.items():
            axis.axvline(begin - 0.5, color=YELLOW)
            if axis is above[0]:
                axis.text(begin, 1.08, world, fontsize=9)
            begin += length
    return figure


def plot_class_accuracy(table: pd.DataFrame, *, where: str) -> Figure:
    """The share right of each class in a `class_table`, with its interval."""
    rows = -(-len(table) // 2)
    figure, axes = _panels(2, 1.2 + 0.17 * rows, sharex=True)
    for axis, begin in zip(axes.flat, (0, rows), strict=True):
        part = 100 * table.iloc[begin : begin + rows]
        axis.hlines(part.index, part.low, part.high, color=DARK, alpha=0.4)
        style = {"color": RED, "s": 14, "zorder": 3, "clip_on": False}
        axis.scatter(part.share, part.index, **style)
        axis.set(xlim=(0, 100), ylim=(rows - 0.3, -0.7))
        axis.set_xlabel("right, % of its test pictures")
        axis.tick_params(axis="y", labelsize=7, length=0)
        axis.grid(axis="x", alpha=0.3)
    low, high = table.total.min(), table.total.max()
    each = f"{low}" if low == high else f"{low} to {high}"
    figure.suptitle(f"Class by class, {each} pictures each, {where}", fontsize=11)
    return figure
