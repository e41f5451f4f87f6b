"""Counting, intervals, the rule that picks the winner, and the tables of results."""

import re
from dataclasses import replace
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


CASES = {  # contenders as (right of 150, median ms), the winner first
    "a tenth more of speed is worth 15 pictures": [(130, 40.0), (144, 60.0)],
    "both meet both: most right": [(148, 30.0), (146, 5.0)],
    "as many right: fastest": [(146, 5.0), (146, 30.0)],
    "one meets both, another is more right": [(143, 30.0), (150, 40.0)],
    "one meets both, another is faster": [(146, 30.0), (140, 1.0)],
    "none meets both: closest": [(142, 10.0), (150, 140.0)],
    "none meets both: closest by speed": [(150, 35.0), (100, 10.0)],
    "as far off: most right": [(150, 40.0), (145, 40.0)],
    "rehearsed ones cannot win": [(90, 100.0), (None, 1.0)],
}


@pytest.mark.parametrize("case", CASES)
def test_the_winner(case):
    reports = {f"number {n}": make_report(*c) for n, c in enumerate(CASES[case])}
    assert choose_winner(reports) == "number 0"
    reports = dict(reversed(reports.items()))  # the table's order must not matter
    assert choose_winner(reports) == "number 0"
    with pytest.raises(ValueError, match="run the lesson once with internet"):
        choose_winner({"a": make_report(None)})


def test_tables_show_denominators_and_what_falls_short_in_the_goals_own_units():
    reports = {
        "few": make_report(19, total=20),
        "unknown": make_report(None, published_right=None),
        "both": make_report(143, 1000 / 31),
        "wrong": make_report(141, 10.0),
        "neither": make_report(142, 271.6),
        "nearly": make_report(143, 33.34),
        "rehearsed": make_report(None, 47.3),
    }
    table = reports_table(reports)
    shown = table.loc[["few", "unknown", "wrong", "rehearsed"]]
    assert shown[["right", "95% interval"]].to_numpy().tolist() == [
        ["19 of 20", "76.4% to 99.1%"],
        ["not measured", "-"],
        ["141 of 150", "89.0% to 96.8%"],
        ["145 of 150 (published)", "92.4% to 98.6%"],
    ]
    columns = ["median ms", "95th pct ms", "forward ms", "a second", "MB"]
    assert table.loc["wrong", columns].tolist() == ["10.0", "12.0", "5.0", "100", "31"]
    assert shortfalls_table(reports)[2:].to_numpy().tolist() == [
        ["143 of 150", "-", "31.0", "-", "yes"],
        ["141 of 150", "2 pictures", "100.0", "-", "no"],
        ["142 of 150", "1 picture", "3.7", "26.3 a second", "no"],
        ["143 of 150", "-", "30.0", "0.1 a second", "no"],
        ["145 of 150 (published)", "not judged", "21.1", "8.9 a second", "rehearsal"],
    ]


def answers(right):
    """Predictions of as many pictures as there are letters: R is right."""
    files = [f"{number}.jpg" for number in range(len(right))]
    return pd.DataFrame({"file": files, "right": [letter == "R" for letter in right]})


@pytest.mark.parametrize(
    ("only_one", "only_other", "words"),
    [  # p by hand: twice the tail of a fair coin
        (0, 0, ["right on the same pictures.", "cannot", "intervals overlap"]),
        (1, 0, ["On 1 picture only", "(1 and 0)", "p = 1.", "cannot"]),
        (5, 0, ["On 5 pictures only", "(5 and 0)", "p = 0.062.", "cannot"]),
        (10, 2, ["(10 and 2)", "p = 0.039.", "can tell", "intervals overlap"]),
        (0, 40, ["(0 and 40)", "p < 0.001.", "can tell", "do not overlap"]),
        (40, 0, ["(40 and 0)", "p < 0.001.", "can tell", "do not overlap"]),
    ],
)
def test_the_sign_test_counts_pictures_that_only_one_has_right(
    only_one, only_other, words
):
    one = answers("R" * only_one + "w" * only_other + "R" * 60 + "w" * 10)
    other = answers("w" * only_one + "R" * only_other + "R" * 60 + "w" * 10)
    said = compare_counts({"A": one, "B": other}, "A", "B")
    assert all(word in said for word in words), said
    with pytest.raises(ValueError, match="A and B were asked about different pictures"):
        compare_counts({"A": one, "B": other[::-1]}, "A", "B")


