"""What holds for all tests: nothing is published, and what is claimed is counted.

A test marked `reliability(row, n)` that passes has tried n things without losing one.
They are counted in a row of the README's table.
"""

import os
import re
from collections import Counter

import pytest
from answers import check_answers

from tools.readme_block import read_block, renew_block

ROW = re.compile(r"^\| (?!what was tried|---)(.+?) \| ([\d,]+) \| 0 \|$", re.MULTILINE)
HEAD = "| what was tried | how many | lost |\n| --- | ---: | ---: |\n"
# A test that asks for this fixture gets this mark.
NEEDS = {"browser": "playwright", "cluster": "network", "slow": "lite2"}
COUNTED = pytest.StashKey[Counter]()
INCOMPLETE = pytest.StashKey[set]()

for name in ("HF_TOKEN", "FOODVISION_SPACE", "FOODVISION_HARDWARE"):
    os.environ.pop(name, None)
os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # some tests import ONNX Runtime themselves
# Tests share the cores: a thread that waits for work must not keep one busy.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def pytest_addoption(parser):
    parser.addoption(
        "--renew-reliability",
        action="store_true",
        help="write what these tests counted into the README's table",
    )


def pytest_configure(config):
    config.stash[COUNTED], config.stash[INCOMPLETE] = Counter(), set()
    config.pluginmanager.register(_Reports(config))


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


class _Reports:
    """Counts what passed, and which rows lack a test that was skipped or failed."""

    def __init__(self, config):
        self.config = config

    def pytest_runtest_logreport(self, report):
        for row, number in (v for k, v in report.user_properties if k == "reliability"):
            if not report.passed:
                self.config.stash[INCOMPLETE].add(row)
            elif report.when == "call":
                self.config.stash[COUNTED][row] += number


def pytest_sessionfinish(session, exitstatus):
    """Hold the README's table against what was counted, or renew it."""
    config = session.config
    counted, incomplete = config.stash[COUNTED], config.stash[INCOMPLETE]
    chosen = config.option.keyword or config.option.markexpr
    some = chosen or any("::" in place for place in config.args)
    if hasattr(config, "workerinput") or some or not counted:
        return
    table = read_block("reliability")
    said = {row: int(n.replace(",", "")) for row, n in ROW.findall(table)}
    if config.getoption("--renew-reliability") and not exitstatus:
        if incomplete:
            untried = f"not renewed, for these were not tried: {incomplete}"
            raise pytest.UsageError(untried)
        order = [row for row in dict.fromkeys([*said, *counted]) if row in counted]
        rows = "\n".join(f"| {row} | {counted[row]:,} | 0 |" for row in order)
        renew_block("reliability", HEAD + rows)
        return
    wrong = {
        row: n
        for row, n in counted.items()
        if said.get(row) != n and row not in incomplete
    }
    if wrong:
        print(f"\nREADME.md's reliability table is out of date: {wrong} counted.")
        print("Renew it: make reliability")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
