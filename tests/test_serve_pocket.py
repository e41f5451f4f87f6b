"""`make pocket`: where it serves the page, and that it says so."""

import re
import socket
import urllib.request
from types import SimpleNamespace

import pytest

from going_modular.files import FileError
from tools import serve_pocket


@pytest.fixture
def serve(monkeypatch, tmp_path, capsys):
    """Run the command until a visitor has come; what it printed and what they saw."""
    (tmp_path / "index.html").write_text("the page")
    monkeypatch.setattr(serve_pocket, "write", lambda: tmp_path)

    def run() -> tuple[str, str]:
        seen = []

        def visit():
            printed = capsys.readouterr().out
            url = re.search(r"http://[\d.:]+/", printed)[0]
            direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with direct.open(url, timeout=10) as reply:
                seen.extend([printed, reply.read().decode()])
            raise KeyboardInterrupt  # Ctrl+C

        forever = SimpleNamespace(Event=lambda: SimpleNamespace(wait=visit))
        monkeypatch.setattr(serve_pocket, "threading", forever)
        serve_pocket.main([])
        return tuple(seen)

    return run


@pytest.fixture
def port(monkeypatch):
    """A free port, which is the one that the command wants."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    monkeypatch.setattr(serve_pocket, "PORT", port)
    return port


def test_it_takes_the_wanted_port_again_and_again(serve, port):
    for _ in range(2):  # just let go is free, too
        printed, page = serve()
        assert page == "the page"
        assert f"at http://127.0.0.1:{port}/; stop it" in printed
        assert "taken" not in printed


def test_where_the_port_is_taken_it_takes_another_and_says_which(serve, port):
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
