"""The rules of notebooks and modules: how long, what is in them; ruff has the rest."""

import inspect
import json
import re
from collections import Counter
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest
from answers import DOTS, cells_to_write
from course_copy import LESSON, ROOT

from going_modular.app_process import run
from going_modular.demo_folder import APP
from going_modular.model_builder import build_effnetb2, build_vit
from tools.run_lesson import is_drawn

COMPANIONS = sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("companions/*.ipynb"))
BUDGETS = {True: (190, 8_000, 550), False: (60, 2_200, 250)}  # cells, words, lines
SECTION_WORDS, CELL_LINES, FILE_LINES, ALT_TEXT = 1_500, 15, 60, 40
UNREAD = re.compile(r"(?s)<details>.*?</details>|<!--.*?-->|!\[.*?\]\(.*?\)|```.*?```")
WORD = re.compile(r"[A-Za-z0-9][\w'.,%-]*")
LINK = re.compile(r'(!?)\[([^\[\]]*)\]\(([^)\s]+)\)|(?:href|src)="([^"]+)"')
ID = re.compile(r"(?![0-9a-f]{8}$)[a-z][a-z0-9]*(-[a-z0-9]+)*")
MACHINE = re.compile(r"(?<![\w.:/])/(home|root|Users|work|mnt)/\w")
REGISTRIES = re.compile(r"(pypi|pythonhosted|npmjs|deb\.debian)[.](org|com)")
# A count or a time that a cell can print must come from that cell, but for what nobody
# measured: what a percentile means, a paper's claim in a question.
MEASURED = re.compile(r"\b\d[\d,]* of \d|\b\d+(\.\d+)? ?(ms|milliseconds)\b")
PLANNED = {"s3-table", "s3-questions"}
NO_PROSE = re.compile(r"(?ms)```.*?```|`[^`\n]*`|^\|[^\n]*")
WRITES = re.compile(r"(?s)%%writefile \{demo_folder\.as_posix\(\)\}/(\S+)\n(.*)")
WRITTEN = {"app.py", "requirements.txt", "README.md", ".gitattributes"}
# Cells that must have come by then, and words before them.
SOON = {"play-launch": (12, 900), "train-heads": (60, 5_500), "winner": (95, 5_500)}
SOON |= {"list-zip": (120, 5_500), "s6-static": (145, 8_000)}
STORY_WORDS, BIG_CELLS, MODULE_LINES = 1_400, 20, 400


@pytest.fixture(params=[LESSON, *COMPANIONS])
def file(request):
    return ROOT / request.param


@pytest.fixture
def book(file):
    return nbformat.read(file, as_version=4)


def of_kind(cells, kind):
    return [cell for cell in cells if cell.cell_type == kind]


def code_lines(cell):
    return [line for line in cell.source.splitlines() if re.match(r"\s*[^\s#]", line)]


def count_words(cells):
    """Words to read by section; what is folded, shown as code or looked up is not."""
    section, words = "", Counter()
    for cell in of_kind(cells, "markdown"):
        if heading := re.search(r"^## (.+)", cell.source, re.MULTILINE):
            section = heading[1]
        if not re.search("glossary|extra reading", section, re.IGNORECASE):
            words[section] += len(WORD.findall(UNREAD.sub(" ", cell.source)))
    return words


def test_it_is_short(file, book):
    words = count_words(book.cells)
    lines = sum(len(code_lines(cell)) for cell in of_kind(book.cells, "code"))
    sizes = (len(book.cells), words.total(), lines)
    most = BUDGETS[file.name == LESSON]
    assert all(size <= limit for size, limit in zip(sizes, most, strict=True)), sizes
    assert max(words.values()) <= SECTION_WORDS, words.most_common(1)
    for cell in of_kind(book.cells, "code"):
        written, lines = cell.source.startswith("%%writefile"), code_lines(cell)
        assert len(lines) <= (FILE_LINES + 1 if written else CELL_LINES), cell.id


def test_the_file_carries_nothing_but_the_lesson(file):
    book = json.loads(file.read_text("utf-8"))
    assert set(book["metadata"]) <= {"kernelspec", "language_info"}
    ids = [cell["id"] for cell in book["cells"]]
    assert len(set(ids)) == len(ids) and all(map(ID.fullmatch, ids))
    for cell in book["cells"]:
        assert set(cell["metadata"]) <= {"mystnb", "tags"}, cell["id"]
        outputs = cell.get("outputs", [])
        assert not outputs or cell["execution_count"], "nbval takes it for not run"
        kinds = {output.get("name", output["output_type"]) for output in outputs}
        assert not kinds & {"error", "stderr"}, cell["id"]
        shown = json.dumps(outputs)
        assert not re.search(r"jupyter\.widget|[^\w.:/]/tmp/", shown), cell["id"]
        if "shows-photos" in cell["metadata"].get("tags", []):
            rich = [out for out in outputs if out["output_type"] != "stream"]
            drawn = all(map(is_drawn, rich)) and bool(rich) == bool(outputs)
            assert drawn, f"{cell['id']} may show others' photos, or tell of them"


