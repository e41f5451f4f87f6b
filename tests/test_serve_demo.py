"""`make demo`: a fresh clone has a window to show, and what is stopped has ended."""

import os
import signal
import subprocess
import sys
import time

import pytest

from going_modular.app.model import DISH, Predictor
from tools import serve_demo

APP = "import os, time\nprint(os.getpid(), flush=True)\ntime.sleep(60)\n"
SERVE = """from pathlib import Path; from tools import serve_demo
serve_demo.newest_demo = lambda: Path({!r})
serve_demo.main()"""


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
