"""Counting, intervals, the rule that picks the winner, and the tables of results."""

import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pandas as pd
import pytest

from going_modular import evaluation
from going_modular.evaluation import (
    Report,
    choose_winner,
    compare_counts,
    judge_app,
    reports_table,
    shortfalls_table,
    summarise_all,
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
        reports = summarise_all(tables, files, built, published=published)
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
    for make, kind in ((reports_table, "shown"), (shortfalls_table, "short")):
        table = make(reports)
        for name, expected in CASES[kind].items():
            assert table.loc[name].tolist() == expected


def answers(right):
    """Predictions of as many pictures as there are letters: R is right."""
    files = [f"{number}.jpg" for number in range(len(right))]
    return pd.DataFrame({"file": files, "right": [letter == "R" for letter in right]})


@pytest.mark.parametrize(("only_one", "only_other", "words"), CASES["sign_test"])
def test_the_sign_test_counts_pictures_that_only_one_has_right(
    only_one, only_other, words
):
    """With p by hand: twice the tail of a fair coin."""
    one = answers("R" * only_one + "w" * only_other + "R" * 60 + "w" * 10)
    other = answers("w" * only_one + "R" * only_other + "R" * 60 + "w" * 10)
    said = compare_counts({"A": one, "B": other}, "A", "B")
    assert all(word in said for word in words), said
    with pytest.raises(ValueError, match="A and B were asked about different pictures"):
        compare_counts({"A": one, "B": other[::-1]}, "A", "B")


def judged(**changes):
    """The table for a model file that says so of itself, and an app that is so."""
    gate = {name: changes.pop(name, of) for name, of in CASES["app"]["gate"].items()}
    facts = CASES["app"] | changes | {"gate": gate}
    result = {"correct": facts.pop("right"), "total": 150}
    about = SimpleNamespace(test_result=result, gate=facts.pop("gate"))
    return judge_app(about, **facts)


def test_an_app_that_reaches_all_goals():
    table = judged()
    assert set(table.reached) == {"yes"}
    assert table.measured.tolist() == CASES["measured"]
    table = judged(near={}, auroc=None, in_browser=None)
    assert table.measured[table.reached == "no"].tolist() == ["not measured"] * 3


@pytest.mark.parametrize(("change", "missed"), CASES["missed"])
def test_a_hope_that_is_missed_says_no(change, missed):
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
    percents = ("GOAL_RIGHT", "HOPED_RIGHT", "HOPED_AWAY", "MOST_OURS_AWAY")
    right, hoped, away, ours = (
        round(100 * getattr(evaluation, name)) for name in percents
    )
    per_second, many = evaluation.GOAL_PER_SECOND, evaluation.HOPED_PER_SECOND
    assert numbers["Right"] == [right, hoped]
    assert numbers["Fast"] == [per_second, round(1 / per_second, 3), many, per_second]
    assert numbers["Small"] == [evaluation.HOPED_MEGABYTES]
    assert numbers["Ready"] == [evaluation.HOPED_SECONDS]
    assert numbers["Honest"] == [away, ours, evaluation.HOPED_AUROC]
