"""Asking one by one, counting, the rule that picks the winner, tables of results."""

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.transforms.functional import to_tensor

from going_modular import evaluation, predictions
from going_modular.evaluation import (
    Report,
    choose_winner,
    compare_counts,
    confused_pairs,
    judge_app,
    top_k_right,
)
from going_modular.model_builder import CONTENDERS
from tools.course import LESSON, ROOT

CASES = json.loads(Path(__file__).with_name("evaluation_cases.json").read_text("utf-8"))


def make_report(right=146, median_ms=10.0, **changes):
    """A report of 150 pictures; a rehearsed one when `right` is None."""
    published = 145 if right is None else None
    times = {"p95_ms": 1.2 * median_ms, "forward_ms": 0.5 * median_ms}
    report = Report(150, right, published, median_ms, **times, megabytes=31.4)
    return replace(report, **changes)


def test_reports_sum_up_and_a_rehearsed_one_shows_the_published_count(tmp_path):
    waits = {"total_ms": [20.0] * 5 + [40.0] * 4 + [1000.0], "forward_ms": [10.0] * 10}
    table = pd.DataFrame({"right": [True] * 7 + [False] * 3, **waits})
    file = tmp_path / "m.pth"
    file.write_bytes(bytes(2_500_000))
    names = [contender.name for contender in CONTENDERS]
    tables, files = dict.fromkeys(names, table), dict.fromkeys(names, file)
    built = {name: SimpleNamespace(pretrained="Lite" in name) for name in names}
    for published, expected in ((True, (145, 150)), (False, None)):
        reports = evaluation.summarise_all(tables, files, built, published=published)
        report, rehearsed = reports["EffNet-Lite2"], reports["EffNetB2"]
        assert report.accuracy == 0.7 and report.count_and_total == (7, 10)
        assert rehearsed.accuracy is None and rehearsed.count_and_total == expected
    assert report.median_ms == 30 and report.per_second == pytest.approx(100 / 3)
    assert report.p95_ms == pytest.approx(40 + 0.55 * 960)  # between the last two
    assert report.megabytes == 2.5


@pytest.mark.parametrize("contenders", CASES["winners"].values(), ids=CASES["winners"])
def test_the_winner_is_the_first(contenders):
    """Each is given by its right answers of 150 and its median milliseconds."""
    reports = {f"number {n}": make_report(*one) for n, one in enumerate(contenders)}
    assert choose_winner(reports) == "number 0"
    reports = dict(reversed(reports.items()))  # the table's order must not matter
    assert choose_winner(reports) == "number 0"
    with pytest.raises(ValueError, match="run the lesson once with internet"):
        choose_winner({"rehearsed": make_report(None)})


def test_tables_show_denominators_and_what_falls_short_in_the_goals_own_units():
    reports = {name: make_report(**made) for name, made in CASES["reports"].items()}
    shown = evaluation.reports_table(reports), evaluation.shortfalls_table(reports)
    for table, kind in zip(shown, ("shown", "short"), strict=True):
        for name, expected in CASES[kind].items():
            assert table.loc[name].tolist() == expected


@pytest.mark.parametrize(("first", "second", "words"), CASES["sign_test"])
def test_the_sign_test_counts_pictures_that_only_one_has_right(first, second, words):
    """With p by hand: twice the tail of a fair coin."""
    both = [True] * 60 + [False] * 10
    one, other = (
        pd.DataFrame({"right": [mine] * first + [not mine] * second + both})
        for mine in (True, False)
    )
    one["file"] = other["file"] = [f"{number}.jpg" for number in range(len(one))]
    said = compare_counts({"A": one, "B": other}, "A", "B")
    assert all(word in said for word in words), said
    with pytest.raises(ValueError, match="A and B were asked about different pictures"):
        compare_counts({"A": one, "B": other[::-1]}, "A", "B")


def judged(**changes):
    """The table for an app that reaches all goals, but for the changes."""
    gate = {name: changes.pop(name, of) for name, of in CASES["app"]["gate"].items()}
    facts = CASES["app"] | changes | {"gate": gate}
    result = {"correct": facts.pop("right"), "total": 150}
    about = SimpleNamespace(test_result=result, gate=facts.pop("gate"))
    return judge_app(about, **facts)


def test_an_app_reaches_all_goals_and_a_hope_that_is_missed_says_no():
    table = judged()
    assert set(table.reached) == {"yes"}
    assert table.measured.tolist() == CASES["measured"]
    table = judged(near={}, auroc=None, in_browser=None)
    assert table.measured[table.reached == "no"].tolist() == ["not measured"] * 3
    for change, missed in CASES["missed"]:
        table = judged(**change)
        expected = [f"hoped for: {hope}" for hope in missed]
        assert table.index[table.reached == "no"].tolist() == expected


