"""`make demo`: a fresh clone has a window to show, and what is stopped has ended."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from going_modular.app.model import DISH, Predictor
from tools import serve_demo

APP = "import os, pathlib, time; pathlib.Path('pid').write_text(str(os.getpid()))"
SERVE = """from pathlib import Path; from tools import serve_demo
serve_demo.newest_demo = lambda: Path({!r})
serve_demo.main()"""


@pytest.fixture
def demos(tmp_path, monkeypatch):
    """A folder of demos without a model in it, as in a fresh clone."""
    monkeypatch.setattr(serve_demo, "DEMOS", tmp_path)
    return tmp_path


def test_a_fresh_clone_gets_the_committed_model_and_drawn_examples(demos):
    folder = serve_demo.newest_demo()
    assert folder == demos / "foodvision_mini"
    predictor = Predictor(folder / serve_demo.MODEL)
    for example in sorted((folder / "examples").iterdir()):
        answer = predictor.predict(example)
        assert (answer.best[0], answer.verdict) == (example.stem, DISH)


def test_a_demo_that_was_written_keeps_its_examples(demos):
    folder = demos / "practice_mini"
    folder.mkdir()
    (folder / serve_demo.MODEL).touch()
    assert serve_demo.newest_demo() == folder
    assert [file.name for file in folder.iterdir()] == [serve_demo.MODEL]


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM to send")
def test_what_is_asked_to_end_ends_its_app(tmp_path):
    (tmp_path / "app.py").write_text(f"{APP}\ntime.sleep(60)\n")
    server = subprocess.Popen([sys.executable, "-c", SERVE.format(str(tmp_path))])
    pid = read_pid(tmp_path / "pid")
    server.send_signal(signal.SIGTERM)
    assert server.wait(timeout=20) == 0
    with pytest.raises(ProcessLookupError):
        for _ in range(100):  # killed, and gone once the system has noticed
            os.kill(pid, 0)
            time.sleep(0.1)


def read_pid(file: Path) -> int:
    """Wait for the number that the app writes."""
    for _ in range(600):
        if file.exists() and (text := file.read_text()):
            return int(text)
        time.sleep(0.1)
    raise AssertionError("the app did not start")
