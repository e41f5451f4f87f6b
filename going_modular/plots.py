"""The lesson's plots. Each returns its figure; each axis says what it shows."""

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from going_modular.datasets import load_picture
from going_modular.engine import Epoch
from going_modular.goals import (
    GOAL_PER_SECOND,
    GOAL_RIGHT,
    Report,
    wilson_interval,
)

COLOURS = ("#d1495b", "#22313f", "#3a7d44", "#edae49")
WIDTH = 9  # inches: no wider than the page
DOT_AREA = 8  # square points for each megabyte


def plot_pictures(files: Sequence[Path], titles: Sequence[str], *, columns=4) -> Figure:
    """Show pictures in a grid, each under its title."""
    rows = -(-len(files) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(WIDTH, 2.6 * rows), squeeze=False, layout="constrained"
    )
    for axis in axes.flat:
        axis.axis("off")
    for axis, file, title in zip(axes.flat, files, titles, strict=False):
        axis.imshow(load_picture(file))
        axis.set_title(title, fontsize=10)
    return figure


def _panels(count: int, height: float, **shared: bool):
    """Panels beside each other, as wide as the page; height in inches."""
    size = {"figsize": (WIDTH, height), "layout": "constrained"}
    return plt.subplots(1, count, squeeze=False, **size, **shared)


def plot_loss_curves(histories: dict[str, list[Epoch]], *, where: str) -> Figure:
    """Loss over the epochs, trained on and held out, one panel a contender."""
    figure, axes = _panels(len(histories), 3.2, sharey=True)
    for axis, (name, history) in zip(axes.flat, histories.items(), strict=True):
        epochs = range(1, len(history) + 1)
        trained = [epoch.train.loss for epoch in history]
        axis.plot(epochs, trained, color=COLOURS[1], label="trained on")
        held_out = [epoch.check.loss for epoch in history]
        axis.plot(epochs, held_out, color=COLOURS[0], label="held out")
        axis.set(title=name, xlabel="epoch")
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
    figure, axis = plt.subplots(figsize=(WIDTH, 5), layout="constrained")
    for (name, report), colour in zip(reports.items(), cycle(COLOURS), strict=False):
        if report.count_and_total is None:
            continue
        published = report.right is None
        right, total = report.count_and_total
        low, high = (100 * share for share in wilson_interval(right, total))
        share = 100 * right / total
        axis.errorbar(
            report.per_second,
            share,
            yerr=[[share - low], [high - share]],
            color=colour,
            capsize=4,
            zorder=2,
        )
        axis.scatter(
            report.per_second,
            share,
            s=DOT_AREA * report.megabytes,
            facecolor="white" if published else colour,
            edgecolor=colour,
            linewidth=2,
            zorder=3,
            clip_on=False,
        )
        note = f"{name}\n{right} of {total}{' (published)' if published else ''}"
        axis.annotate(
            f"{note}\n{report.megabytes:.0f} MB",
            (report.per_second, share),
            xytext=((DOT_AREA * report.megabytes) ** 0.5 / 2 + 8, 0),
            textcoords="offset points",
            va="center",
        )
    _draw_goals(axis)
    axis.set(
        title=f"Speed against accuracy on {where}",
        xlabel="predictions a second on this CPU, one at a time (file to answer)",
        ylabel="right, % of test pictures",
    )
    return figure


def plot_time_parts(predictions: dict[str, pd.DataFrame], *, where: str) -> Figure:
    """Where the time of one prediction goes: decoding, preparing, the network.

    Args:
        predictions: A table a contender, from `take_turns`.
        where: What was predicted.
    """
    figure, axis = plt.subplots(
        figsize=(WIDTH, 1.2 + 0.5 * len(predictions)), layout="constrained"
    )
    names = list(predictions)[::-1]
    left = np.zeros(len(names))
    tables = [predictions[name] for name in names]
    prepare = [t.total_ms - t.decode_ms - t.forward_ms for t in tables]
    parts = {
        "decoding the file": [table.decode_ms.median() for table in tables],
        "preparing the picture": [milliseconds.median() for milliseconds in prepare],
        "the network": [table.forward_ms.median() for table in tables],
    }
    for (what, milliseconds), colour in zip(
        parts.items(), (COLOURS[3], COLOURS[2], COLOURS[1]), strict=True
    ):
        axis.barh(names, milliseconds, left=left, color=colour, label=what)
        left = left + milliseconds
    for row, (table, start) in enumerate(zip(tables, prepare, strict=True)):
        around = table.decode_ms.median() + start.median()
        note = f" {left[row]:.0f} ms, {around:.1f} of them not the network"
        axis.annotate(note, (left[row], row), va="center", fontsize=9)
    axis.axvline(1000 / GOAL_PER_SECOND, color=COLOURS[0], linestyle="--")
    axis.set(
        xlim=(0, 1.45 * max(left)),
        xlabel=f"median milliseconds of one prediction, {where}; "
        f"dashed: {GOAL_PER_SECOND} a second",
    )
    above = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0), "ncols": 3}
    axis.legend(frameon=False, **above)
    return figure


