"""The notebook as a text: what it writes, how long its cells are, its outline."""

import ast
import builtins
import dis
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import CodeType

import nbformat
import pytest
from answers import DOTS, cells_to_write, fill_in

from going_modular.demo_folder import WRITTEN
from tools.drawn_outputs import is_drawn

ROOT = Path(__file__).resolve().parents[1]
LESSON = ROOT / "09_pytorch_model_deployment.ipynb"
WRITES = re.compile(r"%%writefile \{demo_folder\.as_posix\(\)\}/(\S+)\n")
SMALL_APP = re.compile(r"%%writefile \{small\.as_posix\(\)\}/app_\d\.py\n")
MAX_LINES, MAX_WRITTEN = 15, 40
SECTIONS = range(8)


@pytest.fixture(scope="module")
def cells():
    return nbformat.read(LESSON, as_version=4).cells


def code_of(cells):
    return [cell for cell in cells if cell.cell_type == "code"]


def test_committed_demo_files_are_what_the_lesson_writes(cells):
    written = {}
    for cell in code_of(cells):
        if match := WRITES.match(cell.source):
            written[match[1]] = cell.source[match.end() :]
    assert written.keys() == set(WRITTEN)
    for name, text in written.items():
        committed = (ROOT / "demos/foodvision_mini" / name).read_text(encoding="utf-8")
        assert committed == text + "\n", f"{name} differs from what the lesson writes"


def test_written_files_are_read_at_a_glance(cells):
    written = [c.source for c in code_of(cells) if c.source.startswith("%%writefile")]
    for text in written:
        lines = [line for line in text.splitlines()[1:] if line.strip()]
        assert len(lines) <= MAX_WRITTEN
        if SMALL_APP.match(text):
            ast.parse(text.partition("\n")[2])
    assert sum(bool(SMALL_APP.match(text)) for text in written) == 5


def test_each_small_app_is_the_one_before_and_one_guard(cells):
    apps = [SMALL_APP.split(c.source)[1] for c in cells if SMALL_APP.match(c.source)]
    marks = [re.findall(r"# guard (\d)", app) for app in apps]
    assert marks == [[str(n) for n in range(1, many + 1)] for many in range(5)]


def test_cells_are_short(cells):
    for cell in code_of(cells):
        if cell.source.startswith("%%writefile"):
            continue
        lines = [line.strip() for line in cell.source.splitlines()]
        code = [line for line in lines if line and not line.startswith("#")]
        assert len(code) <= MAX_LINES, f"cell {cell.id} has {len(code)} lines of code"


def test_cells_are_python_without_bare_except_or_shell(cells):
    for cell in code_of(cells):
        if cell.source.startswith("%%writefile"):
            continue
        for node in ast.walk(ast.parse(cell.source)):
            bare = isinstance(node, ast.ExceptHandler) and node.type is None
            assert not bare, f"cell {cell.id} has a bare except"


def test_headings_form_an_outline(cells):
    levels = []
    for cell in cells:
        if cell.cell_type != "markdown":
            continue
        text = re.sub(r"```.*?```", "", cell.source, flags=re.DOTALL)
        levels += [len(marks) for marks in re.findall(r"^(#+) ", text, re.MULTILINE)]
    assert levels[0] == 1 and levels.count(1) == 1
    steps = zip(levels, levels[1:], strict=False)
    assert all(after - before <= 1 for before, after in steps)


def part(cells, section):
    """The cells of a section."""
    ids = [cell.id for cell in cells]
    end = f"s{section + 1}" if section + 1 in SECTIONS else "takeaways"
    return cells[ids.index(f"s{section}") : ids.index(end)]


@pytest.mark.parametrize("section", SECTIONS)
def test_every_section_has_something_to_do_and_ends_in_a_checkpoint(cells, section):
    own = part(cells, section)
    assert own[-1].id == f"checkpoint-{section}"
    assert re.search(r"assert|assert_close", own[-1].source)
    assert "print(" in own[-1].source, "a checkpoint says what it checked"
    turns = [cell for cell in own if "your-turn" in cell.metadata.get("tags", [])]
    assert len(turns) == 1
    questions = next(cell for cell in own if cell.id == f"s{section}-questions").source
    assert questions.count("<details><summary>") == questions.count("</details>") == 3
    told = "".join(cell.source for cell in own if cell.cell_type == "markdown")
    if "Predict first" in told:
        assert "Back to your prediction" in questions


def test_every_cell_to_write_has_dots_a_check_and_an_answer(cells):
    notebook = nbformat.read(LESSON, as_version=4)
    answers = cells_to_write(notebook)
    assert sum(name.startswith("exercise-") for name in answers) == 10
    assert sum(name.startswith("your-turn-") for name in answers) == len(SECTIONS)
    for cell in code_of(cells):
        if cell.id in answers:
            assert len(DOTS.findall(cell.source)) == 1
            checks = r"^(your_turn|exercise)\.\w+\("
            assert re.match(checks, cell.source.strip().rsplit("\n\n", 1)[1])
        else:
            assert not DOTS.search(cell.source), f"{cell.id} is no cell to write"
    filled = fill_in(notebook)
    for cell in code_of(filled.cells):
        assert not DOTS.search(cell.source)


def test_glossary_explains_the_words_of_the_trade(cells):
    glossary = next(cell for cell in cells if cell.id == "glossary").source.lower()
    words = "logits pickle buffer decay auroc quantisation distribution mlops"
    for word in words.split():
        assert word in glossary
        first = next(
            c for c in cells if c.cell_type == "markdown" and word in c.source.lower()
        )
        assert first.id != "glossary", f"{word} is explained nowhere else"


def test_file_carries_nothing_but_the_lesson():
    book = json.loads(LESSON.read_text(encoding="utf-8"))
    assert set(book["metadata"]) <= {"kernelspec", "language_info"}
    for cell in book["cells"]:
        assert set(cell["metadata"]) <= {"tags"}
        outputs = cell.get("outputs", [])
        assert not outputs or cell["execution_count"], "nbval takes it for not run"
        assert all(output["output_type"] != "error" for output in outputs)
        if "shows-photos" in cell["metadata"].get("tags", []):
            shown = [out for out in outputs if out["output_type"] != "stream"]
            assert all(is_drawn(out) for out in shown), (
                f"cell {cell['id']} may show photos that are not ours"
            )
            assert shown or not outputs, f"cell {cell['id']} has text of no drawn run"


def test_outputs_name_no_path_of_a_machine():
    book = json.loads(LESSON.read_text(encoding="utf-8"))
    outputs = json.dumps([cell.get("outputs", []) for cell in book["cells"]])
    assert not re.search(r"(?<![\w.:/])/(home|root|Users|work|tmp)/\w", outputs)


def test_linked_figures_exist(cells):
    sources = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    figures = re.findall(r"!\[([^\]]+)\]\((figures/[^)]+)\)", sources)
    assert len(figures) >= 3
    for alt, path in figures:
        assert (ROOT / path).is_file() and len(alt) > 40


def names_of(source):
    """Names that a cell reads before it sets them, and names that it sets."""
    code = compile(source, "cell", "exec")
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
    cells = [cell for cell in code_of(cells) if not cell.source.startswith("%%")]
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
    done = find_root(tmp_path, JPY_SESSION_NAME=str(LESSON))
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
