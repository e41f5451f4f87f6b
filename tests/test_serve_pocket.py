"""How the browser demo is served: as what it is, to whom, and by `make pocket`."""

import re
import socket
import urllib.error
import urllib.request
from types import SimpleNamespace

import pytest

from going_modular.demo_folder import DeployError
from going_modular.files import FileError
from going_modular.pocket.server import ISOLATION, serve_folder
from tools import serve_pocket


@pytest.fixture
def port():
    """A free one."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def fetch(url):
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(url, timeout=10) as reply:
        return reply.headers, reply.read()


def test_served_as_what_it_is_with_isolation(tmp_path):
    kinds = {
        "index.html": "text/html; charset=utf-8",
        "a.mjs": "text/javascript; charset=utf-8",
        "a.js": "text/javascript; charset=utf-8",
        "a.wasm": "application/wasm",
        "a.webmanifest": "application/manifest+json",
        "a.onnx": "application/octet-stream",
    }
    for name in kinds:
        (tmp_path / name).write_text(name)
    with serve_folder(tmp_path) as served:
        assert served.url.startswith("http://127.0.0.1:")
        for name, kind in kinds.items():
            headers, body = fetch(served.url + name.replace("index.html", ""))
            assert headers["Content-Type"] == kind and body.decode() == name
            assert ISOLATION.items() <= dict(headers).items()
    with pytest.raises(urllib.error.URLError):
        fetch(served.url)


def test_serves_nothing_outside_its_folder(tmp_path):
    (tmp_path / "secret.txt").write_text("x")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("x")
    with (
        serve_folder(tmp_path / "site") as served,
        pytest.raises(urllib.error.HTTPError),
    ):
        fetch(served.url + "..%2fsecret.txt")


def test_no_page_or_no_port_is_an_error_that_says_so(tmp_path, port):
    with pytest.raises(DeployError, match="no index.html"), serve_folder(tmp_path):
        pass
    (tmp_path / "index.html").write_text("x")
    taken = socket.create_server(("127.0.0.1", port))
    told = pytest.raises(DeployError, match="Port")
    with taken, told, serve_folder(tmp_path, port=port):
        pass


def test_a_visitor_who_hangs_up_leaves_no_trace_in_the_notebook(tmp_path, port, capfd):
    (tmp_path / "index.html").write_bytes(b"x" * 20_000_000)
    with serve_folder(tmp_path, port=port) as served:
        with socket.create_connection(("127.0.0.1", port)) as visitor:
            visitor.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            visitor.recv(100)
        assert fetch(served.url)[1].startswith(b"x"), "it still answers others"
    assert "".join(capfd.readouterr()) == ""


@pytest.fixture
def serve(monkeypatch, tmp_path, capsys, port):
    """Run the command until a visitor has come; what it printed and what they saw."""
    (tmp_path / "index.html").write_text("the page")
    monkeypatch.setattr(serve_pocket, "PORT", port)
    monkeypatch.setattr(serve_pocket, "write", lambda: tmp_path)

    def run() -> tuple[str, str]:
        seen = []

        def visit():
            printed = capsys.readouterr().out
            url = re.search(r"http://[\d.:]+/", printed)[0]
            seen.extend([printed, fetch(url)[1].decode()])
            raise KeyboardInterrupt  # Ctrl+C

        forever = SimpleNamespace(Event=lambda: SimpleNamespace(wait=visit))
        monkeypatch.setattr(serve_pocket, "threading", forever)
        serve_pocket.main([])
        return tuple(seen)

    return run


def test_the_command_takes_the_wanted_port_or_says_which_other(serve, port):
    for _ in range(2):  # just let go is free, too
        printed, page = serve()
        assert page == "the page" and "taken" not in printed
        assert f"at http://127.0.0.1:{port}/; stop it" in printed
    with socket.create_server(("127.0.0.1", port)):
        printed, page = serve()
    assert page == "the page"
    assert f"Port {port} is taken" in printed
    assert f":{port}/" not in printed


def test_what_a_reader_can_put_right_is_one_sentence(monkeypatch):
    def write():
        raise FileError("npm is missing.")

    monkeypatch.setattr(serve_pocket, "write", write)
    with pytest.raises(SystemExit, match="^npm is missing.$"):
        serve_pocket.main([])
