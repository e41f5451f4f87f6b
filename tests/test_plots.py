"""The plots, and the drawn pictures as they came."""

import io
from itertools import product
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.collections import PathCollection
from matplotlib.colors import same_color
from PIL import Image
from test_evaluation import make_report

from going_modular import drawn, plots
from going_modular.drawn import CLASS_NAMES, OTHER_NAMES, drawn_files, drawn_pictures
from going_modular.engine import Epoch, Score
from going_modular.evaluation import class_table, reliability
from going_modular.files import FileError

plt.switch_backend("Agg")
PAGE = 9  # inches
PICTURES = drawn_files("pizza", "test")[:5]
REPORTS = {
    "EffNetB2": make_report(None, 46.0),
    "ViT-B/16": make_report(148, 141.0, megabytes=343.0),
    "EffNet-Lite2": make_report(147, 12.0, megabytes=19.6),
    "EffNet-Lite0": make_report(146, 11.5, megabytes=13.7),
}
TIMED = pd.DataFrame({"total_ms": [46.0], "decode_ms": [2.0], "forward_ms": [40.0]})
NOTED = pd.DataFrame({"score": [0.9] * 6, "thumb": ["up", "down"] * 3})
NOTED["knn_similarity"] = NOTED["in_distribution_score"] = [0.7, 0.7, 0.6, 0.3, 0, 0]
PREDICTED = pd.DataFrame({"file": PICTURES, "truth": "pizza", "guess": "steak"})
PREDICTED["prob_truth"] = PREDICTED["prob_guess"] = [0.8, 0.3, 0.01, 0.99, 0.2]
PREDICTED["right"] = [True, False, False, True, False]
HISTORY = [Epoch(Score(10 * x, 5, 10), Score(12 * x, 5, 10)) for x in (3, 1.5, 1)]
LABELS = torch.arange(101).repeat_interleave(50)
DISHES = [f"grilled cheese {n}" for n in range(101)]
CLASSES = class_table(LABELS.flip(0), LABELS, DISHES)
BINS = reliability(torch.eye(3).softmax(dim=1).repeat(40, 1), torch.arange(120) % 4 % 3)
GROUPS = {"ours": ([0.7, 0.6], [0.9, 0.4]), "near": ([], []), "far": ([0.2], [0.0])}
LIMITS = {"knn_similarity_threshold": 0.5, "in_distribution_threshold": 0.06}
WORLDS = {"photos": 2, "others": 4}
FIGURES = {
    "a picture": lambda: plots.plot_pictures(PICTURES[:1], ["a plate"]),
    "pictures": lambda: plots.plot_pictures(PICTURES, list("abcde")),
    "most wrong": lambda: plots.plot_most_wrong(PREDICTED),
    "losses": lambda: plots.plot_loss_curves({"a": HISTORY, "b": HISTORY}, where="x"),
    "speed": lambda: plots.plot_speed_accuracy(REPORTS, where="real photos"),
    "speed of none": lambda: plots.plot_speed_accuracy({}, where="drawn"),
    "time": lambda: plots.plot_time_parts({"A": TIMED, "B": 9 * TIMED}, where="x"),
    "rounding": lambda: plots.plot_rounding(np.linspace(-0.3, 1, 90), bits=5),
    "classes": lambda: plots.plot_class_accuracy(CLASSES, where="Food-101"),
    "reliability": lambda: plots.plot_reliability({"a": BINS, "b": BINS}, where="x"),
    "gate": lambda: plots.plot_strangers(GROUPS, **LIMITS),
    "drift": lambda: plots.plot_drift(NOTED, WORLDS, thresholds={"score": 0.5}),
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
    plt.close(figure)


def test_speed_and_accuracy_stand_where_they_were_measured():
    (axis,), counts = FIGURES["speed"]().axes, (145, 148, 147, 146)
    dots = [found for found in axis.collections if isinstance(found, PathCollection)]
    for report, dot, right in zip(REPORTS.values(), dots, counts, strict=True):
        place = [report.per_second, 100 * right / 150]
        assert list(dot.get_offsets()[0]) == pytest.approx(place)
        is_hollow = same_color(dot.get_facecolor()[0], "white")
        assert is_hollow == (report.right is None), "a published count is hollow"


def test_the_zip_is_small_and_holds_what_its_module_says():
    assert drawn.ARCHIVE.stat().st_size < 2.6e6
    found = []
    for name, split in product((*CLASS_NAMES, *OTHER_NAMES), ("train", "test")):
        count = (36 if name in CLASS_NAMES else 12) // (1 if split == "train" else 2)
        found += (files := drawn_files(name, split))
        names = [f"{name}_{split}_{number:02}.jpg" for number in range(count)]
        assert [file.name for file in files] == names
    assert len({file.read_bytes() for file in found}) == 252, "none is there twice"
    assert min(min(Image.open(file).size) for file in found) >= 256
    for folder in ("dishes", "other_dishes"):
        assert "are no photos" in (drawn_pictures() / folder / drawn.MARKER).read_text()


def test_they_are_unpacked_once_and_whole(tmp_path, monkeypatch):
    folder = drawn_pictures(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["drawn_pictures"]
    (folder / "notes.txt").write_text("mine")
    assert drawn_pictures(tmp_path) == folder
    for spoil in (Path.unlink, lambda file: file.write_bytes(b"torn")):
        file = drawn_files("soup", "train", tmp_path)[3]
        content = file.read_bytes()
        spoil(file)
        with pytest.raises(FileError, match="soup_train_03.*Delete .*run this again"):
            drawn_pictures(tmp_path)
        file.write_bytes(content)
    assert (folder / "notes.txt").exists()
