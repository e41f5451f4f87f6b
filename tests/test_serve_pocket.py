"""How the browser demo is served: as what it is, to whom, and by `make pocket`."""

import re
import socket
import urllib.error
import urllib.request
from types import SimpleNamespace

import pytest

from going_modular.demo_folder import DeployError
from going_modular.files import FileError
from pocket.server import ISOLATION, serve_folder
from tools import serve_pocket

KINDS = {
    "index.html": "text/html; charset=utf-8",
    "a.mjs": "text/javascript; charset=utf-8",
    "a.wasm": "application/wasm",
    "a.webmanifest": "application/manifest+json",
    "a.onnx": "application/octet-stream",
}


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
