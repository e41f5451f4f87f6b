"""The plots: all draw, no wider than the page; what would mislead is checked."""

import io
from itertools import combinations

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.collections import PathCollection
from matplotlib.colors import same_color
from matplotlib.text import Text
from PIL import Image
from test_evaluation import make_report

from going_modular import plots
from going_modular.big.many_classes import class_table
from going_modular.calibration import reliability
from going_modular.drawn import drawn_files
from going_modular.engine import Epoch, Score
from going_modular.evaluation import wilson_interval

PAGE = 9  # inches
PICTURES = drawn_files("pizza", "test")[:5]
REPORTS = {
    "EffNetB2": make_report(None, 46.0),
    "ViT-B/16": make_report(148, 141.0, megabytes=343.0),
    "EffNet-Lite2": make_report(147, 12.0, megabytes=19.6),
    "EffNet-Lite0": make_report(146, 11.5, megabytes=13.7),
}
CROWDS = {
    "the lesson's": REPORTS,
    "all at the right edge": {f"net {n}": make_report(149, 10.0) for n in range(4)},
    "all at the left edge": {f"net {n}": make_report(20 * n, 1e5) for n in range(4)},
    "close together": {f"net {n}": make_report(148, 12.0 + n / 9) for n in range(7)},
    "none": {},
}
TIMES = {  # ms to decode, to prepare, and in the network
    "EffNetB2": (2, 4, 40),
    "ViT-B/16": (2, 2, 260),
    "EffNet-Lite2": (2, 2, 24),
    "EffNet-Lite0": (2, 2, 12),
}
NOTED = pd.DataFrame(
    {
        "score": [0.9] * 6,
        "knn_similarity": [0.7, 0.7, 0.6, 0.3, 0.2, 0.2],
        "in_distribution_score": [0.5, 0.6, 0.1, 0.1, 0.0, 0.0],
        "thumb": ["up", "up", "down", "up", "up", "up"],
    }
)
PREDICTED = pd.DataFrame(
    [
        (PICTURES[0], "pizza", "pizza", True, 0.8, 0.8),
        (PICTURES[1], "pizza", "steak", False, 0.3, 0.6),
        (PICTURES[2], "pizza", "sushi", False, 0.01, 0.98),
        (PICTURES[3], "pizza", "pizza", True, 0.99, 0.99),
        (PICTURES[4], "pizza", "steak", False, 0.2, 0.7),
    ],
    columns=["file", "truth", "guess", "right", "prob_truth", "prob_guess"],
)
HISTORY = [Epoch(Score(10 * x, 5, 10), Score(12 * x, 5, 10)) for x in (3, 1.5, 1)]


@pytest.fixture(autouse=True)
def backend():
    matplotlib.use("Agg")
    yield
    plt.close("all")


def timed(decode, prepare, network):
    """Five predictions, of which the third is typical."""
    spread = np.array([0.8, 0.9, 1.0, 1.1, 5.0])
    total = decode + prepare + network
    parts = {"total_ms": total, "decode_ms": decode, "forward_ms": network}
    return pd.DataFrame({name: spread * part for name, part in parts.items()})


def of_classes():
    """Counts of 101 classes, from nearly all right to nearly none."""
    labels = torch.arange(101).repeat_interleave(50)
    guesses = torch.where(torch.arange(5050) % 50 < labels / 2.1, labels, 100 - labels)
    names = [f"grilled cheese sandwich {number}" for number in range(101)]
    return class_table(guesses, labels, names)


def sure_and_right():
    """Bins of answers of which the surer ones are more often right."""
    torch.manual_seed(0)
    logits, labels = 3 * torch.randn(200, 3), torch.randint(3, (200,))
    labels[:120] = logits[:120].argmax(dim=1)
    return reliability(logits.softmax(dim=1), labels)


def plot_gate():
    groups = {"ours": ([0.7, 0.6], [0.9, 0.4]), "near": ([], []), "far": ([0.2], [0.0])}
    return plots.plot_strangers(
        groups, knn_similarity_threshold=0.5, in_distribution_threshold=0.06
    )


