"""Thumbs: noted in a file, given by visitors who know, read; and companion 6's page."""

import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
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
PIZZA = Answer({"pizza": 0.9}, 0.7, 0.6, DISH, seconds=0.01)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "thumbs.sqlite"


def test_many_visitors_at_once_lose_nothing_until_the_file_is_full(file, monkeypatch):
    monkeypatch.setattr(module, "MAX_ROWS", 60)
    feedback = Feedback(file)
    answers = [replace(PIZZA, probabilities={f"{n}": 0.9}) for n in range(80)]
    with ThreadPoolExecutor(8) as pool:
        added = [*pool.map(lambda answer: feedback.add(answer, up=True), answers)]
    noted = {f"{number}" for number, was_added in enumerate(added) if was_added}
    assert len(noted) == 60 and set(read_feedback(file).label) == noted


def test_a_file_that_fails_stops_no_visitor_but_the_start(file, monkeypatch):
    feedback = Feedback(file)
    read_only = partial(sqlite3.connect, f"file:{file}?mode=ro", uri=True)
    with monkeypatch.context() as patch:
        patch.setattr(module.sqlite3, "connect", lambda _, **how: read_only(**how))
        with pytest.raises(ValueError, match="Name a file in a folder"):
            Feedback(file)
    file.write_bytes(b"no database any more" * 100)
    assert feedback.add(PIZZA, up=True) is False
    for other in (file.parent / "none" / "thumbs.sqlite", file.parent):
        with pytest.raises(ValueError, match="Name a file in a folder"):
            Feedback(other)


def test_visitors_give_the_thumbs_that_the_answers_deserve(file, tmp_path):
    predictor = Predictor(make_model(tmp_path / "model.onnx"))
    red, yellow, blue = (
        predictor.predict(photo_of(colour, tmp_path / f"{number}.png"))
        for number, colour in enumerate((RED, YELLOW, BLUE))
    )
    assert [a.verdict for a in (red, yellow, blue)] == [DISH, OTHER, NO_PLATE]
    visits = [(red, "pizza"), (red, "steak"), (red, None), (blue, None)]
    visits += [(yellow, yellow.best[0]), (yellow, None)]
    outcomes = give_thumbs(Feedback(file), visits[:3])
    outcomes += give_thumbs(Feedback(file), visits[3:])  # after a restart
    table = read_feedback(file)
    assert table.thumb.tolist() == ["up", "down", "down", "up", "down", "up"]
    assert table.time.dt.tz is not None and table.time.is_monotonic_increasing
    scores = [blue.knn_similarity, blue.in_distribution_score]
    noted = ["label", "score", "knn_similarity", "in_distribution_score", "verdict"]
    assert table.columns.tolist() == ["time", *noted, "thumb"]
    assert table[noted].iloc[3].tolist() == [*blue.best, *scores, NO_PLATE]
    right, right_away, wrong, wrong_away = OUTCOMES
    assert outcomes == [right, wrong, wrong, wrong_away, right_away, wrong_away]

    scores = torch.tensor([[0.2, 0.7, 0.1], [0.6, 0.3, 0.1]])
    gate = torch.tensor([0.9, 0.1]), torch.tensor([0.1, 0.9])
    first, second = answers_of(predictor.about, (scores, *gate))
    assert first.best == ("steak", pytest.approx(0.7)) and first.verdict == OTHER
    assert list(second.probabilities) == ["pizza", "steak", "sushi"]
    assert second.verdict == NO_PLATE


@pytest.mark.slow
def test_thumbs_on_the_page_that_companion_6_writes(
    browser, file, tmp_path, monkeypatch
):
    folder = lay_out(tmp_path / "demo")
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
