"""What holds for all tests: nothing is published, and what is claimed is counted."""

import os
import re
from collections import Counter

import pytest

from tools.readme_block import read_block, renew_block

ROW = re.compile(r"^\| (?!what was tried|---)(.+?) \| ([\d,]+) \| 0 \|$", re.MULTILINE)
HEAD = "| what was tried | how many | lost |\n| --- | ---: | ---: |\n"
COUNTED = pytest.StashKey[Counter]()

for name in ("HF_TOKEN", "FOODVISION_SPACE", "FOODVISION_HARDWARE"):
    os.environ.pop(name, None)
os.environ.setdefault("FOODVISION_BIG", "practice")  # the lesson's test runs all of it


def pytest_addoption(parser):
    parser.addoption(
        "--renew-reliability",
        action="store_true",
        help="write what these tests counted into the README's table",
    )


def pytest_configure(config):
    config.stash[COUNTED] = Counter()


@pytest.fixture
def reliability(request):
    """Count what a test tried without a loss: `reliability(what, how_many)`."""
    counted = request.config.stash[COUNTED]

    def count(what: str, how_many: int = 1) -> None:
        counted[what] += how_many

    return count


def pytest_sessionfinish(session, exitstatus):
    """Hold the README's table against what was counted, or renew it."""
    config = session.config
    counted = config.stash[COUNTED]
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    some = config.option.keyword or any("::" in place for place in config.args)
    if exitstatus or some or reporter.stats.get("skipped") or not counted:
        return
    table = read_block("reliability")
    said = {what: int(n.replace(",", "")) for what, n in ROW.findall(table)}
    if config.getoption("--renew-reliability"):
        rows = "\n".join(f"| {what} | {n:,} | 0 |" for what, n in counted.items())
        renew_block("reliability", HEAD + rows)
    elif wrong := {w: n for w, n in counted.items() if said.get(w) != n}:
        print(f"\nREADME.md's reliability table is out of date: {wrong} counted.")
        print("Renew it: make reliability")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
