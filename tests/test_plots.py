"""The plots: axes that say what they show, no wider than the page."""

import io
from itertools import combinations

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import same_color
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image
from test_evaluation import make_report

from going_modular.big.many_classes import class_table
from going_modular.calibration import reliability
from going_modular.engine import Epoch, Score
from going_modular.evaluation import wilson_interval
from going_modular.plots import (
    plot_class_accuracy,
    plot_drift,
    plot_loss_curves,
    plot_most_wrong,
    plot_pictures,
    plot_reliability,
    plot_speed_accuracy,
    plot_strangers,
    plot_time_parts,
)

PAGE = 9  # inches


@pytest.fixture(autouse=True)
def backend():
    matplotlib.use("Agg")
    yield
    plt.close("all")


def texts(axis):
    return [text.get_text() for text in axis.texts]


def dots_of(axis):
    return [found for found in axis.collections if isinstance(found, PathCollection)]


def drawn(figure):
    """Draw it, as a notebook would, and return the width in inches of what shows."""
    assert isinstance(figure, Figure) and figure.get_figwidth() <= PAGE
    with io.BytesIO() as stream:
        figure.savefig(stream, format="png", dpi=50, bbox_inches="tight")
        return Image.open(stream).width / 50


@pytest.fixture
def files(tmp_path):
    for number in range(6):
        colour = (40 * number, 0, 0)
        Image.new("RGB", (30, 20 + number), colour).save(tmp_path / f"{number}.png")
    return [tmp_path / f"{number}.png" for number in range(6)]


@pytest.mark.parametrize(("count", "rows"), [(1, 1), (4, 1), (5, 2), (6, 2)])
def test_pictures_stand_in_a_grid_under_their_titles(count, rows, files):
    titles = [f"plate {number}" for number in range(count)]
    figure = plot_pictures(files[:count], titles)
    assert len(figure.axes) == 4 * rows
    shown = [axis for axis in figure.axes if axis.images]
    assert [axis.get_title() for axis in shown] == titles
    for number, axis in enumerate(shown):
        pixels = np.asarray(axis.images[0].get_array())
        assert pixels.shape == (20 + number, 30, 3) and pixels[0, 0, 0] == 40 * number
    assert not any(axis.axison for axis in figure.axes), "pictures have no scales"
    assert drawn(figure) <= PAGE + 0.2


