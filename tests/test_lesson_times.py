"""The table of times: counted as it says, put in its place, and not out of date."""

import re
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tools.lesson_times import (
    STARTS,
    doing_minutes,
    reading_minutes,
    renew_times,
    sections,
    table,
)
from tools.readme_block import get_block

LESSON = Path(__file__).resolve().parents[1] / "09_pytorch_model_deployment.ipynb"
MARKERS = "<!-- times: written by `make refresh` -->\n<!-- end of times -->"
ROW = re.compile(r"^\| (.+) \| (\d+) \| ([\d.]+|under 0\.1) \| (\d+) \|$", re.MULTILINE)


def text(source, **metadata):
    return new_markdown_cell(source, metadata=metadata)


def code(source, **metadata):
    return new_code_cell(source, metadata=metadata)


@pytest.fixture
def small():
    """A notebook with every section, each of a heading and a cell of code."""
    cells = [text("# A lesson", id="welcome"), text(f"Before.\n\n{MARKERS}\n\nAfter.")]
    cells[-1].id = "times"
    for name in STARTS:
        start, cell = text(f"## {name.upper()}. What it is\n\nwords"), code("x = 1")
        start.id, cell.id = name, f"code-{name}"
        cells += [start, cell]
    return new_notebook(cells=cells)


def test_sections_begin_where_their_cells_stand(small):
    found = sections(small)
    first, second, *_, last = found
    assert (first, second, last) == (
        "Before section 0",
        "S0. What it is",
        "EXERCISES. What it is",
    )
    assert len(found) == len(STARTS) + 1
    assert sum(map(len, found.values())) == len(small.cells)


def test_a_missing_or_misplaced_section_is_an_error(small):
    small.cells[2], small.cells[4] = small.cells[4], small.cells[2]
    with pytest.raises(ValueError, match="in order"):
        sections(small)
    del small.cells[2]
    with pytest.raises(ValueError, match="s0, s1"):
        sections(small)


def test_reading_counts_words_and_lines_of_code():
    assert reading_minutes([text("word " * 400)]) == 2
    assert reading_minutes([code("x = 1\n\n" * 30)]) == 2
    fence = "```bash\n" + "a long line of many words\n" * 30 + "```\n"
    assert reading_minutes([text(f"{'word ' * 200}\n\n{fence}")]) == 3


@pytest.mark.parametrize(
    "unread",
    [
        f"<details><summary>Answer</summary>\n\n{'word ' * 900}\n\n</details>",
        f"<!-- badge -->\n{'word ' * 900}\n<!-- end of badge -->",
        f"<!-- times: written by `make refresh` -->\n{'x ' * 900}<!-- end of times -->",
        f"[here](https://example.org/{'long%20way ' * 900})",
        "| --- | ---: |\n" * 900,
    ],
)
def test_what_is_folded_written_or_unseen_is_not_read(unread):
    assert reading_minutes([text(f"{'word ' * 200}\n{unread}")]) == 1


def test_doing_counts_tags_predictions_and_folded_answers():
    cells = [
        code("...", tags=["your-turn", "shows-photos"]),
        text("**4. Try it.**\n\n<details><summary>Hint</summary></details>"),
        text("**Predict first:** this? Later come the words **Predict first**."),
        text("Do it", tags=["exercise"]),
        code("print('<summary>')"),
    ]
    assert doing_minutes(cells) == 5 + 1 + 1 + 15


def test_the_table_adds_up(small):
    rows = ROW.findall(table(small, {"code-s1": 90, "code-s2": 2}))
    assert [row[2] for row in rows[:4]] == ["0", "0", "1.5", "under 0.1"]
    title, reading, running, doing = rows[-1]
    hours = round((int(reading) + int(doing)) / 60)
    assert (title, running) == (f"**Total**, about {hours} hours", "1.5")
    assert int(reading) == sum(int(row[1]) for row in rows[:-1])
    assert int(doing) == sum(int(row[3]) for row in rows[:-1])


def test_renewing_changes_one_block_and_not_its_own_count(small):
    before = {cell.id: cell.source for cell in small.cells}
    counted = table(small, {})
    for _ in range(2):
        renew_times(small, {"code-s1": 90}, cores=2, where="real photos")
        changed = [c for c in small.cells if c.source != before[c.id]]
        assert [cell.id for cell in changed] == ["times"]
        assert changed[0].source.startswith("Before.\n\n<!-- times: written by")
        assert changed[0].source.endswith("<!-- end of times -->\n\nAfter.")
        assert "on 2 CPU cores, on real photos" in changed[0].source
        assert table(small, {}) == counted


def test_without_its_cell_or_block_there_is_an_error(small):
    small.cells[1].source = "Nothing"
    with pytest.raises(ValueError, match="block times"):
        renew_times(small, {}, cores=2, where="real photos")
    del small.cells[1]
    with pytest.raises(ValueError, match="cell times"):
        renew_times(small, {}, cores=2, where="real photos")


def test_the_committed_table_counts_what_the_lesson_says_now():
    """If this fails, `make refresh`: the lesson's text has changed since."""
    lesson = nbformat.read(LESSON, as_version=4)
    cell = next(cell for cell in lesson.cells if cell.id == "times")
    committed = ROW.findall(get_block(cell.source, "times"))
    now = ROW.findall(table(lesson, {}))
    counted = [(title, read, do) for title, read, _, do in now]
    assert [(title, read, do) for title, read, _, do in committed] == counted
    ran = [float(took) for *_, took, _ in committed if took != "under 0.1"]
    assert ran[-1] > 1, "no run of the whole lesson takes less than a minute"
