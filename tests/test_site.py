"""The site: its pages, where they lead, and what is alive on them."""

import gzip
import json
import re
import shutil
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import nbformat
import pytest
from course_copy import REPO, SITE, copy_course, publish
from pocket_site import SIDEWAYS, grave_complaints, need_runtime, visitor

from benchmarks.browser import FIREFOX, firefox_page
from going_modular.app.model import Predictor
from going_modular.app_process import run
from going_modular.demo_folder import rehearse_push
from pocket.runtimes import CACHE
from pocket.server import serve_folder
from tools.course import LESSON, ROOT, shown_by
from tools.model_card import MODEL, SCORES

BOOK = nbformat.read(ROOT / LESSON, as_version=4)
READ = LESSON.replace(".ipynb", ".html")
BOOKS = [READ, *(f"companions/{p.stem}.html" for p in ROOT.glob("companions/*.ipynb"))]
FRAME = "iframe.pocket"
TIMES = """() => [performance.getEntriesByName("first-contentful-paint")[0].startTime,
    performance.now()]"""
pytestmark = pytest.mark.slow


class Page(HTMLParser):
    """What a page loads, where it leads, and what can be led to."""

    def __init__(self, file: Path):
        super().__init__()
        self.loads, self.leads, self.ids, self.alts = [], [], {""}, []
        self.feed(file.read_text("utf-8"))

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.ids.add(given.get("id"))
        self.alts += [given.get("alt")] if tag == "img" else []
        if tag == "a" or given.get("rel") in ("next", "prev", "search", "index"):
            self.leads += [given["href"]] if given.get("href") else []
        elif where := given.get("src") or (tag == "link" and given.get("href")):
            self.loads.append(where)


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """The site of a copy of the course that has been published."""
    need_runtime()
    publish(course := copy_course(tmp_path_factory.mktemp("site")))
    shutil.copytree(CACHE, course / "build" / "npm")
    run(sys.executable, "-m", "tools.make_site", cwd=course)
    return course / "build" / "site"


@pytest.fixture(scope="session")
def site_url(folder):
    with serve_folder(folder, isolated=False) as served:  # as GitHub Pages
        yield served.url


@pytest.fixture(scope="session")
def pages(folder):
    return {p.relative_to(folder).as_posix(): Page(p) for p in folder.rglob("*.html")}


def test_every_link_works_and_nothing_comes_from_elsewhere(folder, pages):
    colab = f"https://colab.research.google.com/github/{REPO}/blob/main/{LESSON}"
    for name in ("index.html", READ):
        assert colab in pages[name].leads
    assert SITE in pages["README.html"].leads
    assert {*BOOKS, "index.html", "glossary.html", "TEACHING.html"} <= pages.keys()
    for name, page in pages.items():
        for link in page.loads + page.leads:
            address, anchor = urldefrag(urljoin(f"http://site/{name}", link))
            if urlsplit(address).hostname != "site":
                assert link in page.leads, f"{name} loads {link}"
                there = re.match(rf".*{REPO}/blob/main/([^#]+)", link)
                assert not there or (ROOT / there[1]).exists(), link
                continue
            target = unquote(urlsplit(address).path)[1:] or "index.html"
            assert (folder / target).is_file(), f"{name} leads to {link}"
            if target in pages and not target.startswith("pocket"):
                assert unquote(anchor) in pages[target].ids, f"{name} leads to {link}"


def test_pictures_say_what_they_show_and_answers_are_folded(folder, pages):
    for name in BOOKS:
        alts, text = pages[name].alts, (folder / name).read_text("utf-8")
        assert all(alt and not re.search(r"_images|\.png", alt) for alt in alts), name
        assert "<details><summary>Answer</summary>" in text
        assert 'class="cell_output' in text and "<details open" not in text


@pytest.fixture(scope="session")
def visits(browser, site_url, pages):
    """Each page as a narrow window shows it: what was loaded, what went wrong."""
    visits = {}
    with visitor(browser, site_url) as context:
        for name in (name for name in pages if not name.startswith("pocket")):
            page, loaded, wrong = context.new_page(), [], []
            page.set_viewport_size({"width": 360, "height": 800})
            page.on(
                "request", lambda request, loaded=loaded: loaded.append(request.url)
            )
            page.on("console", lambda line, wrong=wrong: wrong.append(line.text))
            page.goto(site_url + name)
            wrong += ["wider than the window"] if page.evaluate(SIDEWAYS) else []
            visits[name] = loaded, wrong
            page.close()
    return visits