def plot_rounding(weights: np.ndarray, *, bits: int = 7) -> Figure:
    """What integers make of the weights of one channel.

    Args:
        weights: Of one output channel, (N,).
        bits: Of the integers, one of them for the sign; the scale is symmetric, as for
            a channel in `quantize`.
    """
    steps = 2 ** (bits - 1) - 1
    scale = np.abs(weights).max() / steps
    rounded = np.round(weights / scale)
    figure, axes = _panels(2, 3.4)
    kinds, (left, right) = len(np.unique(rounded)), axes.flat
    left.hist(weights, bins=40, color=COLOURS[1])
    left.set(title=f"{len(weights)} weights of one channel", xlabel="weight, fp32")
    left.set(ylabel="how many")
    line = np.linspace(-8.5 * scale, 8.5 * scale, 2000)
    right.plot(line, line, color=COLOURS[3], linewidth=1)
    right.plot(line, np.round(line / scale) * scale, color=COLOURS[1])
    near = np.abs(weights) <= 8.5 * scale
    right.plot(weights[near], rounded[near] * scale, "o", color=COLOURS[0], ms=4)
    right.set(title=f"stored as one of {2 * steps + 1} steps; {kinds} are used")
    right.set(xlabel=f"weight, fp32 (near 0)   one step: {scale:.2g}")
    right.set(ylabel="weight after rounding")
    for axis in axes.flat:
        axis.grid(alpha=0.3)
    return figure


def _draw_goals(axis: plt.Axes) -> None:
    right_edge = 1.4 * max(GOAL_PER_SECOND, axis.get_xlim()[1])
    bottom = min(88.0, axis.get_ylim()[0])
    axis.set(xlim=(0, right_edge), ylim=(bottom, 100))
    corner = (GOAL_PER_SECOND, 100 * GOAL_RIGHT)
    width, height = right_edge - corner[0], 100 - corner[1]
    axis.add_patch(plt.Rectangle(corner, width, height, color=COLOURS[3], alpha=0.15))
    axis.annotate(
        "both goals met",
        (right_edge, corner[1]),
        xytext=(-6, 6),
        textcoords="offset points",
        ha="right",
        color="#7a5a10",
    )
    axis.grid(alpha=0.3)


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


def plot_reliability(tables: dict[str, pd.DataFrame], *, where: str) -> Figure:
    """How often answers were right against how sure they were, with 95% intervals.

    Args:
        tables: What was measured, by name, each from `reliability`.
        where: What it was measured on.
    """
    figure, axes = _panels(len(tables), 4.2, sharey=True)
    for axis, (name, table) in zip(axes.flat, tables.items(), strict=True):
        axis.plot([0, 100], [0, 100], color=COLOURS[1], linestyle="--", linewidth=1)
        said, share = 100 * table.said, 100 * table.share
        reach = [share - 100 * table.low, (100 * table.high - share).clip(lower=0)]
        axis.errorbar(
            said, share, yerr=reach, fmt="o", color=COLOURS[0], capsize=3, clip_on=False
        )
        for x, low, total in zip(said, 100 * table.low, table.total, strict=True):
            axis.annotate(
                f"{total}",
                (x, low),
                xytext=(0, -12),
                textcoords="offset points",
                ha="center",
                fontsize=8,
            )
        axis.set(title=name, xlabel="said: mean probability, %", xlim=(30, 100))
        axis.grid(alpha=0.3)
    axes.flat[0].set(ylabel="came true: right answers, %", ylim=(-8, 100))
    figure.suptitle(f"{where}; the numbers count the answers of a bin", fontsize=11)
    return figure


