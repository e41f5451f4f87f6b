"""What can be said of deploy/ with no server, or with one for each: files, commands."""

import base64
import re
import runpy
import shlex
import shutil
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest
from demo_model_fixture import BLUE, DARK, GREEN, RED, make_model
from deploy_targets import (
    ADDRESS,
    AZURE_ML,
    FASTAPI,
    SAGEMAKER,
    SERVERS,
    VERTEX_AI,
    assert_right,
    cases_of,
    command,
    draw_photos,
    expected,
    file_of,
    folder_of,
    need,
    of,
    post,
    readme,
)
from fastapi.testclient import TestClient
from odd_pictures import JPEG

from deploy import DEFAULT_MODEL, ROOT, asking, stage
from deploy.asking import HOST, Server, free_port, is_up, running
from deploy.azure_ml.serve import OWN
from deploy.fastapi.measure import measure
from deploy.reply import reply
from deploy.try_it import KEPT, read_trials
from deploy.web import PLACES, SECONDS
from going_modular.app.model import Predictor
from going_modular.app_process import started

AZURE = folder_of(AZURE_ML)
COPY = re.compile(r"^COPY (.+)$", re.MULTILINE)


def test_azures_files_name_what_azure_gets(tmp_path):
    """That it is enough is seen where its server starts: it gets nothing else."""
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


