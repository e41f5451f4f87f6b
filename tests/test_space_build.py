"""The demo folder as a Space's builder installs it, and as its computer starts it."""

import os
import re
import shutil
import subprocess
import sys

import pytest
from course_copy import ROOT

from going_modular.app_process import ask_demo, run, run_demo
from going_modular.demo_folder import APP, TEXTS, copy_app, copy_examples
from going_modular.drawn import CLASS_NAMES, drawn_files

pytestmark = pytest.mark.slow

FACTS = dict(re.findall(r'^(\w+): "?([^"\n]+)', (APP / "README.md").read_text(), re.M))
FIND_DEMO = "import app, gradio; assert isinstance(app.demo, gradio.Blocks)"
# Root may write everywhere; without its capabilities it is a user like any other. And
# what `run_demo` puts right for an app, a Space's computer does not.
START = """#!/bin/sh
unset GRADIO_TEMP_DIR GRADIO_EXAMPLES_CACHE GRADIO_ANALYTICS_ENABLED
unset PYTHONDONTWRITEBYTECODE
[ $(id -u) != 0 ] || exec setpriv --bounding-set=-all --inh-caps=-all {python} "$@"
exec {python} "$@"
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The Python of a Space: the builder's packages first, then the folder's own."""
    index = [sys.executable, "-m", "pip", "index", "versions", "gradio"]
    if subprocess.run(index, capture_output=True).returncode:
        pytest.skip("needs a package index that pip can reach, to install from")
    environment = tmp_path_factory.mktemp("space") / "venv"
    base = shutil.which(f"python{FACTS['python_version']}") or sys.executable
    run(base, "-m", "venv", environment)
    python = environment / "bin" / "python"
    asked = [f"gradio[oauth]=={FACTS['sdk_version']}", "spaces", "-r"]
    run(python, "-m", "pip", "install", "-q", *asked, APP / "requirements.txt")
    start = environment / "start"
    start.write_text(START.format(python=python))
    start.chmod(0o755)
    return str(start)


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """The folder as another user has cloned it, with a home beside it."""
    folder = copy_app(APP, tmp_path / "app", TEXTS)
    shutil.copy(ROOT / "models/foodvision_mini.onnx", folder)
    copy_examples({d: drawn_files(d)[0] for d in CLASS_NAMES}, folder / "examples")
    for name in ("home", "tmp"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setenv("SYSTEM", "spaces")
    everything = [folder, *folder.rglob("*")]
    for path in everything:
        path.chmod(0o555 if path.is_dir() else 0o444)
        if os.geteuid() == 0:
            shutil.chown(path, "nobody", "nogroup")
    yield folder
    for path in everything:
        path.chmod(0o755)


@pytest.mark.parametrize("zero_gpu", [False, True])
def test_a_space_is_found_answers_and_writes_nowhere_else(
    built, checkout, site, monkeypatch, zero_gpu
):
    """ZeroGPU hardware runs beside an app, and wants to hear of one function."""
    site.put("/startup-report", b"{}")
    if zero_gpu:
        monkeypatch.setenv("SPACES_ZERO_GPU", "true")
        monkeypatch.setenv("SPACES_ZERO_DEVICE_API_URL", site.root)
    before = {*checkout.parent.rglob("*")}
    with run_demo(checkout, python=built) as running:
        label, note = ask_demo(running.url, checkout / "examples/pizza.jpg")
        text = ask_demo(running.url, checkout / "requirements.txt")[1]
    assert label["label"] in CLASS_NAMES and "pizza" in note
    assert "not a picture" in text
    new = {*checkout.parent.rglob("*")} - before
    assert all(file.is_relative_to(checkout.parent / "tmp") for file in new), new
    told = ["/startup-report"] if zero_gpu else []  # of a function, lent no GPU
    assert site.asked == told
    run(built, "-c", FIND_DEMO, cwd=checkout, env=None)  # as a Space's own tools do
