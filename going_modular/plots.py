"""The lesson's plots. Each returns its figure; each axis says what it shows."""

from collections.abc import Sequence
from itertools import cycle
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


def _note(axis: plt.Axes, text: str, spot: tuple, right=0, up=0, **style) -> None:
    """Write so many points to the right of a spot and above it."""
    axis.annotate(text, spot, (right, up), textcoords="offset points", **style)


def plot_loss_curves(histories: dict[str, list[Epoch]], *, where: str) -> Figure:
    """Loss over the epochs, trained on and held out, one panel a contender."""
    figure, axes = _panels(len(histories), 3.2, sharey=True)
    for axis, (name, history) in zip(axes.flat, histories.items(), strict=True):
        epochs = range(1, len(history) + 1)
        trained = [epoch.train.loss for epoch in history]
        axis.plot(epochs, trained, color=COLOURS[1], label="trained on")
        held_out = [epoch.val.loss for epoch in history]
        axis.plot(epochs, held_out, color=COLOURS[0], label="held out")
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
    for report, colour in zip(shown.values(), cycle(COLOURS), strict=False):
        right, total = report.count_and_total
        low, high = (100 * share for share in wilson_interval(right, total))
        x, share = report.per_second, 100 * right / total
        reach = [[max(0.0, share - low)], [max(0.0, high - share)]]
        axis.errorbar(x, share, yerr=reach, color=colour, capsize=4, clip_on=False)
        axis.scatter(
            x,
            share,
            s=DOT_AREA * report.megabytes,
            facecolor="white" if report.right is None else colour,
            edgecolor=colour,
            linewidth=2,
            zorder=3,
            clip_on=False,
        )
    _draw_goals(axis)
    _name_dots(axis, shown)
    axis.set_xlabel("predictions a second on this CPU, one at a time (file to answer)")
    axis.set_ylabel("right, % of test pictures")
    figure.suptitle(f"Speed against accuracy on {where}", fontsize=12)
    return figure


def _draw_goals(axis: plt.Axes) -> None:
    right_edge = 1.4 * max(GOAL_PER_SECOND, axis.get_xlim()[1])
    bottom = min(88.0, axis.get_ylim()[0])
    axis.set(xlim=(0, right_edge), ylim=(bottom, 100))
    corner = (GOAL_PER_SECOND, 100 * GOAL_RIGHT)
    width, height = right_edge - corner[0], 100 - corner[1]
    axis.add_patch(plt.Rectangle(corner, width, height, color=COLOURS[3], alpha=0.15))
    style = {"ha": "right", "color": "#7a5a10"}
    _note(axis, "both goals met", (right_edge, corner[1]), -6, 6, **style)
    axis.grid(alpha=0.3)


def _name_dots(axis: plt.Axes, shown: dict[str, Report]) -> None:
    """Say above the axis what each dot is, by speed, with lines to the dots."""
    names = sorted(shown, key=lambda name: shown[name].per_second)
    places = [shown[name].per_second for name in names]
    for name, x in zip(names, _apart(places, axis.get_xlim()[1]), strict=True):
        right, total = shown[name].count_and_total
        published = "\n(published)" if shown[name].right is None else ""
        axis.annotate(
            f"{name}\n{right} of {total}{published}\n{shown[name].megabytes:.0f} MB",
            (shown[name].per_second, 100 * right / total),
            xytext=(x, 1.05),
            textcoords=axis.get_xaxis_transform(),
            ha="center",
            fontsize=9,
            zorder=1,
            arrowprops={"arrowstyle": "-", "color": "0.6", "shrinkA": 0, "shrinkB": 0},
        )


def _apart(places: list[float], end: float) -> list[float]:
    """Places from 0 to `end`, in rising order, moved so that notes do not overlap."""
    width = end / max(8, len(places))
    moved = []
    for place in places:
        moved.append(max(place, moved[-1] + width if moved else width / 2))
    last = end + width / 2
    for number in reversed(range(len(moved))):
        last = moved[number] = min(moved[number], last - width)
    return moved


def plot_time_parts(predictions: dict[str, pd.DataFrame], *, where: str) -> Figure:
    """Where the time of one prediction goes: decoding, preparing, the network.

    A bar that is far longer than the others runs off the page, so that their parts can
    be seen; its milliseconds are written on it.

    Args:
        predictions: A table a contender, from `take_turns`.
        where: What was predicted.
    """
    times = pd.DataFrame({name: _parts(t) for name, t in predictions.items()}).T
    wholes = times.sum(axis=1)
    end = max(2.2 * wholes.nlargest(2).iloc[-1], 1.2 * 1000 / GOAL_PER_SECOND)
    figure, ((axis,),) = _panels(1, 1.5 + 0.5 * len(times))
    for part, colour in zip(times, (COLOURS[3], COLOURS[2], COLOURS[1]), strict=True):
        before = times.loc[:, :part].sum(axis=1) - times[part]
        axis.barh(times.index, times[part], left=before, color=colour, label=part)
    for row, (name, whole) in enumerate(wholes.items()):
        note = " + ".join(f"{milliseconds:.1f}" for milliseconds in times.loc[name])
        note += f" ms, {1 - times.loc[name].iloc[-1] / whole:.0%} before the network"
        style = {"va": "center", "fontsize": 9}
        if whole <= end / 2:
            behind = {"facecolor": "white", "edgecolor": "none", "pad": 1}
            _note(axis, note, (whole, row), 8, bbox=behind, **style)
        else:  # no room beside it
            note += " \u2192" if whole > end else ""
            style |= {"ha": "right", "color": "white"}
            _note(axis, note, (min(whole, end), row), -8, **style)
    goal = 1000 / GOAL_PER_SECOND
    axis.axvline(goal, color=COLOURS[0], linestyle="--")
    over = {"xycoords": axis.get_xaxis_transform(), "color": COLOURS[0]}
    _note(axis, f"{GOAL_PER_SECOND} a second", (goal, 1), 0, 4, ha="center", **over)
    axis.set(xlim=(0, end), xlabel="milliseconds, medians; one picture at a time, CPU")
    axis.set_title(f"From file to answer, {where}", fontsize=11, pad=18)
    axis.invert_yaxis()  # the first contender on top
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    return figure


