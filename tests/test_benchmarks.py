"""The benchmark runs and leaves nothing out. No test here looks at a time."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from drawn_images import copy_few

from benchmarks import app
from going_modular.drawn import CLASS_NAMES
from going_modular.model_builder import CONTENDERS

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
TITLES = [
    "1. Training",
    "2. One prediction, from JPEG bytes to probabilities",
    "3. The app",
    "4. Many clients at once",
    "5. FoodVision Pocket",
    "6. FoodVision Big",
    "7. The gate, and strangers",
]


def run_bench(folder: Path, *options: str) -> subprocess.CompletedProcess:
    environment = {
        **os.environ,
        "FOODVISION_DATA": str(folder / "pictures"),
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


def tables_of(text: str) -> list[list[list[str]]]:
    """Every table of a page: rows of cells, the line below the head left out."""
    tables = re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE)
    return [
        [
            [cell.strip() for cell in line.strip("|").split("|")]
            for line in table.splitlines()
            if not line.startswith("| ---")
        ]
        for table in tables
    ]


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
def page(folder):
    done = run_bench(folder, "--tiny", "--out", "results.md")
    assert done.returncode == 0, done.stderr[-3000:]
    text = (folder / "results.md").read_text("utf-8")
    assert text in done.stdout
    return text


@pytest.fixture(scope="module")
def tables(page):
    return tables_of(page)


def test_every_section_is_there_in_order(page):
    assert re.findall(r"^## (.*)$", page, re.MULTILINE) == TITLES


def test_page_says_that_it_is_a_rehearsal_and_on_what(page, tables):
    assert "these numbers mean nothing" in page
    circumstances = {row[0]: row[1] for row in tables[1]}
    assert circumstances["pictures"].startswith("drawn practice pictures: 6 to train")
    assert (
        "EffNet-Lite2 pretrained, EffNet-Lite0 pretrained" in circumstances["weights"]
    )
    assert "onnxruntime" in circumstances["packages"]


def test_tables_are_whole(tables):
    assert len(tables) == 18
    for table in tables:
        assert len({len(row) for row in table}) == 1
        assert not [row for row in table if row[1] in ("", "nan")]


def test_training_compares_both_ways_and_every_contender(tables):
    both, contenders, batches = tables[2:5]
    assert [row[0].split(":")[0] for row in both[1:]] == ["the usual way", "ours"]
    assert all(re.fullmatch(r"\d of 6", row[3]) for row in both[1:])
    names = [row[0] for row in contenders[1:]]
    assert names == [*(contender.name for contender in CONTENDERS), "all"]
    assert batches[0] == ["batch size", "1", "4"]


def test_every_route_is_timed_and_rehearsal_weights_are_not_counted(page, tables):
    predictions, networks, big = tables[5:8]
    routes = [row[0] for row in predictions[1:]]
    assert [row[0] for row in networks[1:]] == routes
    assert "usual way" in routes[0] and "int8" in routes[-1] and len(routes) == 4
    usual_is_trained = "EffNetB2 pretrained" in page
    assert ("not counted" in predictions[1][-1]) != usual_is_trained
    assert all(re.fullmatch(r"\d of 6", row[-1]) for row in predictions[2:])
    precisions = [row[-1].split(" of ")[1] for row in networks[1:]]
    assert precisions == ["fp32", "fp32", "fp32", "int8"]
    assert [row[0].split(",")[0] for row in big[2:]] == [
        "12 megapixels",
        "48 megapixels",
    ]


def test_both_apps_are_started_and_measured(tables):
    names = [row[0] for row in tables[8][1:]]
    assert len(names) == 5
    for start, what in zip(names, ("from", "the", "resi", "the", "inst"), strict=True):
        assert start.startswith(what)


def test_both_apps_give_the_same_answers_to_pictures_of_every_class(page, tables):
    head, *rows = tables[9]
    assert head == ["test picture", "it is", "ONNX int8", "PyTorch"]
    assert [row[1] for row in rows] == list(CLASS_NAMES)
    for picture, truth, ours, theirs in rows:
        assert truth in picture
        assert ours == theirs
    assert len({row[2] for row in rows}) > 1  # or two that always say pizza agree, too
    assert "The same answer for 3 of 3 pictures." in page


def test_clients_are_answered_or_refused_but_never_failed(tables):
    head, *rows = tables[10]
    assert [row[0] for row in rows] == ["1", "4", "16", "64"]
    for row in rows:
        answered, asked = map(int, row[head.index("answered")].split(" of "))
        assert 0 < answered == asked - int(row[head.index("refused")])
        assert row[head.index("failed")] == "0"


def test_browsers_are_timed_and_answer_as_python_does(tables):
    head, python, *pages = tables[11]
    assert [row[0].split()[0] for row in pages] == [*["Chromium"] * 4, "Firefox"]
    assert [row[1] for row in pages[:4]] == [
        "LiteRT with relaxed SIMD, 1 thread",
        "LiteRT with SIMD, 1 thread",
        "ONNX Runtime, 1 thread",
        "LiteRT with relaxed SIMD, 2 threads",
    ]
    there = [row for row in pages if row[1] != "was not there"]
    assert python[0] == "Python" and len(there) >= 4
    same, apart = head.index("same class as Python"), head.index("probabilities apart")
    for row in there:
        assert row[same] == "6 of 6"
        assert float(row[apart]) <= 0.02


def test_first_visits_and_the_live_camera_are_measured(tables):
    profile, visits, camera = tables[12:15]
    assert [row[0] for row in profile[1:]] == [
        "depthwise convolutions",
        "other convolutions",
        "all else",
    ]
    assert [row[0] for row in visits[1:]] == ["LiteRT", "ONNX Runtime Web"]
    assert [row[visits[0].index("visits")] for row in visits[1:]] == ["4", "4"]
    assert all(5 < float(row[-1]) < 15 for row in visits[1:])
    assert len(camera) == 2 and camera[1][0] == "0.3"
    assert all(float(cell) > 0 for cell in camera[1])


def test_goals_of_the_browser_demo_are_there(tables):
    goals = [row[0] for row in tables[0]]
    (first,) = (n for n, text in enumerate(goals) if "answers a second" in text)
    words = ("30 answers", "3.5 times", "2.5 times", "0.001", "10 MB", "50%", "5%")
    for text, word in zip(goals[first:], (*words, "2 answers"), strict=False):
        assert word in text


def test_big_is_projected_for_every_contender_beside_its_goal(page, tables):
    head, *rows = tables[15]
    assert [row[0] for row in rows] == [contender.name for contender in CONTENDERS]
    assert "20,200 photos, minutes" in head and "101,000 photos, minutes" in head
    goals = [row for row in tables[0] if row[0].startswith("FoodVision Big on 20,200")]
    assert len(goals) == 1 and "at most 60 minutes" in goals[0][0]
    assert "(projected)" in goals[0][1]


def test_some_parts_make_a_shorter_page(folder):
    done = run_bench(folder, "--tiny", "--only", "load", "--out", "load.md")
    assert done.returncode == 0, done.stderr[-3000:]
    text = (folder / "load.md").read_text("utf-8")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == [TITLES[3]]
    assert [table[0][0] for table in tables_of(text)] == ["circumstance", "clients"]


def test_unknown_part_is_named(folder):
    done = run_bench(folder, "--only", "training,lunch")
    assert done.returncode == 2
    assert "lunch: choose from training, prediction, app, load" in done.stderr


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
