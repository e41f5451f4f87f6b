"""The browser demo's answers a second: measured in a real browser, or as reported."""

import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from going_modular.app.model import Predictor
from going_modular.demo_folder import DeployError
from going_modular.drawn import CLASS_NAMES, drawn_files
from going_modular.pocket import stopwatch
from going_modular.pocket.runtimes import MODEL, TFLITE
from going_modular.pocket.server import MOST_BYTES, Extra, serve_folder
from going_modular.pocket.stopwatch import (
    BrowserSpeed,
    browser_speed,
    find_browser,
    measure_in_browser,
    speed_in_report,
)

ROOT = Path(__file__).resolve().parents[1]
REPORT = ROOT / "benchmarks" / "results.json"
PS = shutil.which("ps")
GONE_WITHIN = 10.0  # s; a browser's crash handler ends by itself
AGENT = "Mozilla/5.0 (X11; Linux x86_64) HeadlessChrome/156.0.0.0 Safari/537.36"
ANSWERED = {
    "agent": AGENT,
    "runs": "LiteRT",
    "milliseconds": [20.0, 10.0, 40.0],
    "answers": [[0.9, 0.1]] * 3,
}
# Stands for a browser: fetches the page and its pictures, and reports.
REPORTING = """#!/bin/sh
''':'
exec '{python}' "$0" "$@"  # a first line would end at a space in the path
'''
import sys, urllib.request
get = urllib.request.build_opener(urllib.request.ProxyHandler({{}})).open
url, count = sys.argv[-1].split("#")
assert b"stopwatch.js" in get(url).read()
home = url.removesuffix("index.html")
seen = [get(home + str(n)).read().decode() for n in range(int(count))]
assert seen == ["picture 0", "picture 1", "picture 2"], seen
get(home + "result", {told!r})
"""


@pytest.fixture
def scratch(monkeypatch):
    """Where temporary files go; with a test's end none may be left, and no process."""
    folder = Path(tempfile.mkdtemp())  # pytest's would be too long for a socket
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    yield
    folder.rmdir()  # which only succeeds if it is empty
    until = time.monotonic() + GONE_WITHIN
    while left := processes_that_name(str(folder)):
        assert time.monotonic() < until, f"a process is left: {left}"
        time.sleep(0.1)


def processes_that_name(text: str) -> list[str]:
    listed = subprocess.run([PS, "-eo", "args"], capture_output=True, text=True)
    return [line for line in listed.stdout.splitlines() if text in line]


@pytest.fixture
def page(tmp_path):
    """A folder that can be served, and pictures, where no real browser comes."""
    (tmp_path / "index.html").write_text("the demo")
    pictures = [tmp_path / f"{n}.jpg" for n in range(3)]
    for number, picture in enumerate(pictures):
        picture.write_text(f"picture {number}")
    return tmp_path, pictures


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Have these programs and no others on PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(stopwatch, "PLACES", ())

    def install(*names: str, text: str = "#!/bin/sh\nexit 3") -> Path:
        for name in names:
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)
        return folder

    return install


def reporting(told: dict) -> str:
    return REPORTING.format(python=sys.executable, told=json.dumps(told).encode())


@pytest.fixture
def chromium():
    if (browser := find_browser()) is None:
        pytest.skip("needs the system package chromium")
    return browser


@pytest.mark.browser
def test_a_real_browser_answers_as_python_does(chromium, committed_site, scratch):
    pictures = [file for name in CLASS_NAMES for file in drawn_files(name, "test")[:4]]
    before = sorted(committed_site.rglob("*"))
    speed = measure_in_browser(committed_site, pictures)
    assert re.fullmatch(r"Chromium \d+", speed.browser)
    assert speed.runs == "LiteRT with relaxed SIMD, 1 thread"
    assert len(speed.milliseconds) == len(speed.answers) == len(pictures)
    assert 0 < min(speed.milliseconds) <= 1000 / speed.per_second
    predictor = Predictor(ROOT / "models" / MODEL, threads=1)
    said = [predictor.predict(file).probabilities for file in pictures]
    expected = np.array([[one[name] for name in CLASS_NAMES] for one in said])
    answers = np.array(speed.answers)
    assert (answers.argmax(axis=1) == expected.argmax(axis=1)).all()
    assert np.abs(answers - expected).max() < 0.001
    after = sorted(committed_site.rglob("*"))
    assert after == before, "the page is no part of the folder"


