"""What a machine can check of how the code and the lesson's pages are written."""

import ast
import re
import subprocess
from functools import cache
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
LESSON = ROOT / "09_pytorch_model_deployment.ipynb"
OURS = ("going_modular", "demos", "tools", "deploy", "benchmarks")
MODULE_LINES, FUNCTION_LINES = 400, 45
MACHINE = re.compile(r"(?<![\w.:/])/(home|root|Users|work|mnt)/\w")
REGISTRIES = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("deb", "debian", "org"),
    )
]
MEASURED = re.compile(r"\b\d[\d,]* of \d|\b\d+(\.\d+)? ?(ms|milliseconds)\b")
# Cells whose numbers nobody measured: what a percentile means, a paper's claim in a
# question.
PLANNED = {"s3-table", "s3-questions"}


@cache
def texts() -> dict[str, str]:
    """What git knows of, as it now stands, by path; without what is no text."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    found = {}
    for name in filter(None, listed.stdout.split("\0")):
        content = (ROOT / name).read_bytes() if (ROOT / name).is_file() else b"\0"
        if b"\0" not in content:
            found[name] = content.decode("utf-8")
    return found


def length(function: ast.FunctionDef) -> int:
    """A function's lines, without its docstring."""
    lines = function.end_lineno - function.lineno + 1
    if ast.get_docstring(function):
        lines -= function.body[0].end_lineno - function.body[0].lineno + 1
    return lines


def test_modules_and_functions_are_short():
    for name, text in texts().items():
        if name.endswith(".py") and name.split("/")[0] in OURS:
            lines = len(text.splitlines())
            assert lines <= MODULE_LINES, f"{name} has {lines} lines"
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    lines, where = length(node), f"{name}: {node.name}"
                    assert lines <= FUNCTION_LINES, f"{where} has {lines} lines"


def test_no_file_names_a_machine_or_a_registry():
    for name, text in texts().items():
        found = MACHINE.search(text)
        assert not found, f"{name} has a path of one machine: {found[0]}..."
        named = [host for host in REGISTRIES if host in text]
        assert not named, f"{name} names {named}: leave that to pip, npm and apt"


@pytest.fixture(scope="module")
def cells():
    files = [LESSON, *sorted((ROOT / "companions").glob("*.ipynb"))]
    books = [nbformat.read(file, as_version=4) for file in files]
    return [cell for book in books for cell in book.cells]


def prose(source: str) -> str:
    """A cell's sentences: no code, no tables, nothing that a command writes."""
    source = re.sub(r"```.*?```|`[^`\n]*`", "", source, flags=re.DOTALL)
    source = re.sub(r"<!-- (\w+).*?<!-- end of \1 -->", "", source, flags=re.DOTALL)
    return "\n".join(line for line in source.splitlines() if line[:1] != "|")


def test_no_measured_number_is_typed_into_prose(cells):
    """A count or a time that a cell can print must come from that cell."""
    assert {cell.id for cell in cells} >= PLANNED, "some of these cells are gone"
    for cell in cells:
        if cell.cell_type == "markdown" and cell.id not in PLANNED:
            found = MEASURED.search(prose(cell.source))
            assert not found, f"cell {cell.id} says {found[0]!r}; let a cell print it"


@pytest.mark.parametrize("text", ["it got 146 of 150 right", "in 12.5 ms", "`x` 7 ms"])
def test_a_measured_number_is_recognised(text):
    assert MEASURED.search(prose(text))
    assert not MEASURED.search(prose(f"| {text} |\n```text\n{text}\n```\n`{text}`"))
