"""Starting a demo, asking it, and stopping it whatever happens."""

import os
import socket
import sys
from pathlib import Path

import pytest
from huggingface_hub import close_session
from PIL import Image
from test_demo_folder import TOKEN, write_files

from going_modular.app.surroundings import HERE_ONLY
from going_modular.app_process import COURSE, ask_demo, run, run_demo
from going_modular.files import LessonError

GRADIO_APP = b"""
import gradio as gr

def predict(picture, request: gr.Request):
    if any("hf_thisIs" in value for value in request.headers.values()):
        raise gr.Error("a token came along")
    if picture.size != (8, 6):
        raise gr.Error("an unusual picture")
    return {'pizza': 0.75, 'sushi': 0.25}

parts = gr.Image(type="pil"), gr.Label()
gr.Interface(predict, *parts, api_name="predict", flagging_mode="never").launch()
"""
PLAIN_APP = """
import os, found_by_path, page
from http.server import HTTPServer, SimpleHTTPRequestHandler
assert not {'MPLBACKEND', 'GRADIO_ROOT_PATH'} & set(os.environ)
assert COURSE not in os.environ['PYTHONPATH'].split(os.pathsep)
print("up and running", flush=True)
address = os.environ["GRADIO_SERVER_NAME"], int(os.environ["GRADIO_SERVER_PORT"])
HTTPServer(address, SimpleHTTPRequestHandler).serve_forever()
"""


def assert_stopped(demo):
    assert demo.process.poll() is not None
    port = int(demo.url.rstrip("/").rsplit(":", 1)[1])
    with socket.socket() as caller:
        assert caller.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.slow
def test_a_gradio_demo_starts_answers_and_stops(tmp_path, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy"):  # where nobody listens
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    folder = write_files(tmp_path / "demo", {"app.py": GRADIO_APP})
    for name, size in (("usual.png", (8, 6)), ("unusual.png", (5, 5))):
        Image.new("RGB", size, "red").save(tmp_path / name)
    with run_demo(folder) as demo:
        assert 0 < demo.start_seconds < 120
        answer = ask_demo(demo.url, tmp_path / "usual.png")
        shares = {c["label"]: c["confidence"] for c in answer["confidences"]}
        assert answer["label"] == "pizza" and shares == {"pizza": 0.75, "sushi": 0.25}
        for name, told in (("unusual", "an unusual picture"), ("none", "no picture")):
            with pytest.raises(LessonError, match=told):
                ask_demo(demo.url, tmp_path / f"{name}.png")
    assert_stopped(demo)
    assert os.listdir(folder) == ["app.py"]
    with pytest.raises(LessonError, match="Nothing answers"):
        ask_demo(demo.url, tmp_path / "usual.png")
    close_session()  # the Hub's client remembers its proxies


def test_what_the_app_sees_and_prints_and_that_it_stops(tmp_path, monkeypatch):
    write_files(tmp_path, {"site/found_by_path.py": b"", "page.py": b"not this one"})
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([COURSE, "site", "", "."]))
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    ones = "MPLBACKEND PYTHONSAFEPATH PYTHONINSPECT GRADIO_SHARE GRADIO_ROOT_PATH"
    for name in ones.split():
        monkeypatch.setenv(name, "1")
    app = f"COURSE = {COURSE!r}{PLAIN_APP}".encode()
    folder = write_files(tmp_path / "demo", {"app.py": app, "page.py": b""})
    monkeypatch.chdir(tmp_path)
    with pytest.raises(KeyboardInterrupt), run_demo(Path("demo"), timeout=30) as demo:
        assert "up and running" in demo.log_path.read_text()
        raise KeyboardInterrupt
    assert_stopped(demo)
    assert not demo.log_path.exists()
    assert sorted(os.listdir(folder)) == ["app.py", "page.py"]


NOTE = b"import os, time\nopen('pid', 'w').write(str(os.getpid()))\n"
NO_START = {
    b"for n in range(99): print('line', n)\nimport no_such": "code 1.*e 98.*no_such",
    b"print('busy')\ntime.sleep(60)": "in time.*busy",
}


@pytest.mark.parametrize("source", NO_START)
def test_an_app_that_does_not_start_is_ended_and_its_last_lines_are_told(
    source, tmp_path
):
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
