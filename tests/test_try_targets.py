"""`make targets`: every place is tried, and held to what it promises."""

import re

import pytest

from deploy.trial import TargetResult
from tools import try_targets
from tools.try_targets import DEPLOY, PLACES, RESULTS, NotTried

FIRST = {"probabilities": {"pizza": 0.9, "süß": 0.1}}
SECOND = {"probabilities": {"pizza": 0.4, "süß": 0.6}}
TRUTH = TargetResult("PyTorch", {"torch": "2"}, 1, [FIRST, SECOND], 1.0, "fp32")


def told(*answers, precision="int8", note="") -> TargetResult:
    return TargetResult("A", {"a": "1"}, 2_500_000, [*answers], 1.25, precision, note)


def moved(by: float) -> dict:
    return {"probabilities": {"pizza": 0.9 - by, "süß": 0.1 + by}}


@pytest.mark.parametrize(
    ("trial", "same", "largest", "said"),
    [
        (told(moved(0.3), SECOND), "2 of 2", "3.0e-01", "yes"),
        (told(moved(0.5), SECOND), "1 of 2", "5.0e-01", "no"),
        (told(moved(0.00005), SECOND, precision="fp32"), "2 of 2", "5.0e-05", "yes"),
        (told(moved(0.0002), SECOND, precision="fp32"), "2 of 2", "2.0e-04", "no"),
        (told(FIRST, SECOND, note="packed"), "2 of 2", "0.0e+00", "yes; packed"),
    ],
)
def test_a_row_says_how_alike_the_answers_are(trial, same, largest, said):
    cells, kept = try_targets.row(trial, TRUTH)
    name = f"A, {trial.precision}"
    assert cells == [name, same, largest, "1.2", "2.5", said, "a 1"]
    assert kept == said.startswith("yes")


def test_what_cannot_answer_here_says_so():
    cells, kept = try_targets.row(told(note="on a Mac only"), TRUTH)
    assert cells[1:4] == ["-", "-", "-"] and cells[5] == "on a Mac only" and kept


def test_a_place_that_fails_gets_a_row_with_the_reason(tmp_path, monkeypatch):
    def fail(*_):
        raise NotTried("no such package")

    monkeypatch.setattr(try_targets, "install", fail)
    judged = try_targets.judged("ray", tmp_path, TRUTH, install_it=True)
    assert judged == [(["ray", *"----", "not tried: no such package", "-"], False)]


def test_a_command_that_fails_says_why_in_its_last_line():
    python = try_targets.sys.executable
    with pytest.raises(NotTried, match="^the reason$"):
        try_targets.run([python, "-c", "raise SystemExit('first\\nthe reason')"])
    assert try_targets.run([python, "-c", "print(1)"]) == "1\n"


def test_unknown_places_are_named(capsys):
    with pytest.raises(SystemExit):
        try_targets.main(["mars"])
    assert "mars: choose from fastapi" in capsys.readouterr().err


def test_every_folder_is_a_place_and_has_one_shape():
    folders = {file.parent.name for file in DEPLOY.glob("*/__init__.py")}
    assert folders == set(PLACES)
    page = (DEPLOY / "README.md").read_text("utf-8")
    for name in folders:
        for file in ("requirements.txt", "try_it.py"):
            assert (DEPLOY / name / file).is_file(), f"{name} lacks {file}"
        assert f"({name}/README.md)" in page
        readme = (DEPLOY / name / "README.md").read_text("utf-8").lower()
        assert "tested" in readme or "tried" in readme


def test_the_committed_table_has_every_place_as_promised():
    """If this fails: `make targets`."""
    row = re.compile(r"^\| .+, (?:int8|fp32) \|.*\| ([^|]+) \| [^|]+ \|$", re.MULTILINE)
    rows = row.findall(RESULTS.read_text("utf-8"))
    assert len(rows) == len(PLACES) + 2  # two files of LiteRT, two kinds of Space
    assert all(said.startswith(("yes", "converted")) for said in rows)