def test_the_most_wrong_pictures_come_worst_first(files):
    guesses = ["pizza", "steak", "sushi", "pizza", "steak", "pizza"]
    table = pd.DataFrame(
        {
            "file": files,
            "truth": ["pizza"] * 6,
            "guess": guesses,
            "right": [guess == "pizza" for guess in guesses],
            "prob_truth": [0.9, 0.3, 0.01, 0.99, 0.2, 0.8],
            "prob_guess": [0.9, 0.6, 0.98, 0.99, 0.7, 0.8],
        }
    )
    figure = plot_most_wrong(table, count=4)
    shown = [int(axis.images[0].get_array()[0, 0, 0]) // 40 for axis in figure.axes]
    assert shown == [2, 4, 1, 5]
    worst, *_, right = [axis.get_title() for axis in figure.axes]
    assert "pizza" in worst and "taken" in worst and "sushi (98%" in worst
    assert "taken" not in right and "80%" in right, "few mistakes: the least sure"
    assert drawn(figure) <= PAGE + 0.2


def make_history(start):
    losses = [start / number for number in (1, 2, 3)]
    return [Epoch(Score(10 * x, 5, 10), Score(12 * x, 5, 10)) for x in losses]


def test_loss_curves_have_a_panel_a_contender_with_labelled_axes():
    histories = {"one": make_history(1.0), "two": make_history(2.0)}
    figure = plot_loss_curves(histories, where="real photos")
    assert [axis.get_title() for axis in figure.axes] == ["one", "two"]
    assert all(axis.get_xlabel() == "epoch" for axis in figure.axes)
    assert figure.axes[0].get_ylabel() == "cross-entropy loss"
    assert "real photos" in figure.get_suptitle()
    trained, held_out = figure.axes[1].lines
    assert list(trained.get_xdata()) == list(held_out.get_xdata()) == [1, 2, 3]
    assert list(trained.get_ydata()) == pytest.approx([2, 1, 2 / 3])
    assert list(held_out.get_ydata()) == pytest.approx([2.4, 1.2, 0.8])
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels == ["trained on", "held out"]
    assert figure.axes[0].get_ylim()[0] == 0
    assert drawn(figure) <= PAGE + 0.2


REPORTS = {
    "EffNetB2": make_report(None, 46.0),
    "ViT-B/16": make_report(148, 141.0, megabytes=343.0),
    "EffNet-Lite2": make_report(147, 12.0, megabytes=19.6),
    "EffNet-Lite0": make_report(146, 11.5, megabytes=13.7),
}


def test_speed_and_accuracy_stand_where_they_were_measured():
    figure = plot_speed_accuracy(REPORTS, where="real photos")
    (axis,) = figure.axes
    assert "a second" in axis.get_xlabel() and "one at a time" in axis.get_xlabel()
    assert axis.get_ylabel() == "right, % of test pictures"
    assert "real photos" in figure.get_suptitle()
    dots = dots_of(axis)
    places = [scatter.get_offsets()[0] for scatter in dots]
    counts = [145, 148, 147, 146]
    for report, place, right in zip(REPORTS.values(), places, counts, strict=True):
        assert list(place) == pytest.approx([report.per_second, 100 * right / 150])
        assert axis.get_xlim()[0] <= place[0] <= axis.get_xlim()[1]
        assert axis.get_ylim()[0] <= place[1] <= axis.get_ylim()[1]
    areas = [scatter.get_sizes()[0] for scatter in dots]
    sizes = [report.megabytes for report in REPORTS.values()]
    ratios = [area / size for area, size in zip(areas, sizes, strict=True)]
    assert ratios == pytest.approx([ratios[0]] * 4), "the area is the file's size"
    assert drawn(figure) <= PAGE + 0.2


def test_error_bars_are_wilson_intervals():
    figure = plot_speed_accuracy({"A": make_report(143, 20.0)}, where="real photos")
    (axis,) = figure.axes
    (bar,) = [c for c in axis.containers if hasattr(c, "has_yerr")]
    (segment,) = bar.lines[2][0].get_segments()
    expected = [100 * share for share in wilson_interval(143, 150)]
    assert list(segment[:, 1]) == pytest.approx(expected)
    assert axis.get_ylim()[0] <= expected[0] and expected[1] <= axis.get_ylim()[1]


def test_a_published_count_is_hollow_and_says_so():
    figure = plot_speed_accuracy(REPORTS, where="real photos")
    (axis,) = figure.axes
    published, *measured = dots_of(axis)
    assert same_color(published.get_facecolor()[0], "white")
    assert not same_color(published.get_edgecolor()[0], "white")
    for dot in measured:
        assert same_color(dot.get_facecolor()[0], dot.get_edgecolor()[0])
        assert not same_color(dot.get_facecolor()[0], "white")
    for parts in (["EffNetB2", "145 of 150", "published"], ["ViT", "148 of 150"]):
        (note,) = [text for text in texts(axis) if parts[0] in text]
        assert all(part in note for part in parts)
        assert ("published" in note) == ("published" in parts)


CROWDS = {
    "the lesson's": REPORTS,
    "all at the right edge": {f"net {n}": make_report(149, 10.0) for n in range(4)},
    "all at the left edge": {f"net {n}": make_report(20 * n, 1e5) for n in range(4)},
    "close together": {f"net {n}": make_report(148, 12.0 + n / 9) for n in range(7)},
    "none": {},
}


@pytest.mark.parametrize("crowd", CROWDS)
def test_what_the_dots_are_can_be_read(crowd):
    figure = plot_speed_accuracy(CROWDS[crowd], where="real photos")
    (axis,) = figure.axes
    assert drawn(figure) <= PAGE + 0.2
    notes = [text for text in axis.texts if "of 150" in text.get_text()]
    assert len(notes) == len(CROWDS[crowd])
    boxes = [Text.get_window_extent(note) for note in notes]  # without its line
    for one, other in combinations(boxes, 2):
        assert not one.overlaps(other)
    for box in boxes:
        assert box.y0 > axis.bbox.y1, "above the dots and their bars"
        assert axis.bbox.x0 <= box.x0 and box.x1 <= axis.bbox.x1
    by_speed = sorted(notes, key=lambda note: note.xy[0])
    places = [note.get_position()[0] for note in by_speed]
    assert places == sorted(places), "lines from notes to dots do not cross"


def timed(decode, prepare, network):
    """Five predictions, of which the third is typical."""
    spread = np.array([0.8, 0.9, 1.0, 1.1, 5.0])
    total = decode + prepare + network
    parts = {"total_ms": total, "decode_ms": decode, "forward_ms": network}
    return pd.DataFrame({name: spread * part for name, part in parts.items()})


TIMES = {
    "EffNetB2": (2, 4, 40),
    "ViT-B/16": (2, 2, 260),
    "EffNet-Lite2": (2, 2, 24),
    "EffNet-Lite0": (2, 2, 12),
}


def test_time_is_split_into_decoding_preparing_and_the_network():
    tables = {name: timed(*parts) for name, parts in TIMES.items()}
    figure = plot_time_parts(tables, where="real photos")
    (axis,) = figure.axes
    assert [label.get_text() for label in axis.get_yticklabels()] == list(TIMES)
    assert axis.yaxis_inverted(), "the first contender on top"
    assert "milliseconds" in axis.get_xlabel() and "real photos" in axis.get_title()
    (legend,) = figure.legends
    named = [text.get_text() for text in legend.get_texts()]
    assert named == ["decoding the file", "preparing the picture", "the network"]
    for number, bars in enumerate(axis.containers):
        for bar, parts in zip(bars, TIMES.values(), strict=True):
            assert bar.get_x() == pytest.approx(sum(parts[:number]))
            assert bar.get_width() == pytest.approx(parts[number])
    assert axis.lines[0].get_xdata() == pytest.approx([1000 / 30] * 2)
    *notes, line = texts(axis)
    assert line == "30 a second"
    assert notes[0] == "2.0 + 4.0 + 40.0 ms, 13% before the network"
    assert notes[1] == "2.0 + 2.0 + 260.0 ms, 2% before the network \u2192"
    assert notes[3] == "2.0 + 2.0 + 12.0 ms, 25% before the network"
    assert drawn(figure) <= PAGE + 0.2


def test_every_class_stands_on_the_plot_with_its_interval():
    labels = torch.arange(101).repeat_interleave(50)
    guesses = torch.where(torch.arange(5050) % 50 < labels / 2.1, labels, 100 - labels)
    names = [f"grilled cheese sandwich {number}" for number in range(101)]
    table = class_table(guesses, labels, names)
    figure = plot_class_accuracy(table, where="Food-101")
    assert len(figure.axes) == 2
    assert "50 pictures each, Food-101" in figure.get_suptitle()
    shown, seen = [], []
    for axis in figure.axes:
        assert axis.get_xlabel() == "right, % of its test pictures"
        assert axis.get_xlim() == (0, 100) and axis.yaxis_inverted()
        shown += [label.get_text() for label in axis.get_yticklabels()]
        (dots,) = dots_of(axis)
        seen += dots.get_offsets()[:, 0].tolist()
    assert shown == table.index.tolist(), "every class, best first"
    assert seen == pytest.approx((100 * table.share).tolist())
    (bars,) = [c for c in figure.axes[0].collections if isinstance(c, LineCollection)]
    ends = bars.get_segments()[0][:, 0].tolist()
    assert ends == pytest.approx([100 * table.low.iloc[0], 100 * table.high.iloc[0]])
    assert drawn(figure) <= PAGE + 0.2


def test_classes_of_different_sizes_are_said():
    labels = torch.tensor([0, 0, 0, 1, 1])
    table = class_table(labels, labels, ["a", "b"])
    figure = plot_class_accuracy(table, where="x", columns=1)
    assert "2 to 3 pictures each" in figure.get_suptitle()


def test_reliability_shows_what_was_said_and_what_came_true():
    torch.manual_seed(0)
    logits, labels = 3 * torch.randn(200, 3), torch.randint(3, (200,))
    labels[:120] = logits[:120].argmax(dim=1)
    table = reliability(logits.softmax(dim=1), labels)
    figure = plot_reliability({"a": table, "b": table}, where="200 held-out photos")
    assert [axis.get_title() for axis in figure.axes] == ["a", "b"]
    assert "200 held-out photos" in figure.get_suptitle()
    axis = figure.axes[0]
    assert "%" in axis.get_xlabel() and "%" in axis.get_ylabel()
    (bars,) = axis.containers
    assert bars.lines[0].get_xdata() == pytest.approx(list(100 * table.said))
    assert bars.lines[0].get_ydata() == pytest.approx(list(100 * table.share))
    assert texts(axis) == [f"{total}" for total in table.total]
    assert drawn(figure) <= PAGE + 0.2


def test_strangers_lie_by_both_scores_with_their_thresholds():
    groups = {"ours": ([0.7, 0.6], [0.9, 0.4]), "near": ([], []), "far": ([0.2], [0.0])}
    limits = {"knn_similarity_threshold": 0.5, "in_distribution_threshold": 0.06}
    figure = plot_strangers(groups, **limits)
    (axis,) = figure.axes
    assert (axis.get_xlabel(), axis.get_ylabel()) == (
        "knn_similarity",
        "in_distribution_score",
    )
    ours, near, far = dots_of(axis)
    assert ours.get_offsets().tolist() == [[0.7, 0.9], [0.6, 0.4]]
    assert len(near.get_offsets()) == 0 and far.get_offsets()[0, 0] == 0.2
    assert axis.get_ylim()[0] < far.get_offsets()[0, 1], "no dot falls off the scale"
    labels = [text.get_text() for text in axis.get_legend().get_texts()]
    assert labels == ["ours (2)", "near (0)", "far (1)"]
    assert {"no plate", "another dish", "let through"} <= set(texts(axis))
    assert drawn(figure) <= PAGE + 0.2


def test_drift_shows_every_number_world_by_world():
    noted = pd.DataFrame(
        {
            "score": [0.9] * 6,
            "knn_similarity": [0.7, 0.7, 0.6, 0.3, 0.2, 0.2],
            "in_distribution_score": [0.5, 0.6, 0.1, 0.1, 0.0, 0.0],
            "thumb": ["up", "up", "down", "up", "up", "up"],
        }
    )
    limits = {"knn_similarity": 0.5, "in_distribution_score": 0.06}
    figure = plot_drift(noted, {"photos": 2, "others": 4}, thresholds=limits)
    names = [axis.get_ylabel() for axis in figure.axes]
    assert names[1:] == [
        "knn_similarity",
        "in_distribution_score",
        "thumbs down, share",
    ]
    assert texts(figure.axes[0]) == ["photos", "others"]
    for axis, limit in zip(figure.axes[1:3], limits.values(), strict=True):
        assert any(set(line.get_ydata()) == {limit} for line in axis.lines)
    assert drawn(figure) <= PAGE + 0.2
