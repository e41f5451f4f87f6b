"""The browser demo in another browser: Firefox, too, answers as Python does."""

import base64
import io
import sys
from pathlib import Path

import pytest
from drawn_images import drawn_image
from odd_pictures import READABLE, REFUSED
from pocket_site import need_runtime

from benchmarks import firefox
from benchmarks.browser import ask_page
from benchmarks.firefox import FIREFOX, FirefoxError, firefox_page
from benchmarks.teaching import ask_all, call, teach
from going_modular.app.model import SENTENCES, Predictor
from going_modular.drawn import CLASS_NAMES, OTHER_NAMES
from going_modular.pocket.server import serve_folder
from going_modular.pocket.site import MODEL, write_pocket

COMMITTED = Path(__file__).resolve().parents[1] / "models" / MODEL
DRAWN = [(name, number) for name in CLASS_NAMES for number in range(3)]
CHOOSE = """([base64, name]) => {
    const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt());
    const chosen = new DataTransfer();
    chosen.items.add(new File([bytes], name, { type: "image/jpeg" }));
    document.querySelector("#file").files = chosen.files;
    document.querySelector("#file").dispatchEvent(new Event("change"));
}"""
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(FIREFOX is None, reason="needs the system package firefox-esr"),
]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    need_runtime()
    site = write_pocket(COMMITTED, tmp_path_factory.mktemp("pocket") / "site")
    with serve_folder(site) as served, firefox_page(served.url) as page:
        yield page


@pytest.fixture(scope="module")
def predictor():
    return Predictor(COMMITTED, threads=1)


def choose(page, content: bytes, name: str = "plate.jpg") -> None:
    page.evaluate(CHOOSE, [base64.b64encode(content).decode(), name])


def ask_both(page, predictor, picture: bytes, apart: float) -> list[list[float]]:
    """Ask Firefox and Python, whose probabilities may be so far apart; both's."""
    theirs, ours = ask_page(page, picture), predictor.predict(io.BytesIO(picture))
    probabilities = [ours.probabilities[name] for name in CLASS_NAMES]
    assert theirs["probabilities"] == pytest.approx(probabilities, abs=apart)
    assert theirs["knn_similarity"] == pytest.approx(ours.knn_similarity, abs=0.02)
    # Counted in standard deviations, so what rounding does shows more here.
    assert theirs["in_distribution_score"] == pytest.approx(
        ours.in_distribution_score, abs=0.1
    )
    return [theirs["probabilities"], probabilities]


def test_a_dish_can_be_taught_in_firefox(page, tmp_path):
    files = []
    for number in range(12):
        files.append(tmp_path / f"{number}.jpg")
        drawn_image(OTHER_NAMES[0], number).save(files[-1], "JPEG", quality=90)
    taught = teach(page, OTHER_NAMES[0], files[:8])
    assert taught["checked"]["asked"] == 8
    assert ask_all(page, files[8:]).count(OTHER_NAMES[0]) >= 3
    page.wait_for_selector("#taught:not([hidden])")
    assert "1, from 8 photos" in page.inner_text("#taught-title")
    call(page, "forgetAll")
    assert OTHER_NAMES[0] not in ask_all(page, files[8:])


@pytest.mark.parametrize(("name", "number"), DRAWN)
def test_same_answers_as_python(page, predictor, name, number):
    file = io.BytesIO()
    drawn_image(name, number).save(file, "JPEG", quality=88)
    theirs, ours = ask_both(page, predictor, file.getvalue(), 0.001)
    assert theirs.index(max(theirs)) == ours.index(max(ours))


def test_odd_pictures_are_answered_as_in_python(page, predictor):
    for picture in READABLE.values():
        ask_both(page, predictor, picture, 0.02)


@pytest.mark.parametrize("name", REFUSED)
def test_refused_files_are_refused_here_too(page, name):
    content, why = REFUSED[name]
    with pytest.raises(FirefoxError) as refusal:
        ask_page(page, content)
    assert str(refusal.value) == f"Error: {SENTENCES[why]}"


def test_a_text_named_jpg_gets_its_sentence_and_a_photo_its_answer(page):
    choose(page, REFUSED["text"][0], "list.jpg")
    page.wait_for_selector("#stage[data-state=problem]")
    assert page.inner_text("#detail") == SENTENCES["no picture"]
    choose(page, READABLE["exif 6"])
    page.wait_for_selector("#stage[data-state=photo]")
    assert "Answered in" in page.inner_text("#numbers")
    assert page.evaluate("[shown.width, shown.height]") == [60, 40]  # upright


def test_no_other_machine_is_asked(page):
    assert page.evaluate("crossOriginIsolated")
    assert page.asked_elsewhere == set()
    with pytest.raises(FirefoxError):
        page.goto("http://elsewhere.invalid/")
    assert any("elsewhere.invalid" in asked for asked in page.asked_elsewhere)


def test_a_firefox_that_does_not_start_says_so(monkeypatch):
    monkeypatch.setattr(firefox, "FIREFOX", sys.executable)
    with (
        pytest.raises(FirefoxError, match="(?s)not start.*--headless"),
        firefox_page("about:blank"),
    ):
        pass
