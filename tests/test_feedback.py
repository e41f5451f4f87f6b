"""The demo's feedback.py, and thumbs given on its page."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from browsing import lay_out, open_page, photo_of
from demo_model_fixture import BLUE, RED, make_model

from going_modular.app import feedback as module
from going_modular.app.feedback import Feedback
from going_modular.monitoring import read_feedback, visit
from going_modular.running import run_demo


def test_a_thumb_is_a_row_without_the_picture(tmp_path):
    file = tmp_path / "thumbs.sqlite"
    assert Feedback(file).add("pizza", 0.9, 0.7, up=True)
    assert Feedback(file).add("steak", 0.4, 0.2, up=False)  # after a restart
    table = read_feedback(file)
    assert table.columns.tolist() == ["time", "label", "score", "familiarity", "thumb"]
    assert table.drop(columns="time").values.tolist() == [
        ["pizza", 0.9, 0.7, "up"],
        ["steak", 0.4, 0.2, "down"],
    ]
    assert table.time.dt.tz is not None and table.time.is_monotonic_increasing


def test_many_visitors_at_once_lose_nothing(tmp_path):
    feedback = Feedback(tmp_path / "thumbs.sqlite")
    with ThreadPoolExecutor(8) as pool:
        added = pool.map(lambda n: feedback.add(f"{n}", 0.5, 0.5, up=True), range(80))
    assert all(added)
    assert set(read_feedback(feedback.file).label) == {f"{n}" for n in range(80)}


def test_the_file_does_not_grow_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_ROWS", 3)
    feedback = Feedback(tmp_path / "thumbs.sqlite")
    added = [feedback.add("pizza", 0.9, 0.7, up=True) for _ in range(5)]
    assert added == [True] * 3 + [False] * 2
    assert len(read_feedback(feedback.file)) == 3


def test_a_file_that_fails_later_stops_nobody(tmp_path):
    feedback = Feedback(tmp_path / "thumbs.sqlite")
    feedback.file.write_bytes(b"no database any more" * 100)
    assert feedback.add("pizza", 0.9, 0.7, up=True) is False


@pytest.mark.parametrize("name", ["none/thumbs.sqlite", "."])
def test_an_unusable_file_is_refused_before_the_app_starts(tmp_path, name):
    with pytest.raises(ValueError, match="unset FOODVISION_FEEDBACK"):
        Feedback(tmp_path / name)


def test_no_database_is_made_by_looking(tmp_path):
    with pytest.raises(FileNotFoundError, match="used the app"):
        read_feedback(tmp_path / "thumbs.sqlite")
    assert list(tmp_path.iterdir()) == []


def test_visitors_give_the_thumbs_that_the_answers_deserve(tmp_path):
    file = tmp_path / "thumbs.sqlite"
    model = make_model(tmp_path / "model.onnx")
    red, blue = photo_of(RED, tmp_path / "r.png"), photo_of(BLUE, tmp_path / "b.png")
    visit(model, file, [(red, "pizza"), (red, "steak"), (blue, None), (red, None)])
    assert read_feedback(file).thumb.tolist() == ["up", "down", "up", "down"]


def test_thumbs_on_the_page(browser, tmp_path, monkeypatch):
    file = tmp_path / "thumbs.sqlite"
    monkeypatch.setenv("FOODVISION_FEEDBACK", str(file))
    with run_demo(lay_out(tmp_path / "demo")) as running:
        page = open_page(browser, running.url)
        page.get_by_label("Example picture 1").click()
        page.get_by_text("This looks like pizza.").wait_for()
        page.get_by_role("button", name="Yes").click()
        page.get_by_text("Thank you.").first.wait_for()
        page.get_by_text("Was that right?").wait_for(state="hidden")
        page.get_by_label("Example picture 3").click()
        page.get_by_text("This looks like sushi.").wait_for()
        page.get_by_role("button", name="No", exact=False).last.click()
        page.get_by_text("Was that right?").wait_for(state="hidden")
        page.close()
    table = read_feedback(file)
    assert table[["label", "thumb"]].values.tolist() == [
        ["pizza", "up"],
        ["sushi", "down"],
    ]
    with closing(sqlite3.connect(file)) as database:
        tables = database.execute("SELECT name FROM sqlite_master").fetchall()
    assert tables == [("feedback",)]


def test_nobody_is_asked_unless_the_host_wants_it(browser, tmp_path, monkeypatch):
    monkeypatch.delenv("FOODVISION_FEEDBACK", raising=False)
    with run_demo(lay_out(tmp_path / "demo")) as running:
        page = open_page(browser, running.url)
        page.get_by_label("Example picture 1").click()
        page.get_by_text("This looks like pizza.").wait_for()
        assert page.get_by_text("Was that right?").count() == 0
        assert page.get_by_text("A thumb notes").count() == 0
        page.close()
    assert not list(tmp_path.rglob("*.sqlite"))