@of(*SERVERS)
def test_the_readmes_address_is_the_codes_and_a_wrong_model_is_told(
    target, monkeypatch, capsys, tmp_path
):
    def run_serve(*words: object) -> str:
        monkeypatch.setattr("sys.argv", ["serve", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            runpy.run_module(f"{target.package}.serve", run_name="__main__")
        return capsys.readouterr().out + str(end.value)

    def port() -> str:
        return re.search(r"--port.*?default: (\d+)", run_serve("--help"), re.DOTALL)[1]

    assert set(ADDRESS.findall(readme(target))) == {(port(), target.predict)}
    if target is FASTAPI:
        assert f"over {SECONDS} s, or was over 15 MB" in readme(target)
        assert f"{PLACES} requests" in readme(target)
        model = tmp_path / "model.onnx"
        model.write_text("version https://git-lfs.github.com/spec/v1")
        assert "git lfs pull" in run_serve("--model", model)
    if target is VERTEX_AI:
        monkeypatch.setenv("AIP_HTTP_PORT", "9000")
        assert port() == "9000"


# What only one of the web apps has


@pytest.fixture(scope="module")
def predictor(tmp_path_factory):
    return Predictor(make_model(tmp_path_factory.mktemp("model") / "m.onnx"), threads=1)


@pytest.fixture
def client(target, predictor):
    """Asks a target's app, in this process."""
    app = import_module(f"{target.package}.serve").make(predictor)
    with TestClient(app) as client:
        yield client


@of(VERTEX_AI)
def test_vertex_ai_gets_one_prediction_an_instance(client, target, predictor):
    """Also for base64 as clients write it."""
    pictures = [file_of(colour) for colour in (RED, GREEN, DARK, BLUE) * 3]
    texts = [base64.b64encode(picture).decode() for picture in pictures]
    safe = base64.urlsafe_b64encode(pictures[0]).decode()
    texts += [base64.encodebytes(pictures[0]).decode(), safe, safe.rstrip("=")]
    texts.append(f"data:image/jpeg;base64,{texts[0]}")
    question = {"instances": [{"b64": text} for text in texts], "parameters": [1]}
    wanted = [expected(predictor, one) for one in [*pictures, *4 * [pictures[0]]]]
    found = client.post(target.predict, json=question).json()
    assert found == {"predictions": wanted}


@of(VERTEX_AI)
def test_vertex_ai_is_told_what_is_wrong(client, target):
    case, head = cases_of(target), {"Content-Type": "application/json"}
    good = {"b64": base64.b64encode(JPEG).decode()}
    for text, words in case["instances"]:
        question = {"instances": [good, {"b64": text}]}
        answer = client.post(target.predict, json=question)
        assert answer.status_code == 400
        assert answer.json()["detail"].startswith(f"instances[1]: {words}")
    too_many = b'{"instances": [%s]}' % b",".join([b'{"b64": ""}'] * 17)
    bodies = map(str.encode, case["bodies"])
    for body in [*bodies, too_many, b"\xff\xfe", b"[" * 1_000_000]:
        answer = client.post(target.predict, content=body, headers=head)
        assert answer.status_code in (400, 422)
        assert "1 to 16 pictures" in answer.json()["detail"]


def test_vertex_ai_says_where_it_asks(monkeypatch, predictor):
    monkeypatch.setenv("AIP_HEALTH_ROUTE", "/v1/up")
    monkeypatch.setenv("AIP_PREDICT_ROUTE", "/v1/m:predict")
    app = import_module("deploy.vertex_ai.serve").make(predictor)
    with TestClient(app) as client:
        assert client.get("/v1/up").is_success and client.get("/health").is_client_error
        body, kind = VERTEX_AI.pack(JPEG)
        how = {"content": body, "headers": {"Content-Type": kind}}
        assert client.post("/v1/m:predict", **how).is_success


@of(FASTAPI)
def test_a_form_may_hold_more_but_not_less(client, target, predictor):
    body, kind = target.pack(JPEG)
    end = f"--{kind.split('=')[1]}\r\n".encode()
    note = end + b'Content-Disposition: form-data; name="note"\r\n\r\nlunch\r\n'
    for sent, as_kind, wanted in [
        (body.replace(b'name="picture"', b'name="file"'), kind, [422]),
        (body.replace(b'; filename="plate.jpg"', b""), kind, [422]),
        *((broken, kind, [400, 422]) for broken in (body[:-20], b"", b"no form")),
        (body, "multipart/form-data", [400]),
    ]:
        how = {"content": sent, "headers": {"Content-Type": as_kind}}
        answer = client.post(target.predict, **how)
        assert answer.status_code in wanted and '"picture"' in answer.json()["detail"]
    how = {"content": note + body, "headers": {"Content-Type": kind}}
    found = client.post(target.predict, **how)
    assert (found.status_code, found.json()) == reply(predictor, JPEG)


# The commands


@pytest.mark.slow
@of(*SERVERS)
def test_a_target_is_tried(target, tmp_path, monkeypatch):
    monkeypatch.setenv("AIP_PREDICT_ROUTE", "/elsewhere")  # which is not for ours
    listed, photos = draw_photos(tmp_path, each=1)
    out, here = tmp_path / "out.json", need(target.place) == Path(sys.executable)
    done = command(sys.executable, "-m", "deploy.try_it", target.place, listed, out)
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
    predictor = Predictor(DEFAULT_MODEL, threads=1)
    assert_right(target, post(server, target, JPEG)[1], predictor, JPEG)


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


@pytest.mark.slow
@of(SAGEMAKER, VERTEX_AI)
def test_the_image_answers(target, tmp_path):
    if not shutil.which("docker") or command("docker", "info").returncode:
        pytest.skip("needs a running Docker: apt install docker.io")
    name = f"foodvision-test-{target.place}"
    file = folder_of(target) / "Dockerfile"
    built = command("docker", "build", "-f", file, "-t", name, ".")
    assert built.returncode == 0, built.stderr[-3000:]
    port, log = free_port(), tmp_path / "log.txt"
    run = ["docker", "run", "--rm", "--name", name, "-p", f"{HOST}:{port}:8080"]
    run += [name, *(["serve"] if target is SAGEMAKER else [])]  # as each starts it
    how = {"log": log, "is_ready": lambda: is_up(target, port), "seconds": 300}
    with started(*run, **how) as process:
        assert_answers(Server(port, process, log, tmp_path), target)
        command("docker", "stop", name)
    command("docker", "image", "rm", name)
