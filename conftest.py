"""What holds for all tests: nothing is published, and what is claimed is counted.

A test marked `reliability(row, n)` that passes has tried n things without losing one.
They are counted in a row of the README's table.
"""

import os
import re
from collections import Counter
from pathlib import Path

import pytest
from answers import check_answers
from course_copy import keep_few

from tools.readme_block import read_block, renew_block

ROW = re.compile(r"^\| (?!what was tried|---)(.+?) \| ([\d,]+) \| 0 \|$", re.MULTILINE)
TABLE = "reliability"
pytest_plugins = ["pocket_site"]  # whose fixtures many files use
HEAD = "| what was tried | how many | lost |\n| --- | ---: | ---: |\n"
# A test that asks for this fixture gets this mark.
NEEDS = {"browser": "playwright", "cluster": "network", "slow": "lite2"}

PHOTOS = {name: os.environ.get(f"FOODVISION_{name}", "") for name in ("DATA", "BIG")}

for name in ("HF_TOKEN", "FOODVISION_SPACE", "FOODVISION_HARDWARE"):
    os.environ.pop(name, None)
os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # some tests import ONNX Runtime themselves
# Tests share the cores: a thread that waits for work must not keep one busy.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def pytest_addoption(parser):
    told = "write what these tests counted into the README's table"
    parser.addoption("--renew-reliability", action="store_true", help=told)


@pytest.hookimpl(tryfirst=True)  # before -m chooses by the marks
def pytest_collection_modifyitems(items):
    # What runs the lesson takes longest: first, so that the rest fills the other core.
    items.sort(key=lambda item: "lesson_f" not in item.nodeid and ".py" in item.nodeid)
    for notebook in {item.parent for item in items if hasattr(item, "cell")}:
        check_answers(notebook.nb)
    for item in items:
        for mark, fixture in NEEDS.items():
            if fixture in getattr(item, "fixturenames", ()):
                item.add_marker(mark)
        for mark in item.iter_markers("reliability"):
            # Goes with the test's reports, from another process, too.
            item.user_properties.append(("reliability", mark.args))


@pytest.hookimpl(tryfirst=True)  # before a notebook's kernel starts
def pytest_runtest_setup(item):
    """A quarter of the photos shows each cell of a notebook at work."""
    for name, given in PHOTOS.items():
        if given.endswith(".zip"):
            few = item.config.rootpath / "build" / "few" / Path(given).name
            if not few.exists():
                keep_few(Path(given), few)
            here = str(few) if hasattr(item, "cell") else given
            os.environ[f"FOODVISION_{name}"] = here


def pytest_sessionfinish(session, exitstatus):
    """Hold the README's table against what a whole run counted, or renew it."""
    config, option = session.config, session.config.option
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    chosen = option.keyword or option.markexpr or option.collectonly
    is_whole = config.args_source is config.ArgsSource.TESTPATHS and not chosen
    renew = option.renew_reliability
    # Where another process runs the tests, this one has no terminal.
    if exitstatus or terminal is None or not (is_whole or renew):
        return
    tried, skipped = (claims(terminal.stats.get(o, ())) for o in ("passed", "skipped"))
    said = {row: int(n.replace(",", "")) for row, n in ROW.findall(read_block(TABLE))}
    if renew and skipped:
        raise pytest.UsageError(f"not renewed, for these were not tried: {[*skipped]}")
    if renew:
        rows = (f"| {row} | {number:,} | 0 |" for row, number in (said | tried).items())
        renew_block(TABLE, HEAD + "\n".join(rows))
        return
    for row in (said.keys() | tried.keys()) - skipped.keys():
        if (found := tried[row]) != said.get(row):
            print(f"\nREADME.md is out of date: {row}: {found}. Run make reliability")
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def claims(reports) -> Counter:
    """How many things were tried, by row."""
    tried = Counter()
    for report in reports:
        for _, (row, number) in getattr(report, "user_properties", ()):
            tried[row] += number
    return tried