@pytest.mark.browser
def test_what_the_page_says_of_its_failure_is_passed_on(
    chromium, committed_site, tmp_path, scratch
):
    site = shutil.copytree(committed_site, tmp_path / "site")
    (tmp_path / "notes.jpg").write_text("no picture")
    with pytest.raises(DeployError, match="could not answer: .*picture"):
        measure_in_browser(site, [tmp_path / "notes.jpg"], browser=chromium)
    (site / TFLITE).unlink()
    pictures = drawn_files("pizza", "test")[:1]
    with pytest.raises(DeployError, match="could not answer: The model could not be"):
        measure_in_browser(site, pictures, browser=chromium)


def test_what_a_browser_reports_is_what_comes_back(page, installed, scratch):
    folder = installed("some-browser", text=reporting(ANSWERED))
    speed = measure_in_browser(*page, browser=folder / "some-browser")
    told = ANSWERED["milliseconds"], ANSWERED["answers"]
    assert speed == BrowserSpeed("Chromium 156", "LiteRT", *told)
    assert speed.per_second == 50


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("#!/bin/sh\nexit 3", "some-browser stopped by itself with exit code 3"),
        ("#!/no/such/shell\n", "some-browser could not be started"),
        (reporting({"failed": "No model."}), "could not answer: No model"),
        (
            "#!/bin/sh\n/bin/sleep 61.7 & /bin/sleep 61.7",
            "did not finish in 1 s",
        ),
    ],
    ids=["ends at once", "cannot start", "says why not", "never answers"],
)
def test_a_browser_that_does_not_work_is_an_error_and_stopped(
    page, installed, scratch, text, sentence
):
    browser = installed("some-browser", text=text) / "some-browser"
    timeout = 1.0 if "sleep" in text else 60.0
    with pytest.raises(DeployError, match=sentence):
        measure_in_browser(*page, browser=browser, timeout=timeout)
    assert not processes_that_name("sleep 61.7"), "nor what it has started"


def post(url: str, content: bytes, **headers: str) -> int:
    """What the server answers."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    asked = urllib.request.Request(url, data=content, headers=headers)
    try:
        with direct.open(asked, timeout=10) as reply:
            return reply.status
    except urllib.error.HTTPError as error:
        return error.code


def test_only_one_path_takes_a_report_and_no_endless_one(page):
    taken = []
    extra = Extra({"/secret/": b"x"}, "/secret/result", taken.append)
    with serve_folder(page[0], extra=extra) as served:
        url = f"{served.url}secret/result"
        for path in ("", "result", "secret/", "index.html"):
            assert post(served.url + path, b"[]") == 404
        for size in (str(MOST_BYTES + 1), "-1", "all of it"):
            assert post(url, b"[]", **{"Content-Length": size}) == 413
        assert taken == []
        assert post(url, b"[1]") == 204
    assert taken == [b"[1]"]
    with serve_folder(page[0]) as served:
        assert post(f"{served.url}secret/result", b"[1]") == 404


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
    ways = [("Firefox 9", runs, 7.0), ("Chromium 9", runs.replace("1", "2"), 8.0)]
    for more, told in (([], "run make bench"), ([("Chromium 9", runs, 25.0)], "")):
        rows = [
            {"where": where, "what runs it": runs, "median ms": ms}
            for where, runs, ms in ways + more
        ]
        report.write_text(json.dumps({"pocket": {"ways": rows}}))
        if told:
            with pytest.raises(DeployError, match=told):
                speed_in_report(report)
    assert speed_in_report(report) == 40
    for file, told in ((report, "says nothing"), (tmp_path / "none", "could not be")):
        with pytest.raises(DeployError, match=told):
            speed_in_report(file, stopwatch.ON_ORT_WEB)


def test_a_speed_is_measured_where_a_browser_works(page, installed, scratch, capsys):
    installed("chromium", text=reporting(ANSWERED))
    expected = (50, "Chromium 156, here", ANSWERED["answers"])
    assert browser_speed(*page, report=REPORT) == expected
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("browsers", "told"),
    [
        ([], ""),
        (["chromium"], "Not measured here: chromium stopped by itself with exit"),
    ],
    ids=["no browser", "a browser that fails"],
)
def test_else_the_report_counts(browsers, told, page, installed, scratch, capsys):
    where = "another computer's, benchmarks/results.md"
    reported = speed_in_report(REPORT), where, None
    assert browser_speed(None, page[1], report=REPORT) == reported, "without a page"
    installed(*browsers)
    assert browser_speed(*page, report=REPORT) == reported
    assert capsys.readouterr().out.startswith(told)
