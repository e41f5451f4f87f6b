"""The browser and Python give the same answers with the committed model."""

import io
import os
import statistics
from pathlib import Path

import numpy as np
import pytest
from drawn_images import drawn_image
from pocket_site import need_runtime, open_page, pixels_of

from benchmarks.browser import ask_page
from going_modular.app.model import Predictor, open_picture
from going_modular.data_setup import find_pictures
from going_modular.drawn import CLASS_NAMES
from going_modular.pocket.server import serve_folder
from going_modular.pocket.site import MODEL, write_pocket

ROOT = Path(__file__).resolve().parents[1]
COMMITTED = ROOT / "models" / MODEL
DRAWN_PER_CLASS = 10


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    need_runtime()
    return write_pocket(COMMITTED, tmp_path_factory.mktemp("pocket") / "site")


@pytest.fixture(scope="module")
def pictures():
    """JPEG files: the 150 test photos, or drawn pictures where there are none."""
    if os.environ.get("FOODVISION_DATA"):
        folder = find_pictures(ROOT / "data").folder / "test"
        return [file.read_bytes() for file in sorted(folder.glob("*/*.jpg"))]
    drawn = []
    for name in CLASS_NAMES:
        for number in range(DRAWN_PER_CLASS):
            file = io.BytesIO()
            drawn_image(name, number).save(file, "JPEG", quality=88)
            drawn.append(file.getvalue())
    return drawn


def test_same_answers_as_python(browser, site, pictures):
    predictor = Predictor(COMMITTED, threads=1)
    expected = [predictor.predict(io.BytesIO(picture)) for picture in pictures]
    with serve_folder(site) as served:
        page = open_page(browser, served.url)
        assert page.inner_text("#runs") == "LiteRT with relaxed SIMD, 1 thread"
        answers = [ask_page(page, picture) for picture in pictures]
        page.close()
    for theirs, ours in zip(answers, expected, strict=True):
        probabilities = [ours.probabilities[name] for name in CLASS_NAMES]
        assert np.argmax(theirs["probabilities"]) == np.argmax(probabilities)
        assert theirs["probabilities"] == pytest.approx(probabilities, abs=0.001)
        assert theirs["knn_similarity"] == pytest.approx(ours.knn_similarity, abs=0.02)
        # Counted in standard deviations, so what rounding does shows more here.
        assert theirs["in_distribution_score"] == pytest.approx(
            ours.in_distribution_score, abs=0.1
        )
    browser_ms = statistics.median(answer["milliseconds"] for answer in answers)
    python_ms = 1000 * statistics.median(answer.seconds for answer in expected)
    print(
        f"\n{len(pictures)} answers agree; median from JPEG to answer: "
        f"{browser_ms:.1f} ms in the browser, {python_ms:.1f} ms in Python"
    )


def test_same_pixels_as_pillow(browser, site, pictures):
    with serve_folder(site) as served:
        page = open_page(browser, served.url, wait=False)
        for picture in pictures[:: max(1, len(pictures) // 15)]:
            theirs = np.asarray(pixels_of(page, picture)).astype(int)
            ours = open_picture(io.BytesIO(picture)).astype(int)
            # Equal with the libraries of the day; another JPEG decoder may round.
            assert np.abs(theirs - ours).max() <= 4
        page.close()


def test_large_photos_get_much_the_same_answer(browser, site):
    predictor = Predictor(COMMITTED, threads=1)
    with serve_folder(site) as served:
        page = open_page(browser, served.url)
        for name, number in (("pizza", 35), ("steak", 39), ("sushi", 26)):
            file = io.BytesIO()
            drawn = drawn_image(name, number, size=(512, 384))
            drawn.resize((4032, 3024)).save(file, "JPEG", quality=90)
            theirs = ask_page(page, file.getvalue())
            ours = predictor.predict(io.BytesIO(file.getvalue()))
            # Pillow shrinks while it decodes, so the pixels are not quite the same.
            probabilities = [ours.probabilities[name] for name in CLASS_NAMES]
            assert theirs["probabilities"] == pytest.approx(probabilities, abs=0.1)
        page.close()
