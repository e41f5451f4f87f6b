"""Thumbs: noted in a file, given by visitors who know, read; and companion 6's page."""

import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
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


def answer(name="pizza", score=0.9, similarity=0.7, own=0.6, verdict=DISH):
    return Answer({name: score}, similarity, own, verdict, seconds=0.01)


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


def test_many_visitors_at_once_lose_nothing_until_the_file_is_full(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(module, "MAX_ROWS", 60)
    feedback = Feedback(tmp_path / "thumbs.sqlite")
    with ThreadPoolExecutor(8) as pool:
        added = [*pool.map(lambda n: feedback.add(answer(f"{n}"), up=True), range(80))]
    noted = {f"{number}" for number, was_added in enumerate(added) if was_added}
    assert len(noted) == 60 and set(read_feedback(feedback.file).label) == noted


def test_a_file_that_fails_later_stops_nobody(tmp_path):
    feedback = Feedback(tmp_path / "thumbs.sqlite")
    feedback.file.write_bytes(b"no database any more" * 100)
    assert feedback.add(answer(), up=True) is False


def test_an_unusable_file_is_refused_before_the_app_starts(tmp_path, monkeypatch):
    file = Feedback(tmp_path / "thumbs.sqlite").file
    for other in (tmp_path / "none" / "thumbs.sqlite", tmp_path):
        with pytest.raises(ValueError, match="Name a file in a folder"):
            Feedback(other)
    read_only = partial(sqlite3.connect, f"file:{file}?mode=ro", uri=True)
    monkeypatch.setattr(module.sqlite3, "connect", lambda _, **how: read_only(**how))
    with pytest.raises(ValueError, match="Name a file in a folder"):
        Feedback(file)


def test_visitors_give_the_thumbs_that_the_answers_deserve(tmp_path):
    feedback = Feedback(tmp_path / "thumbs.sqlite")
    predictor = Predictor(make_model(tmp_path / "model.onnx"))
    red, yellow, blue = (
        predictor.predict(photo_of(colour, tmp_path / f"{number}.png"))
        for number, colour in enumerate((RED, YELLOW, BLUE))
    )
    assert [a.verdict for a in (red, yellow, blue)] == [DISH, OTHER, NO_PLATE]
    visits = [(red, "pizza"), (red, "steak"), (red, None), (blue, None)]
    visits += [(yellow, yellow.best[0]), (yellow, None)]
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
    thumbs = read_feedback(file)[["label", "thumb"]].values.tolist()
    assert thumbs == [["pizza", "up"], ["sushi", "down"]]