def _parts(table: pd.DataFrame) -> dict[str, float]:
    """Median milliseconds of each part of a contender's predictions."""
    preparing = table.total_ms - table.decode_ms - table.forward_ms
    return {
        "decoding the file": table.decode_ms.median(),
        "preparing the picture": preparing.median(),
        "the network": table.forward_ms.median(),
    }


def plot_rounding(weights: np.ndarray, *, bits: int = 7) -> Figure:
    """What integers make of the weights of one channel.

    The scale is symmetric, as for a channel in `quantize`: the largest weight, of
    either sign, becomes the largest integer.

    Args:
        weights: Of one output channel of a convolution, (N,), not all zero.
        bits: Of the integers, one of them for the sign.
    """
    most = 2 ** (bits - 1) - 1
    scale = np.abs(weights).max() / most
    kinds = len(np.unique(np.round(weights / scale)))
    figure, ((left, right),) = _panels(2, 4)
    edges = scale * (np.arange(-most, most + 2) - 0.5)
    left.hist(weights, bins=edges, color=COLOURS[1])
    grid = edges[:-1] + scale / 2
    left.plot(grid, 0 * grid, "|", color=COLOURS[0], label="values that are stored")
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
    axis.plot(line, line, color=COLOURS[3], label="unrounded")
    axis.plot(line, stairs, color=COLOURS[1], linewidth=1, label="rounded")
    near = np.abs(weights - x) < 4.8 * scale
    axis.plot(weights[near], rounded[near], ".", color=COLOURS[1], label="weights")
    axis.plot([x, x], [x, y], color=COLOURS[0], linewidth=3)
    note = f"largest error: {abs(x - y):.2g},\n{abs(x - y) / scale:.2f} of a step"
    arrow = {"arrowstyle": "->", "color": COLOURS[0]}
    _note(axis, note, (x, (x + y) / 2), 20, -30, color=COLOURS[0], arrowprops=arrow)
    axis.set(xlabel="weight (fp32)", ylabel="integer times step", xlim=line[[0, -1]])
    axis.grid(alpha=0.3)
    axis.legend(frameon=False)


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
        for x, y, low, total in zip(
            said, share, 100 * table.low, table.total, strict=True
        ):
            # Below the bar; where that would not fit, to the right of it.
            beside = x > 98 or low < 8
            height, up = (y, 0) if x > 98 else (low, 6 if beside else -8)
            style = {"ha": "left" if beside else "center", "va": "center"}
            _note(axis, f"{total}", (x, height), 7 * beside, up, fontsize=8, **style)
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

    Args:
        groups: Both scores of each picture, by what the pictures are; our dishes
            first, then the nearest strangers.
        knn_similarity_threshold: The gate's: left of it is no plate.
        in_distribution_threshold: The gate's: below it is another dish.
    """
    figure, ((axis,),) = _panels(1, 4.6)
    colours = (COLOURS[2], COLOURS[3], COLOURS[0])
    for (name, (likeness, scores)), colour in zip(groups.items(), colours):  # noqa: B905
        shown = np.clip(scores, 0.004, 0.996)  # for the scale
        label = f"{name} ({len(shown)})"
        axis.scatter(likeness, shown, s=16, color=colour, alpha=0.75, label=label)
    axis.axvline(knn_similarity_threshold, color=COLOURS[1], linestyle="--")
    left, right = axis.get_xlim()
    start = (knn_similarity_threshold - left) / (right - left)
    axis.axhline(
        in_distribution_threshold, xmin=start, color=COLOURS[1], linestyle="--"
    )
    for text, x, y, side in (
        ("no plate", 0.01, 0.95, "left"),
        ("let through", 0.99, 0.95, "right"),
        ("another dish", 0.99, 0.04, "right"),
    ):
        axis.text(x, y, text, transform=axis.transAxes, ha=side, color=COLOURS[1])
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
        thresholds: The model's, for both scores.
        window: Answers that the thick line takes the median, or the share, of.
    """
    shown = {
        "probability of the guess": table.score,
        "knn_similarity": table.knn_similarity,
        "in_distribution_score": table.in_distribution_score,
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
