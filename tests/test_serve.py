"""`make demo` and `make pocket`: a window to show, a page served as what it is."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from types import SimpleNamespace

import pytest

from going_modular.app.model import DISH, Predictor
from going_modular.demo_folder import DeployError
from going_modular.files import FileError
from pocket.server import ISOLATION, serve_folder
from tools import serve_demo, serve_pocket

KINDS = {
    "index.html": "text/html; charset=utf-8",
    "a.mjs": "text/javascript; charset=utf-8",
    "a.wasm": "application/wasm",
    "a.webmanifest": "application/manifest+json",
    "a.onnx": "application/octet-stream",
}
APP = "import os, time\nprint(os.getpid(), flush=True)\ntime.sleep(60)\n"
SERVE = """from pathlib import Path; from tools import serve_demo
serve_demo.newest_demo = lambda: Path({!r})
serve_demo.main()"""


@pytest.fixture
def port():
    """A free one."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def fetch(url):
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(url, timeout=10) as reply:
        return reply.headers, reply.read()


def test_a_folder_is_served_as_what_it_is_and_nothing_outside(tmp_path, port, capfd):
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
            headers, body = fetch(served.url + name.replace("index.html", ""))
            assert headers["Content-Type"] == kind and body.decode() == name
            assert ISOLATION.items() <= dict(headers).items()
        with pytest.raises(urllib.error.HTTPError):
            fetch(served.url + "..%2fsecret.txt")
        with pytest.raises(DeployError, match="Port"), serve_folder(site, port=port):
            pass
        with socket.create_connection(("127.0.0.1", port)) as visitor:
            visitor.sendall(b"GET /large.bin HTTP/1.1\r\nHost: x\r\n\r\n")
            visitor.recv(100)  # and hangs up
        assert fetch(served.url)[1], "it still answers others"
    with pytest.raises(urllib.error.URLError):
        fetch(served.url)
    assert "".join(capfd.readouterr()) == "", "nothing is told to the notebook"


def test_the_command_takes_the_wanted_port_or_says_which_other(
    monkeypatch, tmp_path, capsys, port
):
    (tmp_path / "index.html").write_text("the page")
    monkeypatch.setattr(serve_pocket, "PORT", port)
    monkeypatch.setattr(serve_pocket, "write", lambda: tmp_path)
    printed = []

    def visit():
        printed.append(capsys.readouterr().out)
        url = re.search(r"http://[\d.:]+/", printed[-1])[0]
        assert fetch(url)[1] == b"the page"
        raise KeyboardInterrupt  # Ctrl+C

    forever = SimpleNamespace(Event=lambda: SimpleNamespace(wait=visit))
    monkeypatch.setattr(serve_pocket, "threading", forever)
    for _ in range(2):  # just let go is free, too
        serve_pocket.main()
        assert f"at http://127.0.0.1:{port}/; stop it" in printed[-1]
    with socket.create_server(("127.0.0.1", port)):
        serve_pocket.main()
    assert f"Port {port} is taken" in printed[-1] and f":{port}/" not in printed[-1]

    def write():
        raise FileError("npm is missing.")

    monkeypatch.setattr(serve_pocket, "write", write)
    with pytest.raises(SystemExit, match="^npm is missing.$"):
        serve_pocket.main()


def test_a_fresh_clone_gets_the_committed_model_and_drawn_examples(
    tmp_path, monkeypatch
):
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
