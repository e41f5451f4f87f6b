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
from going_modular.demo_folder import APP, TEXTS, copy_app, copy_examples, upload_plan

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
    env = os.environ | own | {"no_proxy": "example.org"}
    done = subprocess.run(
        [sys.executable, "-c", SAY], cwd=ROOT, env=env, capture_output=True, text=True
    )
    folder, direct = done.stdout.split()
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
    shown = {"IMG_0001.JPG": "JPEG", "two.jpeg": "JPEG", "three.webp": "WEBP"}
    for name, kind in (shown | {"Four.PNG": "PNG", "five.Gif": "GIF"}).items():
        halves().save(folder / "examples" / name, kind)
    (folder / "examples/six.HEIC").write_bytes(HEIC)
    start = "import os\nos.environ.pop('GRADIO_TEMP_DIR')\nimport runpy\n"
    start += "runpy.run_path('app.py', run_name='__main__')\n"
    (folder / "start.py").write_text(start)  # as in a shell
    with run_demo(folder, app="start.py") as demo:
        answer = ask_demo(demo.url, folder / "examples" / "six.HEIC")
        log = demo.log_path.read_text()
    assert answer[0]["label"] in ("pizza", "steak", "sushi")
    assert "do not show these examples: six.HEIC" in log


def test_what_browsers_do_not_show_becomes_a_jpeg(tmp_path):
    (tmp_path / "a.HEIC").write_bytes(HEIC)
    for name, kind in (("b.TIF", "TIFF"), ("c.ppm", "PPM"), ("d.JPG", "JPEG")):
        halves().save(tmp_path / name, kind)
    pictures = {file.stem: file for file in tmp_path.iterdir()}
    made = copy_examples(pictures, tmp_path / "demo" / "examples")
    assert sorted(os.listdir(made)) == ["a.jpg", "b.jpg", "c.jpg", "d.JPG"]
    assert all(file.read_bytes()[:2] == b"\xff\xd8" for file in made.iterdir())


def test_every_example_goes_by_git_lfs_whatever_its_name(tmp_path):
    examples = tmp_path / "examples"
    examples.mkdir()
    for name in ("IMG_1.JPG", "b.WebP", "c.HEIC", "d.jfif", "e e.PNG", "ü.avif"):
        (examples / name).write_bytes(b"x")
    (tmp_path / ".gitattributes").write_bytes((APP / ".gitattributes").read_bytes())
    (tmp_path / "app.py").touch()
    storage = {path: storage for path, _, storage in upload_plan(tmp_path)}
    for path, how in storage.items():
        assert how == ("LFS" if path.startswith("examples/") else "git"), path
    assert len(storage) == 8
