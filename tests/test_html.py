"""`make html`: the lesson as one page, for a phone and for a desktop."""

import base64
from urllib.parse import unquote

import nbformat
import pytest
from browsing import DESKTOP, SMALL_PHONE
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tools.write_html import LESSON, SERVED, page_of, write_page

BLOCKS = """\
# A lesson

## 1. First, "why"?

![A red square on white, as wide as the page.](figures/square.svg)

| a | b |
|---|---|
| 1 | 2 |

See [results](benchmarks/results.md), [`deploy/`](deploy/README.md), and
[1](#1.-First,-"why"?) and [Git LFS](https://git-lfs.com).

<details><summary>Answer</summary>

Folded away.

```python
answer = 42
```

</details>
"""
FRAME = '<iframe src="http://127.0.0.1:7860" width="100%"></iframe>'
TABLE = (
    "<style scoped>.dataframe {}</style><script>alert(1)</script>"
    '<table border="1" class="dataframe"><tr><td>146</td></tr></table>'
)
SQUARE = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 4"/>'


def shows(kind, content):
    """An output that shows something."""
    return new_output("display_data", {kind: content, "text/plain": "shown"})


@pytest.fixture
def lesson(tmp_path):
    """A small notebook with one of everything, and its figure."""
    outputs = [
        new_output("stream", text="\rhalf\rdone: 1 < 2\n"),
        shows("text/html", TABLE),
        shows("text/html", FRAME),
        shows("image/png", base64.b64encode(b"pixels").decode() + "\n"),
        shows("text/markdown", "**7 of 9**"),
    ]
    cells = [new_markdown_cell(BLOCKS), new_code_cell("print(1)", outputs=outputs)]
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "square.svg").write_text(SQUARE)
    file = tmp_path / "lesson.ipynb"
    nbformat.write(new_notebook(cells=cells), file)
    return file


@pytest.fixture
def page(lesson):
    """That notebook's page, parsed."""
    return BeautifulSoup(
        page_of(nbformat.read(lesson, 4), lesson.parent), "html.parser"
    )


def check_it_is_alone(page):
    """Nothing to run or to fetch, every picture inside and described."""
    assert not page.select("script, link, iframe, object, embed, main style")
    assert "url(" not in page.style.string and "@import" not in page.style.string
    for picture in page.select("img"):
        assert picture["src"].startswith("data:image/") and picture["alt"]
    assert not page.select("[src]:not(img), [srcset], [background], [poster]")


def check_links(page):
    """Links lead to a heading that is there, or out into the web."""
    addresses = [heading["id"] for heading in page.select("[id]")]
    assert len(addresses) == len(set(addresses))
    for link in page.select("a[href]"):
        inside, out = link["href"].startswith("#"), link["href"].startswith("https://")
        assert out or (inside and unquote(link["href"][1:]) in addresses), link


def test_the_page_is_alone_and_says_what_it_is(page):
    check_it_is_alone(page)
    assert page.html["lang"] == "en" and page.title.string == "A lesson"
    assert page.select_one("meta[name=viewport]")["content"].startswith("width=device")


def test_figures_and_plots_are_inside(page):
    square, plot = page.select("figure.wide > img")
    assert base64.b64decode(square["src"].split(",")[1]).decode() == SQUARE
    assert base64.b64decode(plot["src"].split(",")[1]) == b"pixels"
    assert '1. First, "why"?' in plot["alt"]


def test_outputs_keep_what_they_say_and_lose_what_they_run(page):
    text, table, frame, _, words = page.select(".output")
    assert text.get_text().strip() == "done: 1 < 2"
    assert table.get_text().strip() == "146" and table.div["class"] == ["wide"]
    assert frame.get_text().strip() == SERVED
    assert words.strong.get_text() == "7 of 9"


def test_an_answer_stays_inside_its_fold(page):
    answer = page.select_one(".words details")
    assert "Folded away." in answer.get_text() and answer.select_one(".highlight .mi")


def test_no_link_is_broken_and_files_become_their_names(page):
    check_links(page)
    words = " ".join(page.select_one(".words").get_text().split())
    assert "See results (benchmarks/results.md), deploy/, and 1 and Git LFS." in words


def test_contents_list_the_headings_for_both_widths(page):
    for place in page.select(".contents"):
        assert [a.get_text() for a in place.select("a")] == ['1. First, "why"?']


def test_what_scrolls_can_be_reached_by_keys(page):
    assert all(box["tabindex"] == "0" for box in page.select("pre, .wide"))


def test_the_page_is_written_whole_or_not_at_all(lesson, tmp_path):
    written = write_page(lesson, tmp_path / "build" / "lesson.html")
    before = written.read_bytes()
    (tmp_path / "figures" / "square.svg").unlink()
    with pytest.raises(FileNotFoundError, match="square.svg"):
        write_page(lesson, written)
    assert [*written.parent.iterdir()] == [written] and written.read_bytes() == before


@pytest.fixture(scope="module")
def whole_page(tmp_path_factory):
    """The committed lesson as a page."""
    return write_page(LESSON, tmp_path_factory.mktemp("build") / "lesson.html")


@pytest.mark.slow
def test_the_lesson_is_alone_and_no_link_is_broken(whole_page):
    page = BeautifulSoup(whole_page.read_text("utf-8"), "html.parser")
    check_it_is_alone(page)
    check_links(page)
    assert len(page.select(".cell")) > 80 and len(page.select("figure")) > 6


@pytest.mark.parametrize("size", [SMALL_PHONE, (1200, 800), DESKTOP])
def test_the_lesson_never_scrolls_sideways(browser, whole_page, size):
    asked, said = [], []
    page = browser.new_page(viewport={"width": size[0], "height": size[1]})
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.goto(whole_page.as_uri())
    wide = "document.documentElement.scrollWidth - innerWidth"
    assert page.evaluate(wide) <= 0
    page.evaluate("document.querySelectorAll('details').forEach(d => (d.open = true))")
    assert page.evaluate(wide) <= 0
    assert page.locator("nav.contents").is_visible() == (size != SMALL_PHONE)
    assert page.locator("details.contents").is_visible() == (size == SMALL_PHONE)
    assert not said
    assert {url for url in asked if not url.startswith("data:")} == {
        whole_page.as_uri()
    }
    page.close()


def test_a_phone_finds_a_section_by_the_contents(browser, whole_page):
    page = browser.new_page(viewport={"width": 360, "height": 740})
    page.goto(whole_page.as_uri())
    page.locator("details.contents > summary").click()
    page.locator("details.contents a", has_text="Extra reading").click()
    assert page.get_by_role("heading", name="Extra reading").is_visible()
    assert page.evaluate("scrollY") > 10_000
    page.locator(".up").click()
    assert page.evaluate("scrollY") < 100
    page.close()
