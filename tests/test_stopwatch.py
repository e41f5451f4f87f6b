"""The browser demo's answers a second: measured in a real browser, or as reported."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from going_modular.app.model import Predictor
from going_modular.demo_folder import DeployError
from going_modular.drawn import CLASS_NAMES, drawn_files
from pocket import stopwatch
from pocket.runtimes import MODEL, TFLITE
from pocket.stopwatch import (
    BrowserSpeed,
    browser_speed,
    find_browser,
    measure_in_browser,
    speed_in_report,
)

ROOT = Path(__file__).resolve().parents[1]
REPORT = ROOT / "benchmarks" / "results.json"
REPORTED = "another computer's, benchmarks/results.md"


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Have these programs, which end at once, and no others on PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(stopwatch, "PLACES", ())

    def install(*names: str) -> Path:
        for name in names:
            (folder / name).write_text("#!/bin/sh\nexit 3")
            (folder / name).chmod(0o755)
        return folder

    return install


@pytest.mark.browser
def test_a_real_browser_answers_as_python_does_or_says_why_not(
    committed_site, tmp_path
):
    if find_browser() is None:
        pytest.skip("needs the system package chromium")
    pictures = [file for name in CLASS_NAMES for file in drawn_files(name, "test")[:4]]
    before = sorted(committed_site.rglob("*"))
    speed = measure_in_browser(committed_site, pictures)
    assert re.fullmatch(r"Chromium \d+", speed.browser)
    assert speed.runs == "LiteRT with relaxed SIMD, 1 thread"
    assert len(speed.milliseconds) == len(pictures)
    assert 0 < min(speed.milliseconds) <= 1000 / speed.per_second
    predictor = Predictor(ROOT / "models" / MODEL, threads=1)
    said = [predictor.predict(file).probabilities for file in pictures]
    expected = np.array([[one[name] for name in CLASS_NAMES] for one in said])
    answers = np.array(speed.answers)
    assert (answers.argmax(axis=1) == expected.argmax(axis=1)).all()
    assert np.abs(answers - expected).max() < 0.001
    assert sorted(committed_site.rglob("*")) == before

    site = shutil.copytree(committed_site, tmp_path / "site")
    (tmp_path / "notes.jpg").write_text("no picture")
    with pytest.raises(DeployError, match="could not answer: .*picture"):
        measure_in_browser(site, [tmp_path / "notes.jpg"])
    (site / TFLITE).unlink()
    with pytest.raises(DeployError, match="could not answer: .*The model could not be"):
        measure_in_browser(site, pictures)


def test_a_browser_that_does_not_work_is_an_error(installed, tmp_path):
    (tmp_path / "index.html").touch()
    broken = installed("broken") / "broken"
    with pytest.raises(DeployError, match="broken could not answer: "):
        measure_in_browser(tmp_path, [], browser=broken)
    with pytest.raises(DeployError, match=r"did not finish in 0\.1 s"):
        measure_in_browser(tmp_path, [], browser=broken, timeout=0.1)
    with pytest.raises(DeployError, match="no browser here"):
        measure_in_browser(tmp_path, [])


def test_a_browser_is_found_by_its_name_or_in_its_usual_place(
    installed, tmp_path, monkeypatch
):
    folder = installed("microsoft-edge", "google-chrome", "firefox")
    assert find_browser() == folder / "google-chrome"
    (folder / "google-chrome").unlink()
    (folder / "microsoft-edge").unlink()
    assert find_browser() is None
    place = tmp_path / "msedge.exe"
    place.touch()
    monkeypatch.setattr(stopwatch, "PLACES", (str(tmp_path / "none"), str(place)))
    assert find_browser() == place


def test_a_report_is_asked_for_one_browser_and_one_engine(tmp_path):
    goal = r"\| the browser demo on one thread: .* \| ([\d.]+) \|"
    told = re.search(goal, (ROOT / "README.md").read_text("utf-8"))[1]
    assert speed_in_report(REPORT) == pytest.approx(float(told), abs=0.06)
    report, runs = tmp_path / "results.json", stopwatch.ON_LITE_RT
    told = [("Firefox 9", runs, 7.0), ("Chromium 9", runs.replace("1", "2"), 8.0)]
    names = ("where", "what runs it", "median ms")
    for ways in (told, [*told, ("Chromium 9", runs, 25.0)]):
        with pytest.raises(DeployError, match="could not be|run make bench"):
            speed_in_report(report)
        rows = [dict(zip(names, way, strict=True)) for way in ways]
        report.write_text(json.dumps({"pocket": {"ways": rows}}))
    assert speed_in_report(report) == 40
    with pytest.raises(DeployError, match="says nothing"):
        speed_in_report(report, stopwatch.ON_ORT_WEB)


def test_a_speed_is_measured_where_a_browser_works_and_else_reported(
    installed, tmp_path, monkeypatch, capsys
):
    reported = speed_in_report(REPORT), REPORTED, None
    assert browser_speed(None, [], report=REPORT) == reported, "without a page"
    assert browser_speed(tmp_path, [], report=REPORT) == reported, "no browser"
    assert capsys.readouterr().out == ""
    installed("chromium")
    (tmp_path / "index.html").touch()
    assert browser_speed(tmp_path, [], report=REPORT) == reported
    assert capsys.readouterr().out.startswith("Not measured here: chromium could not")
    speed = BrowserSpeed("Chromium 156", "LiteRT", [20.0, 10.0, 40.0], [[0.9, 0.1]])
    monkeypatch.setattr(stopwatch, "measure_in_browser", lambda *_: speed)
    expected = (50, "Chromium 156, here", speed.answers)
    assert browser_speed(tmp_path, [], report=REPORT) == expected
