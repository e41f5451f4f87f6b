"""The benchmark runs and leaves nothing out. No test here looks at a time."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from drawn_images import copy_few

from benchmarks import app
from benchmarks.bench import PARTS, RESULTS
from benchmarks.report import as_table, goals_of, page
from going_modular.drawn import CLASS_NAMES
from going_modular.model_builder import CONTENDERS
from tools.readme_block import read_block

ROOT = Path(__file__).resolve().parents[1]
slow = pytest.mark.slow


def run_bench(folder: Path, *options: str) -> subprocess.CompletedProcess:
    environment = {
        **os.environ,
        "FOODVISION_DATA": str(folder / "pictures"),
        "FOODVISION_BIG": "practice",
        "FOODVISION_OFFLINE": "1",
        "PYTHONPATH": str(ROOT),
    }
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.bench", *options],
        env=environment,
        cwd=folder,  # not the repository: it must find its files anyway
        capture_output=True,
        encoding="utf-8",
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    pictures = folder / "pictures"
    copy_few(pictures, train=3, test=3)
    # Test pictures that the heads know: of others, having seen two of a class, they are
    # too unsure for two programs to agree on every one.
    shutil.rmtree(pictures / "test")
    shutil.copytree(pictures / "train", pictures / "test")
    return folder


@pytest.fixture(scope="module")
def results(folder):
    done = run_bench(folder, "--tiny", "--out", "results.json")
    assert done.returncode == 0, done.stderr[-3000:]
    assert (folder / "results.md").read_text("utf-8") in done.stdout
    return json.loads((folder / "results.json").read_text("utf-8"))


def column(rows, name):
    return [row[name] for row in rows]


def test_the_page_and_the_readme_say_what_is_stored():
    stored = json.loads(RESULTS.read_text("utf-8"))
    assert page(stored) == RESULTS.with_suffix(".md").read_text("utf-8")
    assert as_table(goals_of(stored)) == read_block("benchmark")


@slow
def test_every_part_has_its_goals_and_whole_tables(results, folder):
    assert list(results) == ["circumstances", *PARTS]
    for part in results.values():
        for rows in (rows for rows in part.values() if isinstance(rows, list)):
            assert len({tuple(row) for row in rows}) == 1
            cells = [cell for row in rows for cell in row.values()]
            assert not [cell for cell in cells if cell in ("", None) or cell != cell]
    stored = json.loads(RESULTS.read_text("utf-8"))
    stored["app"]["goals"].pop()  # of the environments, which a tiny run does not make
    ours, committed = (
        [re.sub(r"[\d.,]+", "#", goal) for goal in column(goals_of(some), "goal")]
        for some in (results, stored)
    )
    assert ours == committed


@slow
def test_the_page_says_that_it_is_a_rehearsal_and_on_what(results, folder):
    text = (folder / "results.md").read_text("utf-8")
    assert "these numbers mean nothing" in text and text.count("\n## ") == 7
    said = {
        row["circumstance"]: row["this run"]
        for row in results["circumstances"]["table"]
    }
    assert said["pictures"].startswith("drawn practice pictures: 6 to train")
    assert "EffNet-Lite2 pretrained, EffNet-Lite0 pretrained" in said["weights"]


@slow
def test_training_and_every_route_are_counted_but_for_rehearsal_weights(results):
    ways = results["training"]["ways"]
    assert [way.split(":")[0] for way in column(ways, "way")] == [
        "the usual way",
        "ours",
    ]
    assert {text[1:] for text in column(ways, "test pictures right")} == {" of 6"}
    usual, *ours = column(results["prediction"]["routes"], "right")
    weights = str(results["circumstances"])
    assert ("not counted" in usual) != ("EffNetB2 pretrained" in weights)
    assert [text[1:] for text in ours] == [" of 6"] * 3
    assert len(results["prediction"]["big"]) == 3


@slow
def test_both_apps_give_the_same_answers_to_pictures_of_every_class(results):
    said = results["app"]["said"]
    assert list(said.values()) == [list(CLASS_NAMES)] * 2
    assert results["app"]["same"] == 3 and len(results["app"]["costs"]) == 4


@slow
def test_browsers_are_timed_and_answer_as_python_does(results):
    found = results["pocket"]
    assert column(found["ways"], "what runs it")[1:5] == [
        "LiteRT with relaxed SIMD, 1 thread",
        "LiteRT with SIMD, 1 thread",
        "ONNX Runtime, 1 thread",
        "LiteRT with relaxed SIMD, 2 threads",
    ]
    assert set(column(found["ways"], "same class as Python")) == {"6 of 6"}
    assert max(column(found["ways"], "probabilities apart")) <= 0.02
    assert len(found["steps"]) == 3 and min(column(found["steps"], "number")) > 0
    assert column(found["visits"], "visits") == [4, 4]
    assert all(5 < size < 15 for size in column(found["visits"], "loaded MB"))
    (watched,) = results["camera"]["watched"]
    assert min(watched.values()) > 0


@slow
def test_a_taught_dish_goes_with_its_file_and_through_a_reload(results):
    for row in results["teaching"]["alone"]:
        named = int(row["named after 20 photos"].split(" of ")[0])
        assert named == row["carried to a fresh profile"] > 0
        assert named == row["the same, reloaded without network"]
    assert len(results["teaching"]["fifth"]) == len(results["teaching"]["costs"]) == 2


@slow
def test_big_is_projected_for_every_contender(results):
    rows = results["big"]["costs"]
    assert column(rows, "contender") == [contender.name for contender in CONTENDERS]
    assert "20,200 photos, minutes" in rows[0] and "101,000 photos, minutes" in rows[0]


@slow
def test_some_parts_make_a_shorter_page(folder):
    done = run_bench(folder, "--tiny", "--only", "gate", "--out", "gate.json")
    assert done.returncode == 0, done.stderr[-3000:]
    text = (folder / "gate.md").read_text("utf-8")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == [
        "7. The gate, and strangers"
    ]


@slow
def test_what_cannot_be_measured_is_told_at_once(folder, monkeypatch):
    done = run_bench(folder, "--only", "training,lunch")
    assert "lunch: choose from training, prediction, app, pocket" in done.stderr
    monkeypatch.setenv("PATH", str(folder))
    done = run_bench(folder, "--only", "pocket")
    assert done.returncode == 2 and "needs chromium" in done.stderr


@slow
def test_environment_is_kept_until_the_requirements_change(tmp_path, monkeypatch):
    monkeypatch.setattr(app, "ENVIRONMENTS", tmp_path / "kept")
    folder = tmp_path / "app"
    folder.mkdir()
    requirements = folder / "requirements.txt"
    requirements.write_text("# nothing\n")
    made = app.environment_for(folder)
    assert app.cuda_megabytes(made) == 0
    (packages,) = (made / "lib").glob("*/site-packages")
    (packages / "nvidia").mkdir()
    (packages / "nvidia" / "library.so").write_bytes(bytes(2_000_000))
    assert app.environment_for(folder) == made
    assert app.cuda_megabytes(made) == pytest.approx(2)
    assert app.megabytes(made) > 2
    requirements.write_text("# still nothing\n")
    app.environment_for(folder)
    assert app.cuda_megabytes(made) == 0
