"""Gradio starts alike from everywhere, whatever a machine or a shell has set."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from course_copy import ROOT
from odd_pictures import HEIC, halves

from going_modular.app import surroundings
from going_modular.app_process import ask_demo, run_demo
from going_modular.demo_folder import APP, TEXTS, copy_app

SAY = (
    "import os; from going_modular.app.surroundings import prepare; prepare()\n"
    "print(os.environ['GRADIO_TEMP_DIR'], os.environ['no_proxy'])"
)


@pytest.mark.parametrize(
    ("given", "kept"),
    [("{}/new/folder", True), ("{}/a_file/inside", False), ("", False)],
    ids=["can be made", "cannot be made", "none"],
)
def test_uploads_have_a_folder_of_their_own_that_goes(given, kept, tmp_path):
    (tmp_path / "a_file").touch()
    (tmp_path / "gradio").mkdir()  # somebody else's
    own = {"TMPDIR": str(tmp_path), "GRADIO_TEMP_DIR": given.format(tmp_path)}
    how = {"cwd": ROOT, "env": os.environ | own | {"no_proxy": "example.org"}}
    done = subprocess.run([sys.executable, "-c", SAY], capture_output=True, **how)
    folder, direct = done.stdout.decode().split()
    assert (folder == given.format(tmp_path)) == kept
    assert Path(folder).exists() == kept
    assert folder != str(tmp_path / "gradio") and Path(folder).is_relative_to(tmp_path)
    assert direct.split(",") == ["example.org", *surroundings.HERE_ONLY]


@pytest.mark.slow
def test_the_app_starts_by_itself_where_a_neighbour_was_first(tmp_path, monkeypatch):
    """Gradio's usual folder cannot be written to; proxies lead nowhere."""
    (tmp_path / "gradio").touch()
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    for name in ("HTTP_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("GRADIO_SHARE", "True")
    monkeypatch.delenv("no_proxy", raising=False)
    folder = copy_app(APP, tmp_path / "demo", TEXTS)
    shutil.copy(ROOT / "models" / "foodvision_mini.onnx", folder)
    (folder / "examples").mkdir()
    for name in ("IMG_0001.JPG", "two.jpeg", "three.webp", "Four.PNG", "five.Gif"):
        halves().save(folder / "examples" / name)
    (folder / "examples/six.HEIC").write_bytes(HEIC)
    start = "import os\nos.environ.pop('GRADIO_TEMP_DIR')\nimport runpy\n"
    start += "runpy.run_path('app.py', run_name='__main__')\n"
    (folder / "start.py").write_text(start)  # as in a shell
    with run_demo(folder, app="start.py") as demo:
        answer = ask_demo(demo.url, folder / "examples" / "six.HEIC")
        log = demo.log_path.read_text()
    assert answer[0]["label"] in ("pizza", "steak", "sushi")
    assert "do not show these examples: six.HEIC" in log
