"""Counting, intervals, the rule that picks the winner, and the tables of results."""

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
    say_count,
    shortfall,
    shortfalls_table,
    summarise,
    wilson_interval,
)

LESSON = Path(__file__).resolve().parents[1] / "09_pytorch_model_deployment.ipynb"


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


def test_a_report_sums_up(tmp_path):
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


def test_what_falls_short_is_said_in_the_goals_own_units():
    table = shortfalls_table(
        {
            "both": make_report(143, 1000 / 31),
            "wrong": make_report(141, 10.0),
            "slow": make_report(150, 47.3),
            "neither": make_report(142, 271.6),
            "nearly": make_report(143, 33.34),
            "rehearsed": make_report(None, 47.3),
            "unknown": make_report(None, 10.0, published_right=None),
        }
    )
    assert list(table.columns) == [
        "right",
        "short of 95% by",
        "a second",
        "short of 30 by",
        "both goals",
    ]
    assert table.to_numpy().tolist() == [
        ["143 of 150", "-", "31.0", "-", "yes"],
        ["141 of 150", "2 pictures", "100.0", "-", "no"],
        ["150 of 150", "-", "21.1", "8.9 a second", "no"],
        ["142 of 150", "1 picture", "3.7", "26.3 a second", "no"],
        ["143 of 150", "-", "30.0", "0.1 a second", "no"],
        ["145 of 150 (published)", "not judged", "21.1", "8.9 a second", "rehearsal"],
        ["not measured", "not judged", "100.0", "-", "rehearsal"],
    ]


def test_as_many_pictures_are_missing_as_the_rule_wants():
    for total in range(1, 400):
        need = min(n for n in range(total + 1) if n / total >= evaluation.GOAL_RIGHT)
        for right in range(need - 2 if need > 2 else 0, total + 1):
            report = make_report(right, total=total)
            missing = shortfalls_table({"A": report}).loc["A", "short of 95% by"]
            assert (missing == "-") == (shortfall(report) == 0)
            if missing != "-":
                assert missing.split()[0] == str(need - right)


# Two counts


def answers(right):
    """Predictions of as many pictures as there are letters: R is right."""
    files = [f"{number}.jpg" for number in range(len(right))]
    return pd.DataFrame({"file": files, "right": [letter == "R" for letter in right]})


def test_counts_that_luck_explains_cannot_be_told_apart():
    said = compare_counts(
        {"A": answers("R" * 149 + "w"), "B": answers("wwww" + "R" * 146)}, "A", "B"
    )
    assert said.splitlines() == [
        "A 149 and B 146 of 150: the intervals overlap.",
        "On 5 pictures only one of the two is right (4 and 1);",
        "chance alone splits them so, or more unevenly, with p = 0.38.",
        "These counts cannot tell them apart.",
    ]


@pytest.mark.parametrize(
    ("only_one", "only_other", "words"),
    [  # p by hand: twice the tail of a fair coin
        (1, 0, ["On 1 picture only", "(1 and 0)", "p = 1.", "cannot"]),
        (5, 0, ["On 5 pictures only", "(5 and 0)", "p = 0.062.", "cannot"]),
        (0, 6, ["On 6 pictures only", "(0 and 6)", "p = 0.031.", "counts can tell"]),
        (10, 2, ["(10 and 2)", "p = 0.039.", "counts can tell"]),
        (0, 20, ["(0 and 20)", "p < 0.001.", "counts can tell"]),
    ],
)
def test_the_sign_test_counts_pictures_that_only_one_has_right(
    only_one, only_other, words
):
    one = "R" * only_one + "w" * only_other + "R" * 60 + "w" * 10
    other = "w" * only_one + "R" * only_other + "R" * 60 + "w" * 10
    said = compare_counts({"A": answers(one), "B": answers(other)}, "A", "B")
    assert all(word in said for word in words), said


@pytest.mark.parametrize(("right", "words"), [(0, "do not overlap"), (87, "overlap")])
def test_intervals_are_compared_from_both_sides(right, words):
    few = answers("R" * right + "w" * (100 - right))
    tables = {"A": answers("R" * 95 + "w" * 5), "B": few}
    for pair in (("A", "B"), ("B", "A")):
        assert f"the intervals {words}." in compare_counts(tables, *pair)


def test_the_same_answers_are_the_same():
    table = answers("RRRw")
    said = compare_counts({"A": table, "B": table}, "A", "B")
    assert "They are right on the same pictures." in said and "cannot" in said


def test_answers_to_different_pictures_are_not_compared():
    other = answers("RRw")[::-1].reset_index(drop=True)
    with pytest.raises(ValueError, match="A and B were asked about different pictures"):
        compare_counts({"A": answers("RRw"), "B": other}, "A", "B")


