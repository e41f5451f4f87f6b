"""The lesson: what it writes, how soon, and that its cells can be run again."""

import builtins
import dis
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path
from types import CodeType

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


def names_of(source):
    """Names that a cell reads before it sets them, and names that it sets."""
    code = compile(source.removeprefix("%%capture\n"), "cell", "exec")
    read, bound = set(), set()
    for step in dis.get_instructions(code):
        if step.opname in ("LOAD_NAME", "LOAD_GLOBAL") and step.argval not in bound:
            read.add(step.argval)
        elif step.opname in ("STORE_NAME", "STORE_GLOBAL"):
            bound.add(step.argval)
    inner = [part for part in code.co_consts if isinstance(part, CodeType)]
    while inner:  # functions, and before Python 3.12 comprehensions
        part = inner.pop()
        inner += [deeper for deeper in part.co_consts if isinstance(deeper, CodeType)]
        for step in dis.get_instructions(part):
            if step.opname == "LOAD_GLOBAL" and step.argval not in bound:
                read.add(step.argval)
    return read - set(dir(builtins)), bound


def test_no_cell_needs_a_name_that_a_later_cell_changes(cells):
    """So each may be run again after the whole lesson and give what it gave before."""
    cells = [cell for cell in code_of(cells) if "%%writefile" not in cell.source]
    names, known = [names_of(cell.source) for cell in cells], {"display"}
    for place, (cell, (read, bound)) in enumerate(zip(cells, names, strict=True)):
        assert read <= known, f"cell {cell.id} needs {read - known}"
        later = set().union(*(after for _, after in names[place + 1 :]))
        changed = {name for name in read & later if not is_import(name, cells)}
        assert not changed, f"a cell after {cell.id} changes {changed}"
        known |= bound


def is_import(name, cells):
    """Whether a name only ever stands for the same imported thing."""
    return any(re.search(rf"import .*\b{name}\b", cell.source) for cell in cells)


@pytest.fixture
def find_root(cells, tmp_path):
    """Runs the notebook's first code cell as a kernel in some folder would."""
    source = next(cell.source for cell in cells if cell.id == "find-root")

    def run(folder, *, repo="", **variables):
        code = re.sub('COURSE_REPO = "[^"]*"', f'COURSE_REPO = "{repo}"', source)
        code += "\nprint(os.getcwd())"
        env = {k: v for k, v in os.environ.items() if k != "JPY_SESSION_NAME"}
        return subprocess.run(
            [sys.executable, "-c", code],
            cwd=folder,
            env=env | variables,
            capture_output=True,
            text=True,
        )

    return run


@pytest.mark.parametrize("started_in", [".", "going_modular", "demos/foodvision_mini"])
def test_files_are_found_from_every_folder_of_the_course(find_root, started_in):
    ended_in = find_root(ROOT / started_in).stdout.strip()
    assert Path(ended_in) == ROOT


def test_files_are_found_when_jupyter_was_started_elsewhere(find_root, tmp_path):
    done = find_root(tmp_path, JPY_SESSION_NAME=str(ROOT / LESSON))
    assert Path(done.stdout.strip()) == ROOT


def test_a_notebook_alone_says_what_to_do(find_root, tmp_path):
    done = find_root(tmp_path)
    assert done.returncode and "COURSE_REPO" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_notebook_alone_fetches_the_course_once(find_root, tmp_path):
    repo = tmp_path / "published"
    (repo / "going_modular").mkdir(parents=True)
    (repo / "going_modular/__init__.py").touch()
    commands = ["init -q", "add .", "-c user.name=a -c user.email=a@b commit -qm a"]
    for command in commands:
        subprocess.run(["git", "-C", repo, *command.split()], check=True)
    colab = tmp_path / "colab"
    colab.mkdir()
    for _ in range(2):  # the second time it is there already
        done = find_root(colab, repo=str(repo))
        assert Path(done.stdout.strip()) == colab / "foodvision", done.stderr
