"""The benchmark runs and leaves nothing out. No test here looks at a time."""

import json
import os
import re
import sys

import pandas as pd
import pytest
from course_copy import ROOT
from drawn_images import copy_few

from benchmarks import app, bench
from benchmarks.bench import PARTS, RESULTS, as_table, goals_of, page
from benchmarks.plan import GOALS
from going_modular import evaluation
from going_modular.app_process import run
from going_modular.drawn import CLASS_NAMES
from going_modular.files import LessonError
from tools.readme_block import read_block


def test_the_page_and_the_readme_say_what_is_stored():
    stored = json.loads(RESULTS.read_text("utf-8"))
    assert page(stored) == RESULTS.with_suffix(".md").read_text("utf-8")
    assert as_table(goals_of(stored)) == read_block("benchmark")
    hoped = (evaluation.HOPED_AWAY, evaluation.HOPED_AUROC, evaluation.MOST_OURS_AWAY)
    near, auroc, ours = (GOALS[f"gate_{name}"] for name in ("near", "auroc", "ours"))
    assert (near["least"], auroc["least"], ours["most"]) == hoped, "the lesson's own"
    some = page({name: stored[name] for name in ("circumstances", "gate")})
    assert re.findall(r"^## (.*)$", some, re.MULTILINE) == ["The gate, and strangers"]


@pytest.mark.slow
def test_a_tiny_run_makes_every_row_and_whole_tables(tmp_path):
    pictures = copy_few(tmp_path / "pictures", train=2, test=2)
    offline = {"FOODVISION_BIG": "practice", "FOODVISION_OFFLINE": "1"}
    offline |= {"FOODVISION_DATA": str(pictures), "PYTHONPATH": str(ROOT)}
    command = ("-m", "benchmarks.bench", "--tiny", "--out", "results.json")
    # Not in the repository: it must find its files anyway.
    printed = run(sys.executable, *command, env=os.environ | offline, cwd=tmp_path)
    results = json.loads((tmp_path / "results.json").read_text("utf-8"))
    text = (tmp_path / "results.md").read_text("utf-8")
    assert "these numbers mean nothing" in text and text in printed
    assert "drawn practice pictures: 6 to train on, 6 to test on" in text

    stored = json.loads(RESULTS.read_text("utf-8"))
    assert list(results) == list(stored) == ["circumstances", *PARTS]
    for name, part in results.items():
        assert part.keys() == stored[name].keys()
        for rows in (rows for rows in part.values() if isinstance(rows, list)):
            assert len({tuple(row) for row in rows}) == 1
            cells = [cell for row in rows for cell in row.values()]
            assert not [cell for cell in cells if cell in ("", None) or cell != cell]
    goals = ([row["goal"] for row in goals_of(some)] for some in (results, stored))
    ours, committed = (re.sub(r"[\d.,]+", "#", str(texts)) for texts in goals)
    assert ours == committed
    assert list(results["app"]["said"].values()) == [list(CLASS_NAMES)] * 2
    tables = (results["pocket"][name] for name in ("ways", "steps", "visits"))
    ways, steps, visits = map(pd.DataFrame, tables)
    theirs = [row["what runs it"] for row in stored["pocket"]["ways"]]
    assert list(ways["what runs it"][:5]) == theirs[:5]
    assert set(ways["same class as Python"]) == {"6 of 6"}
    assert ways["probabilities apart"].max() <= 0.02 and steps["number"].min() > 0
    assert visits["loaded MB"].between(5, 15).all()
    assert min(results["camera"]["watched"][0].values()) > 0
    for row in results["teaching"]["alone"]:
        named = int(row["named after 20 photos"].split(" of ")[0])
        assert named == row["the same, reloaded without network"] > 0


def test_what_cannot_be_measured_is_told_at_once(monkeypatch, capsys):
    monkeypatch.setattr(bench, "CHROMIUM", None)
    for part, told in (("lunch", "choose from training"), ("pocket", "needs chromium")):
        with pytest.raises(SystemExit):
            bench.main(["--only", part])
        assert told in capsys.readouterr().err.replace("'", "")


@pytest.mark.slow
def test_an_environment_holds_what_is_required_and_no_more(tmp_path, monkeypatch):
    monkeypatch.setattr(app, "ENVIRONMENTS", tmp_path / "made")
    (tmp_path / "requirements.txt").write_text("# nothing\n")
    made = app.environment_for(tmp_path)
    with pytest.raises(LessonError, match="numpy"):
        run(made / "bin" / "python", "-c", "import numpy")
    assert app.megabytes(made) > 2