def test_pages_fit_are_light_and_ask_no_other_host(visits, folder, site_url):
    for name, (loaded, wrong) in visits.items():
        assert wrong == [], name
        assert all(url.startswith((site_url, "blob:", "data:")) for url in loaded), name
        paths = {unquote(urlsplit(url).path)[1:] for url in loaded} - {""}
        assert not any(path.endswith((".gz", ".onnx")) for path in paths), name
        weight = sum(len(gzip.compress((folder / p).read_bytes())) for p in paths)
        assert weight < (1_000_000 if name == "index.html" else 1_500_000), name


def test_the_first_page_answers_once_it_is_asked(browser, site_url):
    with visitor(browser, site_url) as context:
        page, loaded = context.new_page(), []
        page.on("request", lambda request: loaded.append(request.url))
        inside = page.frame_locator(FRAME)
        for _ in range(2):  # the second time the files are there
            page.goto(site_url)
            inside.get_by_role("button", name="Example picture 1").press("Enter")
            inside.get_by_text("This looks like pizza.").first.wait_for()
            text, answer = page.evaluate(TIMES)
            print(f"text after {text:.0f} ms, the answer after {answer:.0f} ms")
        assert any(url.endswith(".tflite.gz") for url in loaded)
        frame = page.locator(FRAME)
        tall = frame.evaluate("(frame) => frame.contentDocument.body.offsetHeight")
        assert frame.bounding_box()["height"] == pytest.approx(tall, abs=3)
        page.evaluate("document.body.dataset.theme = 'dark'")  # as its button does
        root = page.frame_locator(FRAME).locator("html")
        assert root.evaluate("(html) => getComputedStyle(html).colorScheme") == "dark"
        assert grave_complaints(page) == []


@pytest.mark.skipif(FIREFOX is None, reason="needs the system package firefox-esr")
def test_firefox_answers_on_the_first_page(site_url):
    with firefox_page(site_url, until=FRAME) as page:
        page.evaluate(f"""async () => {{
            const frame = document.querySelector("{FRAME}");
            const find = async (css, text = "") => {{
                const found = frame.contentDocument.querySelector(css);
                if (found?.innerText.includes(text)) return found;
                await new Promise((resolve) => setTimeout(resolve, 50));
                return find(css, text);
            }};
            (await find("#examples input")).click();
            await find("#verdict", "This looks like pizza.");
        }}""")


def test_the_reader_moves_the_gates_thresholds(browser, site_url):
    *near, ours = re.findall(r"(\d+) of (\d+) turned", shown_by(BOOK, "deployable"))
    away, asked = (sum(map(int, counts)) for counts in zip(*near, strict=True))
    far = "{} of {}".format(*Predictor(MODEL).about.gate["far"])
    stored = f"ours {' of '.join(ours)}, other dishes {away} of {asked}, no food {far}."
    dots = sum(map(len, json.loads(SCORES.read_text("utf-8")).values())) - 2
    with visitor(browser, site_url) as context:
        page = context.new_page()
        page.goto(site_url + READ)
        status, slider = (
            page.locator("#gate [role=status]"),
            page.locator("#gate input"),
        )
        assert status.inner_text() == f"Turned away: {stored}", "as the cell above it"
        slider.first.press("End")
        assert "ours 150 of 150, other dishes 375 of 375" in status.inner_text()
        slider.first.press("Home")
        slider.last.press("Home")
        assert "ours 0 of 150" in status.inner_text()
        page.locator("#gate button").click()
        assert status.inner_text().endswith(stored)
        assert page.locator("#gate circle").count() == dots
        assert grave_complaints(page) == []


def test_the_demo_stands_beside_the_companions_text(browser, site_url):
    with visitor(browser, site_url) as context:
        page = context.new_page()
        page.goto(site_url + "companions/4_in_the_browser.html")
        page.get_by_text("Try the page beside the text").press("Enter")
        page.frame_locator(FRAME).get_by_role(
            "button", name="Example picture 1"
        ).wait_for()
        assert grave_complaints(page) == []


def test_a_push_of_the_site_comes_back_whole(folder, tmp_path):
    rehearsal = rehearse_push(folder, tmp_path)
    assert rehearsal.same_bytes and "index.html" in rehearsal.files