def plot_strangers(
    groups: dict[str, tuple[Sequence[float], Sequence[float]]],
    *,
    familiarity_threshold: float,
    ours_threshold: float,
) -> Figure:
    """Where our dishes and strangers lie by both scores of the gate.

    Args:
        groups: Familiarity and ours of each picture, by what the pictures are; ours
            first, then the nearest strangers.
        familiarity_threshold: The gate's: left of it is no plate.
        ours_threshold: The gate's: below it is another dish.
    """
    figure, axis = plt.subplots(figsize=(WIDTH, 4.6), layout="constrained")
    colours = (COLOURS[2], COLOURS[3], COLOURS[0])
    for (name, (likeness, ours)), colour in zip(groups.items(), colours, strict=False):
        shown = [min(max(score, 0.004), 0.996) for score in ours]  # for the scale
        label = f"{name} ({len(shown)})"
        axis.scatter(likeness, shown, s=16, color=colour, alpha=0.75, label=label)
    axis.axvline(familiarity_threshold, color=COLOURS[1], linestyle="--")
    left, right = axis.get_xlim()
    start = (familiarity_threshold - left) / (right - left)
    axis.axhline(ours_threshold, xmin=start, color=COLOURS[1], linestyle="--")
    for text, x, y, side in (
        ("no plate", 0.01, 0.95, "left"),
        ("let through", 0.99, 0.95, "right"),
        ("another dish", 0.99, 0.04, "right"),
    ):
        axis.text(x, y, text, transform=axis.transAxes, ha=side, color=COLOURS[1])
    axis.set(
        xlabel="familiarity",
        ylabel="ours",
        yscale="logit",
        xlim=(left, right),
        ylim=(0.003, 0.997),
        yticks=(ticks := (0.01, 0.05, 0.2, 0.5, 0.8, 0.95, 0.99)),
        yticklabels=[f"{tick:g}" for tick in ticks],
    )
    above = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0), "ncols": len(groups)}
    axis.legend(frameon=False, **above)
    axis.grid(alpha=0.3)
    return figure


def plot_drift(
    table: pd.DataFrame,
    worlds: dict[str, int],
    *,
    thresholds: dict[str, float],
    window: int = 15,
) -> Figure:
    """What an app noted, answer by answer, while the world around it changed.

    Args:
        table: From `read_feedback`.
        worlds: What was sent and how many answers long, in order.
        thresholds: The model's, for familiarity and ours.
        window: Answers that the thick line takes the median, or the share, of.
    """
    shown = {
        "probability of the guess": table.score,
        "familiarity": table.familiarity,
        "ours": table.ours,
        "thumbs down, share": (table.thumb == "down").astype(float),
    }
    figure, axes = plt.subplots(
        len(shown), 1, figsize=(WIDTH, 8), sharex=True, layout="constrained"
    )
    for axis, (name, values) in zip(axes, shown.items(), strict=True):
        rolling = values.rolling(window, min_periods=1)
        is_share = name.startswith("thumbs")
        axis.plot(rolling.mean() if is_share else rolling.median(), color=COLOURS[1])
        if not is_share:
            axis.plot(values, ".", color=COLOURS[0], alpha=0.35)
        if name in thresholds:
            axis.axhline(thresholds[name], color=COLOURS[1], linestyle="--")
        axis.set(ylabel=name, ylim=(min(0, values.min()), 1.05))
        axis.grid(alpha=0.3)
        begin = 0
        for world, length in worlds.items():
            axis.axvline(begin - 0.5, color=COLOURS[3])
            if axis is axes[0]:
                axis.text(begin, 1.08, world, fontsize=9)
            begin += length
    axes[-1].set(xlabel="answer, in the order they came")
    return figure


def plot_class_accuracy(table: pd.DataFrame, *, where: str, columns: int = 2) -> Figure:
    """The share right of every class, best first, with its 95% Wilson interval.

    Args:
        table: From `class_table` of `big/`.
        where: What it was measured on.
        columns: Panels beside each other, for many classes.
    """
    rows = -(-len(table) // columns)
    figure, axes = _panels(columns, 1.2 + 0.17 * rows, sharex=True)
    for number, axis in enumerate(axes.flat):
        part = 100 * table.iloc[number * rows : (number + 1) * rows]
        axis.hlines(part.index, part.low, part.high, color=COLOURS[1], alpha=0.4)
        dots = axis.scatter(part.share, part.index, color=COLOURS[0], s=14, zorder=3)
        dots.set_clip_on(False)
        axis.set(xlim=(0, 100), ylim=(rows - 0.3, -0.7))
        axis.set_xlabel("right, % of its test pictures")
        axis.tick_params(axis="y", labelsize=7, length=0)
        axis.grid(axis="x", alpha=0.3)
    low, high = table.total.min(), table.total.max()
    each = f"{low}" if low == high else f"{low} to {high}"
    figure.suptitle(f"Class by class, {each} pictures each, {where}", fontsize=11)
    return figure
