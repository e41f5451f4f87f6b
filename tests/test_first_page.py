"""The reader's own web page, as the lesson's cell writes it, in Chromium."""

from urllib.parse import urlsplit

import nbformat
import pytest
from course_copy import LESSON, ROOT
from pocket_site import need_runtime

from going_modular.app.model import Predictor
from going_modular.drawn import CLASS_NAMES, OTHER_NAMES, drawn_files
from pocket.server import serve_folder
from pocket.site import fill_first_page

COMMITTED = ROOT / "models" / "foodvision_mini.onnx"
SCORES = "[...document.querySelectorAll('meter')].map((meter) => meter.value)"


def test_it_answers_as_the_app_does_and_asks_no_other_host(browser, tmp_path):
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
            photo = drawn_files(dish)[0]
            expected = predictor.predict(photo)
            page.locator("input").set_input_files(photo)
            verdict = expected.text.splitlines()[0]
            page.get_by_role("status").filter(has_text=verdict).wait_for()
            scores = page.evaluate(SCORES)
            wanted = [expected.probabilities[name] for name in CLASS_NAMES]
            assert scores == pytest.approx(wanted, abs=0.1)
        (notes := tmp_path / "list.jpg").write_text("my shopping list: milk, eggs")
        page.locator("input").set_input_files(notes)
        page.get_by_text("cannot read that file").wait_for()
        assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
        page.close()
    hosts = {urlsplit(url).netloc for url in asked if url.startswith("http")}
    assert hosts == {urlsplit(site.url).netloc}
