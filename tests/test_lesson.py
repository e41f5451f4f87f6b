"""The lesson: what it writes, how soon, and what stands on its page."""

import inspect
import re

import nbformat
import pytest
from course_copy import LESSON, ROOT
from test_notebooks import count_words

from going_modular import model_builder
from going_modular.demo_folder import APP

WRITES = re.compile(r"%%writefile \{demo_folder\.as_posix\(\)\}/(\S+)\n")
WRITTEN = {"app.py", "requirements.txt", "README.md", ".gitattributes"}
SECTIONS = range(8)
# Cells that must have come by then, and words before them.
SOON = {
    "play-launch": (12, 900),
    "train-heads": (60, None),
    "winner": (95, None),
    "list-zip": (120, 5_500),
    "s6-static": (145, None),
}
STORY_WORDS, PAGE_LINES, APP_LINES, BIG_CELLS = 1_400, 60, 60, 20


@pytest.fixture(scope="module")
def cells():
    return nbformat.read(ROOT / LESSON, as_version=4).cells


def code_of(cells):
    return [cell for cell in cells if cell.cell_type == "code"]


def between(cells, first, end):
    ids = [cell.id for cell in cells]
    return nbformat.v4.new_notebook(cells=cells[ids.index(first) : ids.index(end)])


def test_the_app_that_ships_is_the_one_that_the_lesson_writes(cells):
    written = {}
    for cell in code_of(cells):
        if match := WRITES.match(cell.source):
            written[match[1]] = cell.source[match.end() :]
    assert written.keys() == WRITTEN
    for name, text in written.items():
        assert (APP / name).read_text("utf-8") == text + "\n", name
    assert len(written["app.py"].splitlines()) <= APP_LINES


def test_the_page_is_short_and_asks_no_other_host(cells):
    page = next(cell.source for cell in cells if cell.id == "write-page")
    assert len(page.splitlines()) <= PAGE_LINES + 1
    assert not re.search(r"https?://", page)


@pytest.mark.parametrize("name", ["build_effnetb2", "build_vit"])
def test_builders_on_the_page_are_those_of_the_module(cells, name):
    source = inspect.getsource(getattr(model_builder, name))
    head, _, body = source.split('"""')
    on_page = f"{head.rstrip()}\n{body.strip(chr(10))}".strip()
    assert any(on_page in cell.source for cell in code_of(cells)), on_page


def test_the_road_is_short(cells):
    ids = [cell.id for cell in cells]
    for name, (most, words) in SOON.items():
        assert ids.index(name) <= most, f"{name} is cell {ids.index(name)}"
        if words:
            before = nbformat.v4.new_notebook(cells=cells[: ids.index(name)])
            assert count_words(before).total() <= words, name
    story = between(cells, "what-is-deployment", "s1")
    assert count_words(story).total() <= STORY_WORDS
    assert len(between(cells, "s7", "takeaways").cells) <= BIG_CELLS


@pytest.mark.parametrize("section", SECTIONS)
def test_every_section_has_something_to_do_and_a_checkpoint(cells, section):
    end = f"s{section + 1}" if section + 1 in SECTIONS else "takeaways"
    own = between(cells, f"s{section}", end).cells
    turns = [cell for cell in own if "your-turn" in cell.metadata.get("tags", [])]
    assert len(turns) == 1
    if section < 7:
        check = next(cell for cell in own if cell.id == f"checkpoint-{section}")
        assert "print(" in check.source, "a checkpoint says what it checked"
