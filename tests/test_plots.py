"""The plots: all draw, no wider than the page; what would mislead is checked."""

import io

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.collections import PathCollection
from matplotlib.colors import same_color
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
TIMED = pd.DataFrame({"total_ms": [46.0], "decode_ms": [2.0], "forward_ms": [40.0]})
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
GROUPS = {"ours": ([0.7, 0.6], [0.9, 0.4]), "near": ([], []), "far": ([0.2], [0.0])}
LIMITS = {"knn_similarity_threshold": 0.5, "in_distribution_threshold": 0.06}


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


FIGURES = {
    "a picture": lambda: plots.plot_pictures(PICTURES[:1], ["a plate"]),
    "pictures": lambda: plots.plot_pictures(PICTURES, list("abcde")),
    "most wrong": lambda: plots.plot_most_wrong(PREDICTED),
    "losses": lambda: plots.plot_loss_curves(
        {"one": HISTORY, "two": HISTORY}, where="real photos"
    ),
    "speed": lambda: plots.plot_speed_accuracy(REPORTS, where="real photos"),
    "speed of none": lambda: plots.plot_speed_accuracy({}, where="drawn"),
    "time": lambda: plots.plot_time_parts({"A": TIMED, "B": 9 * TIMED}, where="x"),
    "rounding": lambda: plots.plot_rounding(np.linspace(-0.3, 1, 90), bits=5),
    "classes": lambda: plots.plot_class_accuracy(of_classes(), where="Food-101"),
    "reliability": lambda: plots.plot_reliability(
        {"a": sure_and_right(), "b": sure_and_right()}, where="200 photos"
    ),
    "gate": lambda: plots.plot_strangers(GROUPS, **LIMITS),
    "drift": lambda: plots.plot_drift(
        NOTED, {"photos": 2, "others": 4}, thresholds={"knn_similarity": 0.5}
    ),
}


@pytest.mark.parametrize("name", FIGURES)
def test_every_plot_draws_no_wider_than_the_page(name):
    matplotlib.use("Agg")
    figure = FIGURES[name]()
    with io.BytesIO() as stream:  # as a notebook would
        figure.savefig(stream, format="png", dpi=50, bbox_inches="tight")
        assert Image.open(stream).width / 50 <= PAGE + 0.2
    for axis in figure.axes:
        if axis.axison:
            assert axis.get_xlabel() or axis.get_ylabel(), "it says what it shows"
    plt.close(figure)


def test_speed_and_accuracy_stand_where_they_were_measured():
    matplotlib.use("Agg")
    figure = FIGURES["speed"]()
    (axis,), counts = figure.axes, (145, 148, 147, 146)
    dots = [found for found in axis.collections if isinstance(found, PathCollection)]
    bars = [bar.lines[2][0].get_segments()[0][:, 1] for bar in axis.containers]
    for report, dot, bar, right in zip(
        REPORTS.values(), dots, bars, counts, strict=True
    ):
        interval = [100 * share for share in wilson_interval(right, 150)]
        assert list(bar) == pytest.approx(interval)
        place = [report.per_second, 100 * right / 150]
        assert list(dot.get_offsets()[0]) == pytest.approx(place)
        area = dot.get_sizes()[0] / report.megabytes
        assert area == pytest.approx(dots[0].get_sizes()[0] / 31.4), "the file's size"
        is_hollow = same_color(dot.get_facecolor()[0], "white")
        assert is_hollow == (report.right is None), "a published count is hollow"
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names[0] == "EffNetB2\n145 of 150\n(published)\n31 MB" and len(names) == 4
    plt.close(figure)