GATE = {"auroc": 0.91, "far": [37, 37], "ours": [7, 150]}
GATE["near"] = {"baklava": [50, 75], "beignets": [41, 75]}
REACHED = {"right": 147, "median_ms": 9.0, "megabytes": 5.98, "start_seconds": 2.5}
REACHED["in_browser"] = (30.4, "Chromium 156, here")


def judged(**changes):
    """The table for a model file that says so of itself, and an app that is so."""
    facts = REACHED | GATE | changes
    result = {"correct": facts.pop("right"), "total": 150}
    gate = {name: facts.pop(name) for name in GATE}
    return judge_app(SimpleNamespace(test_result=result, gate=gate), **facts)


def test_an_app_that_reaches_all_goals():
    table = judged()
    assert set(table.reached) == {"yes"}
    shown = ["147 of 150", "111", "147 of 150", "111", "30 (Chromium 156, here)"]
    shown += ["6.0 MB", "2.50 s after its start"]
    shown += ["37 of 37", "91 of 150", "0.91", "7 of 150"]
    assert table.measured.tolist() == shown
    table = judged(near={}, auroc=None, in_browser=None)
    assert table.measured[table.reached == "no"].tolist() == ["not measured"] * 3


@pytest.mark.parametrize(
    ("change", "missed"),
    [
        ({"right": 145}, "right, 97%"),
        ({"median_ms": 10.1}, "100 a second"),
        ({"in_browser": (29.9, "x")}, "30 a second in a browser"),
        ({"megabytes": 6.01}, "at most 6 MB"),
        ({"start_seconds": 3.01}, "answers in 3 s"),
        ({"far": [36, 37]}, "no food, all turned away"),
        ({"near": {"a": [89, 150]}}, "unmet dishes, 60% turned away"),
        ({"auroc": 0.89}, "told from ours, AUROC 0.90"),
        ({"ours": [8, 150]}, "ours, at most 5% turned away"),
    ],
)
def test_a_hope_that_is_missed_says_no(change, missed):
    table = judged(**change)
    assert table.index[table.reached == "no"].tolist() == [f"hoped for: {missed}"]


def test_the_plan_states_the_goals_that_are_judged():
    cells = nbformat.read(ROOT / LESSON, as_version=4).cells
    (plan,) = (cell.source for cell in cells if cell.id == "plan")
    rows = re.findall(r"^\| \*\*(\w+)\*\* \|(.*\|.*)\|$", plan, re.MULTILINE)
    numbers = {
        name: [float(number) for number in re.findall(r"\d+(?:\.\d+)?", cells)]
        for name, cells in rows
    }
    percents = ("GOAL_RIGHT", "HOPED_RIGHT", "HOPED_AWAY", "MOST_OURS_AWAY")
    right, hoped, away, ours = (
        round(100 * getattr(evaluation, name)) for name in percents
    )
    assert numbers["Right"] == [right, hoped]
    per_second = evaluation.GOAL_PER_SECOND
    seconds, hoped = round(1 / per_second, 3), evaluation.HOPED_PER_SECOND
    assert numbers["Fast"] == [per_second, seconds, hoped, per_second]
    assert numbers["Small"] == [evaluation.HOPED_MEGABYTES]
    assert numbers["Ready"] == [evaluation.HOPED_SECONDS]
    assert numbers["Honest"] == [away, ours, evaluation.HOPED_AUROC]