def test_the_plan_states_the_goals_that_are_judged():
    cells = nbformat.read(ROOT / LESSON, as_version=4).cells
    (plan,) = (cell.source for cell in cells if cell.id == "plan")
    numbers = {
        name: [float(number) for number in re.findall(r"\d+(?:\.\d+)?", row)]
        for name, row in re.findall(r"^\| \*\*(\w+)\*\* \|(.*\|.*)\|$", plan, re.M)
    }
    per_second, many = evaluation.GOAL_PER_SECOND, evaluation.HOPED_PER_SECOND
    away, ours = 100 * evaluation.HOPED_AWAY, 100 * evaluation.MOST_OURS_AWAY
    assert numbers == {
        "Right": [100 * evaluation.GOAL_RIGHT, 100 * evaluation.HOPED_RIGHT],
        "Fast": [per_second, round(1 / per_second, 3), many, per_second],
        "Small": [evaluation.HOPED_MEGABYTES],
        "Ready": [evaluation.HOPED_SECONDS],
        "Honest": [away, ours, evaluation.HOPED_AUROC],
    }


class MostlyOneColour(nn.Module):
    """Scores a picture by its colours: logits are the channels' means, times 5."""

    calls = 0

    def forward(self, pictures):
        assert not self.training and torch.is_inference_mode_enabled()
        self.calls += 1
        return 5 * pictures.mean(dim=(2, 3))


def test_pictures_are_predicted_in_order_after_a_warm_up_by_an_honest_clock(
    tmp_path, monkeypatch
):
    """It runs from the file to the answer, and splits at every step."""
    names, colours, samples = ["pizza", "steak", "sushi"], ["red", "lime", "blue"], []
    for number, label in enumerate([2, 0, 1, 1, 0, 1]):
        Image.new("RGB", (6, 4), colours[label]).save(tmp_path / f"{number}.png")
        samples.append((tmp_path / f"{number}.png", label))
    samples[-1] = samples[-1][0], 0  # a wrong label
    clock, model = [10.0], MostlyOneColour().train()
    monkeypatch.setattr(predictions.time, "perf_counter", lambda: clock[0])

    def taking(seconds, step):
        def step_that_takes_time(*arguments):
            clock[0] += seconds
            return step(*arguments)

        return step_that_takes_time

    load = taking(0.007, predictions.load_picture)
    monkeypatch.setattr(predictions, "load_picture", load)
    monkeypatch.setattr(model, "forward", taking(0.020, model.forward))
    built = SimpleNamespace(model=model, transform=taking(0.003, to_tensor))
    table = predictions.take_turns({"A": built}, samples, names)["A"]
    assert model.calls == 6 + predictions.WARM_UP
    assert list(table.file) == [file for file, _ in samples]
    truth = ["sushi", "pizza", "steak", "steak", "pizza", "pizza"]
    assert list(table.truth) == truth and list(table.guess) == [*truth[:-1], "steak"]
    assert list(table.right) == [True] * 5 + [False]
    sure = math.exp(5) / (math.exp(5) + 2)
    assert list(table.prob_guess) == pytest.approx([sure] * 6)
    assert list(table.prob_truth) == pytest.approx([sure] * 5 + [(1 - sure) / 2])
    times = {"total_ms": 30, "decode_ms": 7, "forward_ms": 20}
    for name, milliseconds in times.items():
        assert list(table[name]) == pytest.approx([milliseconds] * 6)


def test_pairs_are_counted_both_ways_most_confused_first():
    names = ["apple pie", "baklava", "ceviche", "donuts"]
    labels = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 2, 2])
    guesses = torch.tensor([0, 1, 1, 0, 1, 2, 2, 2, 2, 0])
    pairs = confused_pairs(guesses, labels, names)
    columns = ["one", "other", "confused", "of", "one_as_other", "other_as_one"]
    assert pairs[columns].to_numpy().tolist() == [
        ["apple pie", "baklava", 3, 6, 2, 1],
        ["apple pie", "ceviche", 1, 7, 0, 1],
        ["baklava", "ceviche", 1, 7, 1, 0],
    ]
    assert len(confused_pairs(guesses, labels, names, count=1)) == 1
    assert len(confused_pairs(labels, labels, names)) == 0
    scores = torch.eye(4)[guesses] - 0.1 * torch.arange(4)
    assert [top_k_right(scores, labels, k) for k in (1, 2, 5)] == [5, 8, 10]
