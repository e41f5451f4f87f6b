"""Starting a demo, asking it, stopping it: here, afresh elsewhere, and on a Space."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from course_copy import ROOT
from huggingface_hub import close_session
from PIL import Image
from test_demo_folder import TOKEN, write_files

from going_modular.app.surroundings import HERE_ONLY
from going_modular.app_process import COURSE, ask_demo, run, run_demo
from going_modular.demo_folder import APP, TEXTS, copy_app, copy_examples
from going_modular.files import LessonError
from tools.serve_demo import drawn_examples

APP_0 = """
import os
import found_by_path, page
import gradio as gr

assert not {'MPLBACKEND', 'GRADIO_ROOT_PATH'} & set(os.environ)
assert COURSE not in os.environ['PYTHONPATH'].split(os.pathsep)
print("up and running", flush=True)

def predict(picture, request: gr.Request):
    if any("hf_thisIs" in value for value in request.headers.values()):
        raise gr.Error("a token came along")
    if picture.size != (8, 6):
        raise gr.Error("an unusual picture")
    return {'pizza': 0.75, 'sushi': 0.25}

parts = gr.Image(type="pil"), gr.Label()
gr.Interface(predict, *parts, api_name="predict", flagging_mode="never").launch()
"""


@pytest.mark.slow
def test_a_demo_sees_what_it_should_answers_and_stops(tmp_path, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy"):  # where nobody listens
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    ones = "MPLBACKEND PYTHONSAFEPATH PYTHONINSPECT GRADIO_SHARE GRADIO_ROOT_PATH"
    for name in ones.split():
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([COURSE, "site", "", "."]))
    monkeypatch.chdir(tmp_path)
    write_files(tmp_path, {"site/found_by_path.py": b"", "page.py": b"not this one"})
    app = f"COURSE = {COURSE!r}{APP_0}".encode()
    folder = write_files(tmp_path / "demo", {"app.py": app, "page.py": b""})
    for name, size in (("usual.png", (8, 6)), ("unusual.png", (5, 5))):
        Image.new("RGB", size, "red").save(tmp_path / name)
    with pytest.raises(KeyboardInterrupt), run_demo(Path("demo")) as demo:
        assert 0 < demo.start_seconds < 120
        assert "up and running" in demo.log_path.read_text()
        answer = ask_demo(demo.url, tmp_path / "usual.png")
        shares = {c["label"]: c["confidence"] for c in answer["confidences"]}
        assert answer["label"] == "pizza" and shares == {"pizza": 0.75, "sushi": 0.25}
        for name, told in (("unusual", "an unusual picture"), ("none", "no picture")):
            with pytest.raises(LessonError, match=told):
                ask_demo(demo.url, tmp_path / f"{name}.png")
        raise KeyboardInterrupt
    assert demo.process.poll() is not None and not demo.log_path.exists()
    assert sorted(os.listdir(folder)) == ["app.py", "page.py"]
    with pytest.raises(LessonError, match="Nothing answers"):
        ask_demo(demo.url, tmp_path / "usual.png")
    close_session()  # the Hub's client remembers its proxies


NOTE = b"import os, time\nopen('pid', 'w').write(str(os.getpid()))\n"
NO_START = {
    b"for n in range(99): print('line', n)\nimport no_such": "code 1.*e 98.*no_such",
    b"print('busy')\ntime.sleep(60)": "in time.*busy",
}


@pytest.mark.parametrize("source", NO_START)
def test_an_app_that_does_not_start_ends_with_its_last_lines(source, tmp_path):
    folder = write_files(tmp_path / "demo", {"app.py": NOTE + source})
    demo = run_demo(folder, timeout=2 if b"sleep" in source else 60)
    told = f"(?s){NO_START[source]}"
    with pytest.raises(LessonError, match=told) as caught, demo:
        pytest.fail("it cannot have started")
    assert "line 50" not in str(caught.value)
    with pytest.raises(ProcessLookupError):
        os.kill(int((folder / "pid").read_text()), 0)


SAY = (
    "import os; from going_modular.app.surroundings import prepare; prepare()\n"
    "print(os.environ['GRADIO_TEMP_DIR'], os.environ['no_proxy'])"
)


@pytest.mark.parametrize(
    ("given", "kept"), [("{}/new", True), ("{}/a_file/inside", False), ("", False)]
)
def test_uploads_have_a_folder_of_their_own_that_goes(given, kept, tmp_path):
    (tmp_path / "a_file").touch()
    (tmp_path / "gradio").mkdir()  # somebody else's
    own = {"TMPDIR": str(tmp_path), "GRADIO_TEMP_DIR": given.format(tmp_path)}
    env = os.environ | own | {"no_proxy": "example.org"}
    folder, direct = run(sys.executable, "-c", SAY, cwd=COURSE, env=env).split()
    assert (folder == given.format(tmp_path)) == Path(folder).exists() == kept
    assert folder != str(tmp_path / "gradio") and Path(folder).is_relative_to(tmp_path)
    assert direct.split(",") == ["example.org", *HERE_ONLY]


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
def python(tmp_path_factory) -> Path:
    """A Python that has what the demo's own requirements name, and nothing else."""
    index = [sys.executable, "-m", "pip", "index", "versions", "gradio"]
    if subprocess.run(index, capture_output=True).returncode:
        pytest.skip("needs a package index that pip can reach, to install from")
    environment = tmp_path_factory.mktemp("elsewhere") / "venv"
    base = shutil.which(f"python{FACTS['python_version']}") or sys.executable
    run(base, "-m", "venv", environment)
    python = environment / "bin" / "python"
    run(python, "-m", "pip", "install", "-q", "-r", APP / "requirements.txt")
    return python


