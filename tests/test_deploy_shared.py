"""What can be said of deploy/ with no server, or with one for each: files, commands."""

import re
import runpy
import shlex
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from deploy_targets import (
    ADDRESS,
    AZURE_ML,
    FASTAPI,
    SAGEMAKER,
    SERVERS,
    VERTEX_AI,
    WEB,
    assert_right,
    command,
    draw_photos,
    expected,
    folder_of,
    of,
    post,
    python_for,
    readme,
)
from odd_pictures import JPEG

from deploy import DEFAULT_MODEL, ROOT, asking, stage
from deploy.asking import HOST, Server, free_port, running, surroundings
from deploy.azure_ml.serve import OWN
from deploy.fastapi.measure import measure
from deploy.try_it import KEPT, read_trials
from deploy.web import PLACES, SECONDS
from going_modular.app.model import Predictor

AZURE = folder_of(AZURE_ML)
COPY = re.compile(r"^COPY (.+)$", re.MULTILINE)


def test_what_azure_gets_is_ours_and_imports_nothing_else(tmp_path):
    wanted, given = (
        re.findall(r"^[ -]*([\w-]+>=[\d.,<]+)$", (AZURE / name).read_text(), re.M)
        for name in ("requirements.txt", "conda.yml")
    )
    assert len(wanted) == 6 and given == wanted
    text, staged = (AZURE / "deployment.yml").read_text(), stage(tmp_path, *OWN)
    named = dict(re.findall(r"^ +(path|code|scoring_script): (.+)$", text, re.M))
    assert (AZURE / named["path"]).resolve() == DEFAULT_MODEL
    assert (AZURE / named["code"]).resolve() == ROOT / "build" / "azure_ml"
    assert (staged / named["scoring_script"]).is_file()
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import deploy.reply"
    subprocess.run([sys.executable, "-IBc", code], check=True, cwd="/")
    assert not [*tmp_path.rglob("*.onnx")], "the model is uploaded by itself"


