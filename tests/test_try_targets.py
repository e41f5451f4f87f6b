"""`make targets`: every place is tried, and held to what it promises."""

import re
import sys
from types import SimpleNamespace

import pytest

from deploy.asking import PLACES
from deploy.try_it import TargetResult
from tools import try_targets
from tools.try_targets import DEPLOY, RESULTS

FIRST = {"probabilities": {"pizza": 0.9, "süß": 0.1}}
SECOND = {"probabilities": {"pizza": 0.4, "süß": 0.6}}
TRUTH = TargetResult("PyTorch", {"torch": "2"}, 1, [FIRST, SECOND], 1.0, "fp32")


@pytest.mark.parametrize(
    ("moved", "precision", "cells"),
    [
        (0.3, "int8", ["2 of 2", "3.0e-01", "1.2", "2.5", "yes; packed"]),
        (0.5, "int8", ["1 of 2", "5.0e-01", "1.2", "2.5", "no; packed"]),
        (0.00005, "fp32", ["2 of 2", "5.0e-05", "1.2", "2.5", "yes; packed"]),
        (0.0002, "fp32", ["2 of 2", "2.0e-04", "1.2", "2.5", "no; packed"]),
        (None, "fp32", ["-", "-", "-", "2.5", "packed"]),  # it cannot be asked here
    ],
)
def test_a_row_says_how_alike_the_answers_are(moved, precision, cells):
    answers = []
    if moved is not None:
        found = {"pizza": 0.9 - moved, "süß": 0.1 + moved}
        answers = [{"probabilities": found}, SECOND]
    facts = {"a": "1"}, 2_500_000, answers, 1.25, precision, "packed"
    found, kept = try_targets.row(TargetResult("A", *facts), TRUTH)
    assert found == [f"A, {precision}", *cells, "a 1"]
    assert kept == (not cells[-1].startswith("no"))


def test_the_page_is_renewed_with_a_row_for_what_failed(tmp_path, monkeypatch, capsys):
    def ask(place, photos):
        if place == "fastapi":
            code = "raise SystemExit('1\\nthe reason')"
            try_targets.run(sys.executable, "-c", code)
        return [TRUTH]

    page = tmp_path / "results.md"
    page.write_text(RESULTS.read_text("utf-8"), "utf-8")
    monkeypatch.setattr(try_targets, "RESULTS", page)
    monkeypatch.setattr(try_targets, "ENVIRONMENTS", tmp_path)
    monkeypatch.setattr(try_targets, "ask", ask)
    monkeypatch.setattr(try_targets, "measure_crowd", lambda files: "7 times as many")
    found = SimpleNamespace(folder=None, label="drawn pictures")
    monkeypatch.setattr(try_targets, "find_pictures", lambda folder: found)
    photos = SimpleNamespace(samples=[("a.jpg", 0)] * 31)
    monkeypatch.setattr(try_targets, "make_datasets", lambda *_, **__: (None, photos))
    for _ in range(2):
        assert try_targets.main(["--installed"]) == 1
        text = page.read_text("utf-8")
        assert text.count("7 times as many") == text.count("31 drawn pictures.") == 1
        assert text.count("| not tried: the reason |") == 1
        assert text.count("| PyTorch, fp32 | 2 of 2 |") == len(PLACES) - 1
        assert "FastAPI, int8" not in text
    with pytest.raises(SystemExit):
        try_targets.main(["mars"])
    assert "invalid choice: 'mars' (choose from" in capsys.readouterr().err


def test_every_folder_is_a_place_has_one_shape_and_was_tried():
    """If the table lacks a place: `make targets`."""
    assert {file.parent.name for file in DEPLOY.glob("*/__init__.py")} == set(PLACES)
    page = (DEPLOY / "README.md").read_text("utf-8")
    for name, facts in PLACES.items():
        module = facts.get("module", f"{name}.serve").replace(".", "/")
        for file in (f"{name}/requirements.txt", f"{module}.py"):
            assert (DEPLOY / file).is_file(), file
        assert f"({name}/README.md)" in page
        readme = (DEPLOY / name / "README.md").read_text("utf-8").lower()
        assert "tested" in readme or "tried" in readme
    row = re.compile(r"^\| .+, (?:int8|fp32) \|.*\| ([^|]+) \| [^|]+ \|$", re.MULTILINE)
    rows = row.findall(RESULTS.read_text("utf-8"))
    assert len(rows) == len(PLACES) + 2  # two files of LiteRT, two kinds of Space
    assert all(said.startswith(("yes", "converted")) for said in rows)
