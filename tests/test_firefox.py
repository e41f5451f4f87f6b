"""The browser demo in another browser: Firefox, too, answers as Python does."""

import base64
import io

import pytest
from odd_pictures import READABLE, REFUSED
from pocket_site import COMMITTED, assert_agree, drawn_jpeg

from benchmarks.browser import FIREFOX, FirefoxError, ask_page, firefox_page
from benchmarks.teaching import ask_all, call, teach
from going_modular.app.model import SENTENCES, Predictor, spoken
from going_modular.drawn import CLASS_NAMES, OTHER_NAMES, drawn_files

CHOOSE = """(base64) => {
    const bytes = Uint8Array.fromBase64(base64);
    const chosen = new DataTransfer();
    chosen.items.add(new File([bytes], "list.jpg", { type: "image/jpeg" }));
    document.querySelector("#file").files = chosen.files;
    document.querySelector("#file").dispatchEvent(new Event("change"));
}"""
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(FIREFOX is None, reason="needs the system package firefox-esr"),
]


@pytest.fixture(scope="module")
def page(committed_url):
    with firefox_page(committed_url) as page:
        yield page


def test_a_dish_can_be_taught_in_firefox(page):
    name = OTHER_NAMES[0]
    files = [*drawn_files(name, "test"), *drawn_files(name, "train")][:12]
    dish = spoken(name)
    assert teach(page, dish, files[:8])["checked"]["asked"] == 8
    assert ask_all(page, files[8:]).count(dish) >= 3
    page.wait_for_selector("#taught:not([hidden])")
    assert "1, from 8 photos" in page.inner_text("#taught-title")
    call(page, "forgetAll")
    assert dish not in ask_all(page, files[8:])


def test_same_answers_as_python(page):
    predictor = Predictor(COMMITTED, threads=1)
    drawn = [drawn_jpeg(name, number) for name in CLASS_NAMES for number in range(3)]
    for apart, pictures in ((0.001, drawn), (0.02, READABLE.values())):
        for picture in pictures:
            ours = predictor.predict(io.BytesIO(picture))
            assert_agree(ask_page(page, picture), ours, apart)
    assert page.evaluate("crossOriginIsolated")


def test_what_is_no_picture_gets_its_sentence_and_a_photo_its_answer(page):
    for content, why in REFUSED.values():
        with pytest.raises(FirefoxError) as refusal:
            ask_page(page, content)
        assert str(refusal.value) == f"Error: {SENTENCES[why]}"
    page.evaluate(CHOOSE, base64.b64encode(REFUSED["text"][0]).decode())
    page.wait_for_selector("#stage[data-state=problem]")
    assert page.inner_text("#detail") == SENTENCES["no picture"]
    page.evaluate(CHOOSE, base64.b64encode(READABLE["exif 6"]).decode())
    page.wait_for_selector("#stage[data-state=photo]")
    assert "Answered in" in page.inner_text("#numbers")
    assert page.evaluate("[shown.width, shown.height]") == [60, 40]  # upright
