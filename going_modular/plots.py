"""The lesson's plots. Each returns its figure; each axis says what it shows."""

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

import matplotlib.pyplot as plt
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


def plot_loss_curves(histories: dict[str, list[Epoch]], *, where: str) -> Figure:
    """Loss over the epochs, trained on and held out, one panel a contender."""
    figure, axes = plt.subplots(
        1,
        len(histories),
        figsize=(WIDTH, 3.2),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
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


def _draw_goals(axis: plt.Axes) -> None:
    right_edge = 1.4 * max(GOAL_PER_SECOND, axis.get_xlim()[1])
    bottom = min(88.0, axis.get_ylim()[0])
    axis.set(xlim=(0, right_edge), ylim=(bottom, 102))
    corner = (GOAL_PER_SECOND, 100 * GOAL_RIGHT)
    width, height = right_edge - corner[0], 102 - corner[1]
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


def plot_familiarity(
    ours: Sequence[float], strangers: Sequence[float], *, threshold: float, where: str
) -> Figure:
    """How familiar test pictures and pictures that are no food are to the model."""
    figure, axis = plt.subplots(figsize=(WIDTH, 3.2), layout="constrained")
    lowest = min(*ours, *strangers, threshold)
    bins = [lowest + (1 - lowest) * step / 40 for step in range(41)]
    axis.hist(ours, bins, color=COLOURS[2], alpha=0.8, label=where)
    axis.hist(strangers, bins, color=COLOURS[0], alpha=0.8, label="no food")
    axis.axvline(threshold, color=COLOURS[1], linestyle="--", label="threshold")
    axis.set(xlabel="familiarity", ylabel="pictures")
    axis.legend(frameon=False, loc="upper left")
    return figure


def plot_drift(
    table: pd.DataFrame, worlds: dict[str, int], *, threshold: float, window: int = 15
) -> Figure:
    """What an app noted, answer by answer, while the world around it changed.

    Args:
        table: From `read_feedback`.
        worlds: What was sent and how many answers long, in order.
        threshold: The model's, for familiarity.
        window: Answers that the thick line takes the median, or the share, of.
    """
    shown = {
        "probability of the guess": table.score,
        "familiarity": table.familiarity,
        "thumbs down, share": (table.thumb == "down").astype(float),
    }
    figure, axes = plt.subplots(
        3, 1, figsize=(WIDTH, 6.5), sharex=True, layout="constrained"
    )
    for axis, (name, values) in zip(axes, shown.items(), strict=True):
        rolling = values.rolling(window, min_periods=1)
        is_share = name.startswith("thumbs")
        axis.plot(rolling.mean() if is_share else rolling.median(), color=COLOURS[1])
        if not is_share:
            axis.plot(values, ".", color=COLOURS[0], alpha=0.35)
        axis.set(ylabel=name, ylim=(min(0, values.min()), 1.05))
        axis.grid(alpha=0.3)
        begin = 0
        for world, length in worlds.items():
            axis.axvline(begin - 0.5, color=COLOURS[3])
            if axis is axes[0]:
                axis.text(begin, 1.08, world, fontsize=9)
            begin += length
    axes[1].axhline(threshold, color=COLOURS[1], linestyle="--")
    axes[2].set(xlabel="answer, in the order they came")
    return figure


def plot_class_accuracy(table: pd.DataFrame, *, where: str, columns: int = 2) -> Figure:
    """The share right of every class, best first, with its 95% Wilson interval.

    Args:
        table: From `class_table` of `big/`.
        where: What it was measured on.
        columns: Panels beside each other, for many classes.
    """
    rows = -(-len(table) // columns)
    figure, axes = plt.subplots(
        1,
        columns,
        figsize=(WIDTH, 1.2 + 0.17 * rows),
        sharex=True,
        squeeze=False,
        layout="constrained",
    )
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
