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
TABLE = "reliability"
HEAD = "| what was tried | how many | lost |\n| --- | ---: | ---: |\n"
# A test that asks for this fixture gets this mark.
NEEDS = {"browser": "playwright", "cluster": "network", "slow": "lite2"}

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


def pytest_sessionfinish(session, exitstatus):
    """Hold the README's table against what was counted, or renew it."""
    config = session.config
    counted, incomplete = claims(config.pluginmanager.get_plugin("terminalreporter"))
    chosen = config.option.keyword or config.option.markexpr
    if chosen or any("::" in place for place in config.args) or not counted:
        return
    said = {row: int(n.replace(",", "")) for row, n in ROW.findall(read_block(TABLE))}
    if config.getoption("--renew-reliability") and not exitstatus:
        if incomplete:
            untried = f"not renewed, for these were not tried: {incomplete}"
            raise pytest.UsageError(untried)
        order = [row for row in dict.fromkeys([*said, *counted]) if row in counted]
        rows = "\n".join(f"| {row} | {counted[row]:,} | 0 |" for row in order)
        renew_block(TABLE, HEAD + rows)
        return
    tried = {row: n for row, n in counted.items() if row not in incomplete}
    if wrong := {row: n for row, n in tried.items() if said.get(row) != n}:
        print(f"\nREADME.md's reliability table is out of date: {wrong} counted.")
        print("Renew it: make reliability")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def claims(terminal):
    """What passed, counted by row, and rows that lack a test that did not."""
    counted, incomplete = Counter(), set()
    for outcome in ("passed", "failed", "error", "skipped"):
        # Where another process runs the tests, this one reports nothing.
        for report in terminal.stats.get(outcome, ()) if terminal else ():
            for name, claim in getattr(report, "user_properties", ()):
                if name == "reliability" and outcome == "passed":
                    counted[claim[0]] += claim[1]
                elif name == "reliability":
                    incomplete.add(claim[0])
    return counted, incomplete
