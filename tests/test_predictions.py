"""Counting, intervals, the rule that picks the winner, and the table of results."""

import math
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

from going_modular import predictions
from going_modular.predictions import (
    WARM_UP,
    Report,
    choose_winner,
    predict_picture,
    predict_pictures,
    reports_table,
    shortfall,
    summarise,
    wilson_interval,
)

COLOURS = {"pizza": "red", "steak": "lime", "sushi": "blue"}


def make_report(right=146, median_ms=10.0, **changes):
    """A report of 150 pictures; a rehearsed one when `right` is None."""
    report = Report(
        total=150,
        right=right,
        published_right=145 if right is None else None,
        median_ms=median_ms,
        p95_ms=1.2 * median_ms,
        forward_ms=0.5 * median_ms,
        megabytes=31.4,
    )
    return replace(report, **changes)


# Predicting


class MostlyOneColour(nn.Module):
    """Scores a picture by its colours: logits are the channels' means, times 5."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(5.0))
        self.calls = 0

    def forward(self, pictures):
        assert not self.training and torch.is_inference_mode_enabled()
        self.calls += 1
        return self.scale * pictures.mean(dim=(2, 3))


def to_tensor(picture):
    pixels = torch.tensor(list(picture.convert("RGB").tobytes()), dtype=torch.float32)
    return pixels.view(picture.height, picture.width, 3).permute(2, 0, 1) / 255


@pytest.fixture
def samples(tmp_path):
    """Eight pictures in the colours of their classes, the last with a wrong label."""
    names = list(COLOURS)
    labels = [2, 0, 1, 1, 0, 2, 0, 1]
    found = []
    for number, label in enumerate(labels):
        file = tmp_path / f"{number}.png"
        Image.new("RGB", (6, 4), COLOURS[names[label]]).save(file)
        found.append((str(file), label))
    return [*found[:-1], (found[-1][0], 0)]


def test_pictures_are_predicted_in_order_after_a_warm_up(samples):
    model = MostlyOneColour().train()
    table = predict_pictures(model, to_tensor, samples, list(COLOURS))
    assert model.calls == len(samples) + WARM_UP
    assert list(table.file) == [Path(file) for file, _ in samples]
    truth = ["sushi", "pizza", "steak", "steak", "pizza", "sushi", "pizza", "pizza"]
    assert list(table.truth) == truth
    assert list(table.guess) == [*truth[:-1], "steak"]
    assert list(table.right) == [True] * 7 + [False]
    sure = math.exp(5) / (math.exp(5) + 2)
    assert list(table.prob_guess) == pytest.approx([sure] * 8)
    assert list(table.prob_truth) == pytest.approx([sure] * 7 + [(1 - sure) / 2])


def test_the_clock_runs_from_file_to_answer(samples, monkeypatch):
    ticks = iter([10.0, 10.03, 10.05])  # start, picture ready, answered
    monkeypatch.setattr(predictions.time, "perf_counter", lambda: next(ticks))
    model = MostlyOneColour().eval()
    probabilities, total_ms, forward_ms = predict_picture(
        model, to_tensor, Path(samples[0][0])
    )
    assert (total_ms, forward_ms) == pytest.approx((50, 20))
    assert probabilities.shape == (3,) and probabilities.sum() == pytest.approx(1)


def test_a_report_sums_up(samples, tmp_path):
    table = pd.DataFrame(
        {
            "right": [True] * 7 + [False] * 3,
            "total_ms": [20.0] * 5 + [40.0] * 4 + [1000.0],
            "forward_ms": [10.0] * 10,
        }
    )
    (tmp_path / "m.pth").write_bytes(bytes(2_500_000))
    report = summarise(
        table, file=tmp_path / "m.pth", pretrained=True, published_right=145
    )
    assert (report.right, report.total, report.published_right) == (7, 10, None)
    assert report.accuracy == 0.7 and report.count_and_total == (7, 10)
    assert report.median_ms == 30 and report.per_second == pytest.approx(100 / 3)
    assert report.p95_ms == pytest.approx(40 + 0.55 * 960)  # between the last two
    assert report.megabytes == 2.5


@pytest.mark.parametrize(("published", "shown"), [(145, (145, 150)), (None, None)])
def test_a_rehearsed_contenders_answers_are_no_result(published, shown, tmp_path):
    table = pd.DataFrame(
        {"right": [True] * 4, "total_ms": [1.0] * 4, "forward_ms": [1.0] * 4}
    )
    (tmp_path / "m.pth").write_bytes(b"1")
    report = summarise(
        table,
        file=tmp_path / "m.pth",
        pretrained=False,
        published_right=published,
    )
    assert report.right is None and report.accuracy is None
    assert report.count_and_total == shown


# Wilson's interval


@pytest.mark.parametrize(
    ("right", "total", "low", "high"),
    [  # Newcombe, Statistics in Medicine 17 (1998) 857, table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_gives_the_published_intervals(right, total, low, high):
    assert wilson_interval(right, total) == pytest.approx((low, high), abs=5e-5)


def by_bisection(right, total, *, upper, z=1.96):
    """The share p whose distance from right/total is z of its own standard errors."""
    share = right / total
    near, far = share, 1.0 if upper else 0.0
    for _ in range(200):
        p = (near + far) / 2
        inside = abs(share - p) <= z * math.sqrt(p * (1 - p) / total)
        near, far = (p, far) if inside else (near, p)
    return near


@pytest.mark.parametrize(
    ("right", "total"), [(19, 20), (143, 150), (146, 150), (950, 1000), (1, 2)]
)
@pytest.mark.parametrize("z", [1.0, 1.96, 2.576])
def test_wilson_holds_every_share_whose_own_test_keeps_it(right, total, z):
    low, high = wilson_interval(right, total, z=z)
    assert low == pytest.approx(by_bisection(right, total, upper=False, z=z))
    assert high == pytest.approx(by_bisection(right, total, upper=True, z=z))


@pytest.mark.parametrize("total", [1, 20, 150, 100_000])
def test_none_and_all_right_leave_room_on_one_side_only(total):
    z2 = 1.96**2
    low, high = wilson_interval(0, total)
    assert low == 0 and high == pytest.approx(z2 / (total + z2))
    low, high = wilson_interval(total, total)
    assert high == pytest.approx(1) and high <= 1
    assert low == pytest.approx(total / (total + z2))


def test_wilson_is_the_same_seen_from_the_wrong_answers():
    low, high = wilson_interval(146, 150)
    assert wilson_interval(4, 150) == pytest.approx((1 - high, 1 - low))


@pytest.mark.parametrize(("right", "total"), [(-1, 5), (6, 5), (0, 0), (0, -1)])
def test_what_is_no_share_is_refused(right, total):
    with pytest.raises(ValueError, match=f"{right} of {total} is not a share"):
        wilson_interval(right, total)


# The winner


@pytest.mark.parametrize(
    ("right", "median_ms", "expected"),
    [
        (146, 10.0, 0),
        (150, 1000 / 30, 0),  # both goals to the dot
        (135, 10.0, 0.05 / 0.95),  # 90% right
        (150, 1000 / 24, 0.2),  # 24 a second
        (135, 1000 / 24, 0.05 / 0.95 + 0.2),
    ],
)
def test_shortfall_adds_what_is_missing(right, median_ms, expected):
    report = make_report(right, median_ms)
    assert shortfall(report) == pytest.approx(expected, abs=1e-12)


def test_19_of_20_meets_95_percent():
    assert shortfall(make_report(19, total=20)) == 0


def test_a_rehearsed_contender_cannot_be_judged():
    with pytest.raises(ValueError, match="rehearsed"):
        shortfall(make_report(None))


CASES = {  # contenders as (right of 150, median ms), the winner first
    "both meet both: most right": [(148, 30.0), (146, 5.0)],
    "as many right: fastest": [(146, 5.0), (146, 30.0)],
    "one meets both, another is more right": [(143, 30.0), (150, 40.0)],
    "one meets both, another is faster": [(146, 30.0), (140, 1.0)],
    "none meets both: closest": [(142, 10.0), (150, 140.0)],
    "none meets both: closest by speed": [(150, 35.0), (100, 10.0)],
    "barely too slow beats much too wrong": [(148, 34.0), (75, 2.0)],
    "as far off: most right": [(150, 40.0), (145, 40.0)],
    "rehearsed ones cannot win": [(90, 100.0), (None, 1.0)],
    "alone": [(10, 1000.0)],
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("turned", [False, True])
def test_the_winner(case, turned):
    reports = {f"number {n}": make_report(*c) for n, c in enumerate(CASES[case])}
    if turned:  # the order of the table must not matter
        reports = dict(reversed(reports.items()))
    assert choose_winner(reports) == "number 0"


@pytest.mark.parametrize("reports", [{}, {"a": make_report(None)}])
def test_without_trained_weights_there_is_no_winner(reports):
    with pytest.raises(ValueError, match="run the lesson once with internet"):
        choose_winner(reports)


# The table


def test_the_table_shows_denominators_and_marks_published_counts():
    table = reports_table(
        {
            "measured": make_report(146),
            "few": make_report(19, total=20),
            "rehearsed": make_report(None),
            "unknown": make_report(None, published_right=None),
        }
    )
    assert list(table.right) == [
        "146 of 150",
        "19 of 20",
        "145 of 150 (published)",
        "not measured",
    ]
    assert list(table["95% interval"]) == [
        "93.3% to 99.0%",
        "76.4% to 99.1%",
        "92.4% to 98.6%",
        "-",
    ]
    row = table.loc["measured"]
    assert (row["median ms"], row["95th pct ms"], row["forward ms"]) == (
        "10.0",
        "12.0",
        "5.0",
    )
    assert (row["a second"], row["MB"]) == ("100", "31")
    assert list(table.index) == ["measured", "few", "rehearsed", "unknown"]