FIGURES = {
    "a picture": lambda: plots.plot_pictures(PICTURES[:1], ["a plate"]),
    "pictures": lambda: plots.plot_pictures(PICTURES, list("abcde")),
    "most wrong": lambda: plots.plot_most_wrong(PREDICTED),
    "losses": lambda: plots.plot_loss_curves(
        {"one": HISTORY, "two": HISTORY}, where="real photos"
    ),
    **{
        f"speed, {crowd}": lambda crowd=crowd: plots.plot_speed_accuracy(
            CROWDS[crowd], where="real photos"
        )
        for crowd in CROWDS
    },
    "time": lambda: plots.plot_time_parts(
        {name: timed(*parts) for name, parts in TIMES.items()}, where="real photos"
    ),
    "rounding": lambda: plots.plot_rounding(np.linspace(-0.3, 1, 90), bits=5),
    "classes": lambda: plots.plot_class_accuracy(of_classes(), where="Food-101"),
    "reliability": lambda: plots.plot_reliability(
        {"a": sure_and_right(), "b": sure_and_right()}, where="200 photos"
    ),
    "gate": plot_gate,
    "drift": lambda: plots.plot_drift(
        NOTED, {"photos": 2, "others": 4}, thresholds={"knn_similarity": 0.5}
    ),
}


@pytest.mark.parametrize("name", FIGURES)
def test_every_plot_draws_no_wider_than_the_page(name):
    figure = FIGURES[name]()
    with io.BytesIO() as stream:  # as a notebook would
        figure.savefig(stream, format="png", dpi=50, bbox_inches="tight")
        assert Image.open(stream).width / 50 <= PAGE + 0.2
    for axis in figure.axes:
        if axis.axison:
            assert axis.get_xlabel() or axis.get_ylabel(), "it says what it shows"


def dots_of(axis):
    return [found for found in axis.collections if isinstance(found, PathCollection)]


def test_speed_and_accuracy_stand_where_they_were_measured():
    (axis,) = FIGURES["speed, the lesson's"]().axes
    dots, counts = dots_of(axis), (145, 148, 147, 146)
    bars = [bar.lines[2][0].get_segments()[0][:, 1] for bar in axis.containers]
    for report, dot, bar, right in zip(
        REPORTS.values(), dots, bars, counts, strict=True
    ):
        interval = [100 * share for share in wilson_interval(right, 150)]
        assert list(bar) == pytest.approx(interval)
        assert list(dot.get_offsets()[0]) == pytest.approx(
            [report.per_second, 100 * right / 150]
        )
        area = dot.get_sizes()[0] / report.megabytes
        assert area == pytest.approx(dots[0].get_sizes()[0] / 31.4), "the file's size"
        is_hollow = same_color(dot.get_facecolor()[0], "white")
        assert is_hollow == (report.right is None), "a published count is hollow"
    (note,) = [t.get_text() for t in axis.texts if "EffNetB2" in t.get_text()]
    assert "145 of 150" in note and "published" in note


@pytest.mark.parametrize("crowd", CROWDS)
def test_what_the_dots_are_can_be_read(crowd):
    figure = FIGURES[f"speed, {crowd}"]()
    figure.canvas.draw()
    (axis,) = figure.axes
    notes = [text for text in axis.texts if "of 150" in text.get_text()]
    assert len(notes) == len(CROWDS[crowd])
    boxes = [Text.get_window_extent(note) for note in notes]  # without its line
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    for box in boxes:
        assert box.y0 > axis.bbox.y1, "above the dots and their bars"
        assert axis.bbox.x0 <= box.x0 and box.x1 <= axis.bbox.x1
    by_speed = sorted(notes, key=lambda note: note.xy[0])
    places = [note.get_position()[0] for note in by_speed]
    assert places == sorted(places), "lines from notes to dots do not cross"
