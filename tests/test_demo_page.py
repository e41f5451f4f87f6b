"""What the demo's page says, keeps and shares, and thumbs; the reader's own page."""

import json
import re
import runpy
import shutil
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import nbformat
import page as its_page
import pytest
import torch
from browsing import PHONE, ask, lay_out, open_page, photo_of
from course_copy import LESSON, ROOT
from demo_model_fixture import BLUE, GREEN, RED, YELLOW, make_model
from drawn_images import GOLDEN
from model import ModelMetadata
from pocket_site import need_runtime

from going_modular import companion
from going_modular import feedback as module
from going_modular.app.model import DISH, NO_PLATE, OTHER, Answer, Predictor
from going_modular.app_process import ask_demo, run_demo
from going_modular.companion import COMMITTED, OUTCOMES, read_feedback
from going_modular.drawn import CLASS_NAMES, OTHER_NAMES, drawn_files
from going_modular.feedback import Feedback
from pocket.server import serve_folder
from pocket.site import fill_first_page

COMPANION = ROOT / "companions" / "6_watch_it.ipynb"
PIZZA = Answer({"pizza": 0.9}, 0.7, 0.6, DISH, seconds=0.01)


def build(folder: Path) -> tuple:
    """Run the app up to its launch: what it defines, all words on its page."""
    app = runpy.run_path(str(folder / "app.py"))
    blocks = app["demo"].blocks.values()
    return app, "\n".join(str(getattr(block, "value", "")) for block in blocks)


def test_what_a_visitor_sent_is_deleted(tmp_path, monkeypatch):
    uploads = tmp_path / "uploads"
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(uploads))
    app, words = build(lay_out(tmp_path / "demo"))
    demo = app["demo"]
    assert "# FoodVision Mini\nPizza, steak or sushi? Show me a plate." in words
    assert "450 real photos" in words and "**147 of 150** test pictures" in words
    assert "deleted within two minutes" in words and its_page.PRACTICE not in words
    assert (demo.delete_cache, demo._queue.max_size) == ((30, 60), 64)
    assert demo.analytics_enabled is False
    demo.delete_cache = (1, 3)  # seconds, to see in a moment what takes minutes
    where = {"server_name": "127.0.0.1", "prevent_thread_lock": True}
    _, url, _ = demo.launch(**where, quiet=True, ssr_mode=False)
    try:
        ask(url, photo_of(RED, tmp_path / "plate.png").read_bytes())
        end = time.monotonic() + 60
        while list(uploads.rglob("plate.jpg")) and time.monotonic() < end:
            time.sleep(0.3)
        left = [path.name for path in uploads.rglob("*") if path.is_file()]
    finally:
        demo.close()
    assert sorted(left) == ["1.jpg", "2.jpg", "3.jpg"], "examples stay, uploads go"


def test_a_practice_model_with_its_names_and_examples(tmp_path):
    """Examples are optional and sorted; underscores in names are shown as spaces."""
    about = {"is_practice": "true", "trained_on": "450 drawn practice pictures"}
    about["class_names"] = json.dumps(["BBQ_ribs", "beef_tartare", "miso_soup"])
    folder = lay_out(tmp_path / "demo", **about)
    shutil.rmtree(folder / "examples")
    assert build(folder)[0]["examples"] == []
    (folder / "examples").mkdir()
    for name in ("sushi.png", "pizza.jpg", "steak.jpg"):
        photo_of(GREEN, folder / "examples" / name)
    app, words = build(folder)
    shown = [Path(file).name for file in app["examples"]]
    assert shown == ["pizza.jpg", "steak.jpg", "sushi.png"]
    assert its_page.PRACTICE in words and "drawn practice pictures" in words
    assert "BBQ ribs, beef tartare or miso soup? Show me a plate." in words
    bars, note = app["predict"](str(folder / "examples" / "sushi.png"))
    assert list(bars)[0] == "miso soup" and not any("_" in name for name in bars)
    assert note.startswith("This looks like miso soup.\n")
    (folder / "foodvision_mini.onnx").unlink()
    with pytest.raises(FileNotFoundError, match="run the lesson to make it"):
        build(folder)


def test_scores_become_the_golden_words():
    for case in json.loads(GOLDEN.read_text("utf-8"))["words"]:
        about, asked = SimpleNamespace(**case["about"]), dict(case["asked"])
        about.judge = partial(ModelMetadata.judge, about)
        asked["seconds"] = asked.pop("milliseconds") / 1000
        answer = ModelMetadata.answer(about, **asked)
        assert answer.verdict == case["verdict"]
        assert its_page.describe(answer, about).split("\n") == case["says"]


def test_every_launch_says_no_for_gradio_would_share_in_colab():
    files = [ROOT / LESSON, *ROOT.glob("companions/*.ipynb")]
    cells = [c for file in files for c in nbformat.read(file, as_version=4).cells]
    code = [cell.source for cell in cells if cell.cell_type == "code"]
    code += [(ROOT / "demos/foodvision_mini/app.py").read_text("utf-8")]
    launches = re.findall(r"\.launch\((.*)", "\n".join(code))
    assert len(launches) >= 8 and all("share=False" in call for call in launches)


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
    outcomes = companion.give_thumbs(Feedback(file), visits[:3])
    outcomes += companion.give_thumbs(Feedback(file), visits[3:])  # after a restart
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
    first, second = companion.answers_of(predictor.about, (scores, *gate))
    assert first.best == ("steak", pytest.approx(0.7)) and first.verdict == OTHER
    assert list(second.probabilities) == ["pizza", "steak", "sushi"]
    assert second.verdict == NO_PLATE


@pytest.mark.slow
def test_thumbs_on_the_page_of_companion_6(browser, file, tmp_path, monkeypatch):
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


SCORES = "[...document.querySelectorAll('meter')].map((meter) => meter.value)"


def test_the_readers_own_page_answers_as_the_app_does(browser, tmp_path):
    need_runtime()
    folder = fill_first_page(COMMITTED, tmp_path / "page")
    cells = nbformat.read(ROOT / LESSON, as_version=4).cells
    source = next(cell.source for cell in cells if cell.id == "write-page")
    (folder / "index.html").write_text(source.partition("\n")[2] + "\n", "utf-8")
    predictor, asked = Predictor(COMMITTED), set()
    with serve_folder(folder) as site:
        page = browser.new_page(viewport={"width": 390, "height": 844})
        page.on("request", lambda request: asked.add(request.url))
        page.goto(site.url)
        page.get_by_text("The model is here.").wait_for()
        assert not page.locator("img").is_visible()
        for dish in (*CLASS_NAMES, OTHER_NAMES[1]):
            expected = predictor.predict(photo := drawn_files(dish)[0])
            page.locator("input").set_input_files(photo)
            verdict = expected.text.splitlines()[0]
            page.get_by_role("status").filter(has_text=verdict).wait_for()
            wanted = [expected.probabilities[name] for name in CLASS_NAMES]
            assert page.evaluate(SCORES) == pytest.approx(wanted, abs=0.1)
        (notes := tmp_path / "list.jpg").write_text("my shopping list: milk, eggs")
        page.locator("input").set_input_files(notes)
        page.get_by_text("cannot read that file").wait_for()
        assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
        page.close()
    hosts = {urlsplit(url).netloc for url in asked if url.startswith("http")}
    assert hosts == {urlsplit(site.url).netloc}