def test_the_text_is_an_outline_with_links_that_lead_somewhere(file, book):
    text = "\n".join(cell.source for cell in of_kind(book.cells, "markdown"))
    text = re.sub(r"(?s)```.*?```", "", text)
    levels = [len(marks) for marks in re.findall(r"^(#+) ", text, re.MULTILINE)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels)), levels
    for picture, alt, target, address in LINK.findall(text):
        place = (target or address).partition("#")[0]
        assert not picture or len(alt) >= ALT_TEXT, f"{target} wants an alt text"
        if place and not re.match(r"https?:|mailto:|data:", place):
            assert (file.parent / place).exists(), f"nothing at {place}"


def test_no_measured_number_is_typed_into_prose(book):
    for cell in of_kind(book.cells, "markdown"):
        found = MEASURED.search(NO_PROSE.sub("", cell.source))
        assert not found or cell.id in PLANNED, f"{cell.id} says {found[0]!r}: print it"


def test_every_cell_to_write_has_dots_a_check_and_an_answer(book):
    answers = cells_to_write(book)
    for cell in of_kind(book.cells, "code"):
        assert len(DOTS.findall(cell.source)) == (cell.id in answers), cell.id
        if cell.id in answers:
            check = cell.source.strip().rsplit("\n\n", 1)[1]
            assert re.search(r"^\w+\.\w+\(", check, re.MULTILINE), cell.id


@pytest.mark.parametrize("file", COMPANIONS, indirect=True)
def test_a_companion_begins_and_ends_as_all_do(file, book):
    first, second, *_, last = book.cells
    assert (first.id, second.id, last.id) == ("title", "open", "end")
    assert first.source.startswith(f"# Companion {file.stem.partition('_')[0]}. ")
    assert all(f"](../{LESSON}" in cell.source for cell in (first, last))
    assert sum(name.startswith("your-turn") for name in cells_to_write(book)) >= 2
    of_first = nbformat.read(ROOT / COMPANIONS[0], as_version=4).cells[1].source
    same = {re.sub('"[^"\n]*"', "", source) for source in (second.source, of_first)}
    assert len(same) == 1, "all companions open in one way"


@pytest.fixture(scope="module")
def lesson():
    return nbformat.read(ROOT / LESSON, as_version=4)


def between(lesson, first, end):
    ids = [cell.id for cell in lesson.cells]
    return lesson.cells[ids.index(first) : ids.index(end)]


def test_the_app_that_ships_is_the_one_that_the_lesson_writes(lesson):
    found = (WRITES.match(cell.source) for cell in of_kind(lesson.cells, "code"))
    written = dict(match.groups() for match in found if match)
    assert written.keys() == WRITTEN
    for name, text in written.items():
        assert (APP / name).read_text("utf-8") == text + "\n", name
    page = next(cell.source for cell in lesson.cells if cell.id == "write-page")
    assert not re.search(r"https?://", page), "the page asks no other host"
    assert max(len(text.splitlines()) for text in (written["app.py"], page)) <= 61


@pytest.mark.parametrize("builder", [build_effnetb2, build_vit])
def test_builders_on_the_page_are_those_of_the_module(lesson, builder):
    head, _, body = inspect.getsource(builder).split('"""')
    on_page = head.rstrip() + body.rstrip()
    assert any(on_page in cell.source for cell in lesson.cells), on_page


def test_the_road_is_short_and_each_section_has_something_to_do(lesson):
    ids = [cell.id for cell in lesson.cells]
    for name, (most, words) in SOON.items():
        assert ids.index(name) <= most, f"{name} is cell {ids.index(name)}"
        assert count_words(lesson.cells[: ids.index(name)]).total() <= words, name
    story = between(lesson, "what-is-deployment", "s1")
    assert count_words(story).total() <= STORY_WORDS
    assert len(between(lesson, "s7", "takeaways")) <= BIG_CELLS
    starts = [*(f"s{section}" for section in range(8)), "takeaways"]
    for section, (start, end) in enumerate(pairwise(starts)):
        own = {cell.id: cell for cell in between(lesson, start, end)}
        tagged = [c for c in own.values() if "your-turn" in c.metadata.get("tags", [])]
        assert len(tagged) == 1, f"something to do in {start}"
        says_what = section == 7 or "print(" in own[f"checkpoint-{section}"].source
        assert says_what, "a checkpoint says what it checked"


def test_modules_are_short_and_no_file_names_a_machine_or_a_registry():
    names = run("git", "-C", ROOT, "ls-files", "-z").split("\0")
    for name in (name for name in names if (ROOT / name).is_file()):
        text = (ROOT / name).read_bytes().decode("utf-8", "replace")
        found = "\0" not in text and (MACHINE.search(text) or REGISTRIES.search(text))
        assert not found, f"{name} has a path of one machine, or a host: {found[0]}"
        is_ours = name.endswith(".py") and not name.startswith("tests/")
        assert not is_ours or text.count("\n") <= MODULE_LINES, name


def test_the_path_is_short_and_named_and_hides_no_package():
    """Run inside the folder, `import matplotlib` died once: it needs `packaging`."""
    path = {file.stem for file in (ROOT / "going_modular").glob("[!_]*.py")}
    assert len(path) <= 26
    for found in filter(None, map(find_spec, path)):
        assert Path(found.origin).is_relative_to(ROOT / "demos"), found
    readme = (ROOT / "README.md").read_text("utf-8").split("## Layout")[1]
    assert not [name for name in path if f"{name}.py" not in readme]