def test_a_count_is_said_with_share_and_interval():
    assert say_count(3_000, 5_050).startswith("3,000 of 5,050, 59.4% (58.0% to 60.8%)")


# The finished app

REACHED = {
    "median_ms": 9.0,
    "in_browser": (30.4, "Chromium 156, here"),
    "megabytes": 5.98,
    "start_seconds": 2.5,
}
GATE = {
    "near": {"baklava": [50, 75], "beignets": [41, 75]},
    "auroc": 0.91,
    "far": [37, 37],
    "ours": [7, 150],
}


def judged(*, right=147, gate=None, **change):
    """The table for a model file that says so of itself, and an app that is so."""
    result = {"correct": right, "total": 150}
    about = SimpleNamespace(test_result=result, gate=GATE | (gate or {}))
    return judge_app(about, **REACHED | change)


def test_an_app_that_reaches_all_goals():
    table = judged()
    assert set(table.reached) == {"yes"} and len(table) == 11
    shown = ["147 of 150", "111", "147 of 150", "111", "30 (Chromium 156, here)"]
    shown += [
        "6.0 MB",
        "2.50 s after its start",
        "37 of 37",
        "91 of 150",
        "0.91",
        "7 of 150",
    ]
    assert table.measured.tolist() == shown


@pytest.mark.parametrize(
    ("change", "missed"),
    [
        ({"right": 145}, ["hoped for: right, 97%"]),
        ({"right": 142}, ["right, at least 95%", "hoped for: right, 97%"]),
        ({"median_ms": 10.1}, ["hoped for: 100 a second"]),
        ({"median_ms": 34}, ["at least 30 a second", "hoped for: 100 a second"]),
        ({"in_browser": (29.9, "x")}, ["hoped for: 30 a second in a browser"]),
        ({"in_browser": None}, ["hoped for: 30 a second in a browser"]),
        ({"megabytes": 6.01}, ["hoped for: at most 6 MB"]),
        ({"start_seconds": 3.01}, ["hoped for: answers in 3 s"]),
        ({"far": [36, 37]}, ["hoped for: no food, all turned away"]),
        ({"near": {"a": [89, 150]}}, ["hoped for: unmet dishes, 60% turned away"]),
        ({"auroc": 0.89}, ["hoped for: told from ours, AUROC 0.90"]),
        ({"ours": [8, 150]}, ["hoped for: ours, at most 5% turned away"]),
    ],
)
def test_a_goal_that_is_missed_says_no(change, missed):
    of_gate = {key: change.pop(key) for key in GATE.keys() & change}
    table = judged(gate=of_gate, **change)
    assert table.index[table.reached == "no"].tolist() == missed


def test_a_browser_that_is_not_there_is_not_measured():
    table = judged(in_browser=None)
    assert table.loc["hoped for: 30 a second in a browser", "measured"] == (
        "not measured"
    )


def test_without_other_dishes_the_gate_reaches_nothing_with_them():
    table = judged(gate={"near": {}, "auroc": None})
    missed = table[table.reached == "no"]
    assert missed.measured.tolist() == ["not measured"] * 2


def test_the_plan_states_the_goals_that_are_judged():
    cells = nbformat.read(LESSON, as_version=4).cells
    (plan,) = (cell.source for cell in cells if cell.id == "plan")
    rows = {
        row[0].strip(" *"): row[1:]
        for row in (line.strip("|").split("|") for line in plan.splitlines())
        if len(row) == 3
    }

    def number(cell):
        return float(re.search(r"\d+", cell)[0])

    assert number(rows["Right"][0]) / 100 == evaluation.GOAL_RIGHT
    assert number(rows["Right"][1]) / 100 == evaluation.HOPED_RIGHT
    assert number(rows["Fast"][0]) == evaluation.GOAL_PER_SECOND
    assert number(rows["Fast"][1]) == evaluation.HOPED_PER_SECOND
    in_browser = re.search(r"in a browser\D*(\d+)", rows["Fast"][1])[1]
    assert float(in_browser) == evaluation.GOAL_PER_SECOND
    assert number(rows["Small"][1]) == evaluation.HOPED_MEGABYTES
    assert number(rows["Ready"][1]) == evaluation.HOPED_SECONDS
    away, ours = (float(n) / 100 for n in re.findall(r"(\d+)%", rows["Honest"][1]))
    assert (away, ours) == (evaluation.HOPED_AWAY, evaluation.MOST_OURS_AWAY)
    auroc = float(re.search(r"AUROC of at least ([\d.]+)", rows["Honest"][1])[1])
    assert auroc == evaluation.HOPED_AUROC