@pytest.fixture
def run_serve(monkeypatch, capsys):
    """Runs a server's command, which ends at once; gives what it says."""

    def run(target, *words: object) -> str:
        monkeypatch.setattr("sys.argv", ["serve", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            runpy.run_module(f"{target.package}.serve", run_name="__main__")
        return capsys.readouterr().out + str(end.value)

    return run


@of(*SERVERS)
def test_the_readmes_address_and_limits_are_those_of_the_code(
    target, run_serve, monkeypatch
):
    def port() -> str:
        said = run_serve(target, "--help")
        return re.search(r"--port.*?default: (\d+)", said, re.DOTALL)[1]

    assert set(ADDRESS.findall(readme(target))) == {(port(), target.predict)}
    if target is FASTAPI:
        assert f"over {SECONDS} s, or was over 15 MB" in readme(target)
        assert f"{PLACES} requests" in readme(target)
    if target is VERTEX_AI:
        monkeypatch.setenv("AIP_HTTP_PORT", "9000")
        assert port() == "9000"


def test_a_server_says_what_is_wrong_before_it_starts(run_serve, tmp_path):
    model = tmp_path / "model.onnx"
    model.write_text("version https://git-lfs.github.com/spec/v1")
    assert "git lfs pull" in run_serve(FASTAPI, "--model", model)


# The commands


@pytest.mark.parametrize(
    ("python", "passed_on"), [(sys.executable, True), ("x", False)]
)
def test_a_servers_own_python_finds_what_ours_does(python, passed_on, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "mine")
    for name in ("AIP_HTTP_PORT", "PYTHONSAFEPATH"):
        monkeypatch.setenv(name, "1")
    assert ("PYTHONPATH" in surroundings(python)) == passed_on
    assert not {"AIP_HTTP_PORT", "PYTHONSAFEPATH"} & surroundings(python).keys()


def test_asking_needs_nothing_installed():
    """Several places have an environment of their own; -S leaves all packages out."""
    done = command(sys.executable, "-S", "-c", "import deploy.try_it")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@of(*SERVERS)
def test_a_target_is_tried(target, tmp_path, monkeypatch):
    monkeypatch.setenv("AIP_PREDICT_ROUTE", "/elsewhere")  # which is not for ours
    listed, photos = draw_photos(tmp_path, each=1)
    out, here = tmp_path / "out.json", target in WEB
    words = "-m", "deploy.try_it", target.package[7:], listed, out
    done = command(python_for(target), *words)
    assert done.returncode == 0, done.stderr
    (found,), predictor = read_trials(out), Predictor(DEFAULT_MODEL, threads=1)
    assert found.target == target.name and found.median_ms > 0
    assert list(found.versions) == target.packages.split()
    if here:
        assert found.versions["onnxruntime"] == version("onnxruntime")
    size = DEFAULT_MODEL.stat().st_size
    assert found.file_bytes == size or (target.archive and found.file_bytes > size / 2)
    for photo, said in zip(photos, found.answers, strict=True):
        near = 0.0 if here else 1e-3  # another environment, another ONNX Runtime
        answer = expected(predictor, photo.read_bytes(), near)
        assert said == {key: answer[key] for key in KEPT}


@pytest.mark.slow
def test_fastapi_is_measured_beside_the_app(tmp_path):
    said = measure(draw_photos(tmp_path, each=1)[1], rounds=1, seconds=0.5)
    for name in ("FastAPI", "the Gradio app"):
        assert re.search(rf"^\| {name} \| \d+ \| \d+ to \d+ \|$", said, re.M)
    assert re.search(r"^\d+\.\d times as many", said, re.M)


# The images of deploy/sagemaker and deploy/vertex_ai


def assert_answers(server: Server, target) -> None:
    status, answer = post(server, target, JPEG)
    assert status == 200
    assert_right(target, answer, Predictor(DEFAULT_MODEL, threads=1), JPEG)


@pytest.mark.slow
@of(SAGEMAKER, VERTEX_AI)
def test_what_is_copied_is_let_in_and_enough(target, tmp_path, monkeypatch):
    """In a folder with nothing else, started as the image is."""
    text = (folder_of(target) / "Dockerfile").read_text("utf-8")
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    let_in = {line[1:] for line in ignored if line.startswith("!")}
    for line in COPY.findall(text):
        *sources, place = shlex.split(line)
        for source in sources:
            assert source in let_in or source.split("/")[0] in let_in, source
            file = tmp_path / place / Path(source).name
            file.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / source, file)
    start = f"python -m {target.package}.serve --host 0.0.0.0"
    assert start in text.replace('", "', " ")
    monkeypatch.setattr(asking, "ROOT", tmp_path)
    model = tmp_path / "models" / DEFAULT_MODEL.name
    with running(target, model=model) as server:
        assert_answers(server, target)


def docker(*arguments: object) -> subprocess.CompletedProcess:
    return command("docker", *arguments)


@pytest.mark.slow
@of(SAGEMAKER, VERTEX_AI)
def test_the_image_answers(target, tmp_path):
    if not shutil.which("docker") or docker("info").returncode:
        pytest.skip("needs a running Docker: apt install docker.io")
    name = f"foodvision-test-{target.package[7:]}"
    file = folder_of(target) / "Dockerfile"
    built = docker("build", "-f", file, "-t", name, ".")
    assert built.returncode == 0, built.stderr[-3000:]
    port, log = free_port(), tmp_path / "log.txt"
    run = ["docker", "run", "--rm", "--name", name, "-p", f"{HOST}:{port}:8080"]
    run += [name, *(["serve"] if target is SAGEMAKER else [])]  # as each starts it
    with log.open("wb") as out:
        process = subprocess.Popen(run, stdout=out, stderr=out)
    try:
        server = Server(port, process, log)
        asking.wait(target, server)
        assert_answers(server, target)
    finally:
        docker("stop", name)
        process.wait()
        docker("image", "rm", name)
