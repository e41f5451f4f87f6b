"""What ruff and import-linter cannot check of how code and pages are written."""

import re
import subprocess
from importlib.util import find_spec
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
MODULE_LINES = 400
MACHINE = re.compile(r"(?<![\w.:/])/(home|root|Users|work|mnt)/\w")
REGISTRIES = re.compile(r"(pypi|pythonhosted|npmjs|deb\.debian)[.](org|com)")
MEASURED = re.compile(r"\b\d[\d,]* of \d|\b\d+(\.\d+)? ?(ms|milliseconds)\b")
# Cells whose numbers nobody measured: what a percentile means, a paper's claim in a
# question.
PLANNED = {"s3-table", "s3-questions"}


def test_modules_are_short_and_no_file_names_a_machine_or_a_registry():
    how = {"cwd": ROOT, "check": True, "capture_output": True, "text": True}
    names = subprocess.run(["git", "ls-files", "-z"], **how).stdout.split("\0")
    for name in (name for name in names if (ROOT / name).is_file()):
        text = (ROOT / name).read_bytes().decode("utf-8", "replace")
        found = "\0" not in text and (MACHINE.search(text) or REGISTRIES.search(text))
        assert not found, f"{name} has a path of one machine, or a host: {found[0]}"
        is_ours = name.endswith(".py") and not name.startswith("tests/")
        assert not is_ours or text.count("\n") <= MODULE_LINES, name


def prose(source: str) -> str:
    """A cell's sentences: no code, no tables."""
    source = re.sub(r"```.*?```|`[^`\n]*`", "", source, flags=re.DOTALL)
    return "\n".join(line for line in source.splitlines() if line[:1] != "|")


def test_no_measured_number_is_typed_into_prose():
    """A count or a time that a cell can print must come from that cell."""
    for file in [*ROOT.glob("*.ipynb"), *ROOT.glob("companions/*.ipynb")]:
        for cell in nbformat.read(file, as_version=4).cells:
            if cell.cell_type == "markdown" and cell.id not in PLANNED:
                found = MEASURED.search(prose(cell.source))
                assert not found, f"cell {cell.id} says {found[0]!r}: print it"


@pytest.mark.parametrize("text", ["it got 146 of 150 right", "in 12.5 ms", "`x` 7 ms"])
def test_a_measured_number_is_recognised(text):
    assert MEASURED.search(prose(text))
    assert not MEASURED.search(prose(f"| {text} |\n```text\n{text}\n```\n`{text}`"))


def test_the_path_is_short_and_named_and_hides_no_package():
    """Run inside the folder, `import matplotlib` died once: it needs `packaging`."""
    path = {file.stem for file in (ROOT / "going_modular").glob("[!_]*.py")}
    assert len(path) <= 26
    for found in filter(None, map(find_spec, path)):
        assert Path(found.origin).is_relative_to(ROOT / "demos"), found
    readme = (ROOT / "README.md").read_text("utf-8").split("## Layout")[1]
    assert not [name for name in path if f"{name}.py" not in readme]
