"""Thumbs: noted in a file, given by visitors who know, read; and companion 6's page."""

import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial

import nbformat
import pytest
import torch
from browsing import PHONE, lay_out, open_page, photo_of
from course_copy import ROOT
from demo_model_fixture import BLUE, RED, YELLOW, make_model

from going_modular import feedback as module
from going_modular.app.model import DISH, NO_PLATE, OTHER, Answer, Predictor
from going_modular.app_process import ask_demo, run_demo
from going_modular.feedback import Feedback
from going_modular.monitoring import OUTCOMES, answers_of, give_thumbs, read_feedback

COMPANION = ROOT / "companions" / "6_watch_it.ipynb"


def answer(
    name="pizza", score=0.9, knn_similarity=0.7, in_distribution_score=0.6, verdict=DISH
):
    return Answer(
        {name: score}, knn_similarity, in_distribution_score, verdict, seconds=0.01
    )


STEAK = answer("steak", 0.4, 0.2, 0.1, OTHER)


def test_a_thumb_is_a_row_without_the_picture(tmp_path):
    file = tmp_path / "thumbs.sqlite"
    assert Feedback(file).add(answer(), up=True)
    assert Feedback(file).add(STEAK, up=False)  # after a restart
    table = read_feedback(file)
    scores = ["score", "knn_similarity", "in_distribution_score"]
    assert table.columns.tolist() == ["time", "label", *scores, "verdict", "thumb"]
    assert table.drop(columns="time").values.tolist() == [
        ["pizza", 0.9, 0.7, 0.6, "dish", "up"],
        ["steak", 0.4, 0.2, 0.1, "another dish", "down"],
    ]
    assert table.time.dt.tz is not None and table.time.is_monotonic_increasing


def test_many_visitors_at_once_lose_nothing(tmp_path):
    feedback = Feedback(tmp_path / "thumbs.sqlite")
    with ThreadPoolExecutor(8) as pool:
        added = pool.map(lambda n: feedback.add(answer(f"{n}"), up=True), range(80))
    assert all(added)
    assert set(read_feedback(feedback.file).label) == {f"{n}" for n in range(80)}


def test_the_file_does_not_grow_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_ROWS", 3)
    feedback = Feedback(tmp_path / "thumbs.sqlite")
    added = [feedback.add(answer(), up=True) for _ in range(5)]
    assert added == [True] * 3 + [False] * 2
    assert len(read_feedback(feedback.file)) == 3


def test_a_file_that_fails_later_stops_nobody(tmp_path):
    feedback = Feedback(tmp_path / "thumbs.sqlite")
    feedback.file.write_bytes(b"no database any more" * 100)
    assert feedback.add(answer(), up=True) is False


def test_an_earlier_apps_thumbs_stay_in_their_own_table(tmp_path):
    file = tmp_path / "thumbs.sqlite"
    with closing(sqlite3.connect(file)) as database, database:
        database.execute(
            "CREATE TABLE feedback (id INTEGER PRIMARY KEY, time TEXT NOT NULL DEFAULT "
            "(datetime('now')), label TEXT NOT NULL, score REAL NOT NULL, familiarity "
            "REAL NOT NULL, thumb TEXT NOT NULL)"
        )
        old = "INSERT INTO feedback (label, score, familiarity, thumb)"
        database.execute(f"{old} VALUES ('sushi', 0.5, 0.6, 'up')")
    for _ in range(2):  # and after a restart
        assert Feedback(file).add(STEAK, up=False)
    table = read_feedback(file)
    assert table.label.tolist() == ["steak", "steak"]
    with closing(sqlite3.connect(file)) as database:
        assert database.execute("SELECT label FROM feedback").fetchall() == [("sushi",)]


@pytest.mark.parametrize("name", ["none/thumbs.sqlite", "."])
def test_an_unusable_file_is_refused_before_the_app_starts(tmp_path, name):
    with pytest.raises(ValueError, match="Name a file in a folder"):
        Feedback(tmp_path / name)


def test_a_file_that_can_only_be_read_is_refused_too(tmp_path, monkeypatch):
    Feedback(tmp_path / "thumbs.sqlite")
    read_only = partial(sqlite3.connect, f"file:{tmp_path}/thumbs.sqlite?mode=ro")
    monkeypatch.setattr(
        module.sqlite3, "connect", lambda _, **how: read_only(uri=True, **how)
    )
    with pytest.raises(ValueError, match="Name a file in a folder"):
        Feedback(tmp_path / "thumbs.sqlite")


def test_visitors_give_the_thumbs_that_the_answers_deserve(tmp_path):
    feedback = Feedback(tmp_path / "thumbs.sqlite")
    predictor = Predictor(make_model(tmp_path / "model.onnx"))
    red, yellow, blue = (
        predictor.predict(photo_of(colour, tmp_path / f"{number}.png"))
        for number, colour in enumerate((RED, YELLOW, BLUE))
    )
    assert [a.verdict for a in (red, yellow, blue)] == [DISH, OTHER, NO_PLATE]
    their_guess = yellow.best[0]
    visits = [
        (red, "pizza"), (red, "steak"), (red, None), (blue, None),
        (yellow, their_guess), (yellow, None),
    ]  # fmt: skip
    outcomes = give_thumbs(feedback, visits)
    thumbs = read_feedback(feedback.file).thumb.tolist()
    assert thumbs == ["up", "down", "down", "up", "down", "up"]
    right, right_away, wrong, wrong_away = OUTCOMES
    assert outcomes == [right, wrong, wrong, wrong_away, right_away, wrong_away]


def test_scores_become_the_answers_that_the_app_would_give(tmp_path):
    predictor = Predictor(make_model(tmp_path / "model.onnx"))
    scores = torch.tensor([[0.2, 0.7, 0.1], [0.6, 0.3, 0.1]])
    gate = torch.tensor([0.9, 0.1]), torch.tensor([0.1, 0.9])
    first, second = answers_of(predictor.about, (scores, *gate))
    assert first.best == ("steak", pytest.approx(0.7)) and first.verdict == OTHER
    assert list(second.probabilities) == ["pizza", "steak", "sushi"]
    assert second.verdict == NO_PLATE


@pytest.mark.slow
def test_thumbs_on_the_page_that_companion_6_writes(browser, tmp_path, monkeypatch):
    folder, file = lay_out(tmp_path / "demo"), tmp_path / "thumbs.sqlite"
    shutil.copy(module.__file__, folder)
    for cell in nbformat.read(COMPANION, as_version=4).cells:
        magic, _, code = cell.source.partition("\n")
        if magic.startswith("%%writefile"):
            (folder / magic.rpartition("/")[2]).write_text(code, "utf-8")
    monkeypatch.setenv("FOODVISION_FEEDBACK", str(file))
    with run_demo(folder, app="app_with_thumbs.py") as running:
        words = ask_demo(running.url, folder / "examples" / "1.jpg")[1]
        assert words.startswith("This looks like pizza.")
        page = open_page(browser, running.url, PHONE)
        question = page.get_by_text("Was that right?")
        for number, dish, button in ((1, "pizza", "Yes"), (3, "sushi", "No")):
            assert question.count() == 0
            page.get_by_label(f"Example picture {number}").click()
            page.get_by_text(f"This looks like {dish}.").wait_for()
            page.get_by_role("button", name=button, exact=True).click()
            page.get_by_text("Thank you.").first.wait_for()
            question.wait_for(state="hidden")
        page.close()
    table = read_feedback(file)
    assert table[["label", "thumb"]].values.tolist() == [
        ["pizza", "up"],
        ["sushi", "down"],
    ]
