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
from pocket.runtimes import MODEL, TFLITE
from pocket.stopwatch import ON_ORT_WEB, browser_speed, measure_in_browser

ROOT = Path(__file__).resolve().parents[1]
REPORT = ROOT / "benchmarks" / "results.json"
PICTURES = [file for name in CLASS_NAMES for file in drawn_files(name, "test")[:4]]


@pytest.mark.browser
def test_a_real_browser_answers_as_python_does_or_says_why_not(
    committed_site, tmp_path
):
    if shutil.which("chromium") is None:
        pytest.skip("needs the system package chromium")
    before = sorted(committed_site.rglob("*"))
    speed = measure_in_browser(committed_site, PICTURES)
    assert re.fullmatch(r"Chromium \d+", speed.browser)
    assert speed.runs == "LiteRT with relaxed SIMD, 1 thread"
    assert len(speed.milliseconds) == len(PICTURES) and min(speed.milliseconds) > 0
    predictor = Predictor(ROOT / "models" / MODEL, threads=1)
    said = [predictor.predict(file).probabilities for file in PICTURES]
    expected = np.array([[one[name] for name in CLASS_NAMES] for one in said])
    assert np.array(speed.answers) == pytest.approx(expected, abs=0.001)
    assert sorted(committed_site.rglob("*")) == before

    found = browser_speed(committed_site, PICTURES[:1], report=REPORT)
    assert found.per_second > 0 and found.where == f"{speed.browser}, here"
    assert np.array(found.answers) == pytest.approx(expected[:1], abs=0.001)

    site = shutil.copytree(committed_site, tmp_path / "site")
    (tmp_path / "notes.jpg").write_text("no picture")
    with pytest.raises(DeployError, match="No browser answered: .*picture"):
        measure_in_browser(site, [tmp_path / "notes.jpg"])
    (site / TFLITE).unlink()
    with pytest.raises(DeployError, match="answered: .*The model could not be"):
        measure_in_browser(site, PICTURES)
    with pytest.raises(DeployError, match="timed out"):
        measure_in_browser(site, PICTURES, timeout=0.01)


def test_where_nothing_is_measured_a_report_is_asked_for_that_browser_and_engine(
    tmp_path, monkeypatch, capsys
):
    goal = r"\| the browser demo on one thread: .* \| ([\d.]+) \|"
    told = re.search(goal, (ROOT / "README.md").read_text("utf-8"))[1]
    per_second, where, answers = browser_speed(None, [], report=REPORT)
    assert per_second == pytest.approx(float(told), abs=0.06)
    assert where == "another computer's, benchmarks/results.md" and answers is None
    assert browser_speed(None, [], report=REPORT, runs=ON_ORT_WEB)[0] < per_second
    assert capsys.readouterr().out == ""

    broken = tmp_path / "chromium"
    broken.write_text("#!/bin/sh\nexit 3")
    broken.chmod(0o755)
    (tmp_path / "index.html").touch()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert browser_speed(tmp_path, [], report=REPORT) == (per_second, where, None)
    assert capsys.readouterr().out.startswith("Not measured here: No browser answered")
    ways = [("Firefox 9", 7.0), ("Chromium 9", 25.0)]
    runs = {"what runs it": "LiteRT with relaxed SIMD, 1 thread"}
    rows = [{"where": where, "median ms": ms, **runs} for where, ms in ways]
    report = tmp_path / "results.json"
    report.write_text(json.dumps({"pocket": {"ways": rows}}))
    assert browser_speed(None, [], report=report).per_second == 40