@pytest.fixture
def folder(tmp_path) -> Path:
    folder = copy_app(APP, tmp_path / "app", TEXTS)
    shutil.copy(ROOT / "models/foodvision_mini.onnx", folder)
    copy_examples(drawn_examples(), folder / "examples")
    return folder


@pytest.mark.slow
def test_it_answers_where_there_is_no_pytorch(python, folder):
    tried = subprocess.run([python, "-c", "import torch"], capture_output=True)
    assert tried.returncode and b"ModuleNotFoundError" in tried.stderr
    with run_demo(folder, python=str(python)) as running:
        for name, picture in drawn_examples().items():
            scores, note = ask_demo(running.url, picture)
            assert scores["label"] == name and name in note


@pytest.fixture(scope="module")
def space(python) -> str:
    """How a Space starts Python, with the packages that its builder adds."""
    asked = [f"gradio[oauth]=={FACTS['sdk_version']}", "spaces", "-r"]
    run(python, "-m", "pip", "install", "-q", *asked, APP / "requirements.txt")
    start = python.with_name("start")
    start.write_text(START.format(python=python))
    start.chmod(0o755)
    return str(start)


@pytest.mark.slow
@pytest.mark.parametrize("zero_gpu", [False, True])
def test_a_space_answers_and_writes_nowhere_else(
    space, folder, tmp_path, site, monkeypatch, zero_gpu
):
    """In a clone of another user's. ZeroGPU hardware wants to hear of one function."""
    site.put("/startup-report", b"{}")
    monkeypatch.setenv("SYSTEM", "spaces")
    if zero_gpu:
        monkeypatch.setenv("SPACES_ZERO_GPU", "true")
        monkeypatch.setenv("SPACES_ZERO_DEVICE_API_URL", site.root)
    for name, variable in (("home", "HOME"), ("tmp", "TMPDIR")):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(variable, str(tmp_path / name))
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
        if os.geteuid() == 0:
            shutil.chown(path, "nobody", "nogroup")
    before = {*tmp_path.rglob("*")}
    with run_demo(folder, python=space) as running:
        note = ask_demo(running.url, folder / "examples/pizza.jpg")[1]
        text = ask_demo(running.url, folder / "requirements.txt")[1]
    assert "pizza" in note and "not a picture" in text
    new = {*tmp_path.rglob("*")} - before
    assert all(file.is_relative_to(tmp_path / "tmp") for file in new), new
    told = ["/startup-report"] if zero_gpu else []  # of a function, lent no GPU
    assert site.asked == told
    run(space, "-c", FIND_DEMO, cwd=folder, env=None)  # as a Space's own tools do
