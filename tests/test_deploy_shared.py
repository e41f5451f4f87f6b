"""What deploy/ says and does with no server, or with one for each: files, commands."""

import asyncio
import re
import runpy
import shlex
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import deploy_targets as targets
import httpx
import pytest
from deploy_targets import CASES, DEPLOY, SAGEMAKER, assert_right, draw_photos, need, of
from odd_pictures import JPEG

from deploy import DEFAULT_MODEL, ROOT, free_ports, stage, try_it, web
from deploy.azure_ml.serve import OWN
from deploy.fastapi.measure import measure
from deploy.try_it import PLACES, Server, TargetResult, is_up, read_trials, running
from going_modular.app.model import Predictor
from going_modular.app_process import HOST, run, started
from tools import try_targets

AZURE = DEPLOY / "azure_ml"


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


@of(*targets.SERVERS)
def test_a_page_says_the_address_of_its_code(target, monkeypatch, capsys, tmp_path):
    def run_serve(*words: object) -> str:
        monkeypatch.setattr("sys.argv", ["serve", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            runpy.run_module(f"deploy.{target.place}.serve", run_name="__main__")
        return capsys.readouterr().out + str(end.value)

    def port() -> str:
        return re.search(r"--port.*?default: (\d+)", run_serve("--help"), re.DOTALL)[1]

    text = targets.readme(target)
    assert set(targets.ADDRESS.findall(text)) == {(port(), target.predict)}
    if target is targets.FASTAPI:
        assert f"over {web.SECONDS} s, or was over 15 MB" in text
        assert f"{web.PLACES} requests" in text
        model = tmp_path / "model.onnx"
        model.write_text("version https://git-lfs.github.com/spec/v1")
        assert "git lfs pull" in run_serve("--model", model)
    if target is targets.VERTEX_AI:  # which says in the environment where it asks
        monkeypatch.setenv("AIP_HTTP_PORT", "9000")
        monkeypatch.setenv("AIP_HEALTH_ROUTE", "/v1/up")
        monkeypatch.setenv("AIP_PREDICT_ROUTE", "/v1/m:predict")
        assert port() == "9000"
        predictor = Predictor(DEFAULT_MODEL, threads=1)
        app = import_module("deploy.vertex_ai.serve").make(predictor)
        asked = {route.path for route in app.routes}
        assert asked >= {"/v1/up", "/v1/m:predict"}
        assert asked.isdisjoint({target.health, target.predict})


def test_a_stalled_upload_loses_its_place(monkeypatch):
    monkeypatch.setattr(web, "PLACES", 1)
    monkeypatch.setattr(web, "SECONDS", 2)  # in which all else must be answered

    async def uploading():
        yield b"some"
        is_on_its_way.set()
        await asyncio.sleep(60)

    async def visit() -> None:
        app = httpx.ASGITransport(web.RequestLimits(web.JSONResponse({}), limit=9))
        async with httpx.AsyncClient(transport=app, base_url="http://app") as client:
            stalled = asyncio.create_task(client.post("/", content=uploading()))
            await is_on_its_way.wait()
            full = await client.post("/")
            assert (full.status_code, full.json()) == (503, {"detail": web.FULL})
            assert (await client.get("/")).is_success
            slow = await stalled
            assert (slow.status_code, slow.json()) == (408, {"detail": web.SLOW})
            assert slow.headers["connection"] == "close"
            assert (await client.post("/")).is_success

    is_on_its_way = asyncio.Event()
    with ThreadPoolExecutor(1) as beside:  # here a browser may have a loop
        beside.submit(asyncio.run, visit()).result()


@pytest.mark.slow
@of(*targets.SERVERS)
def test_a_target_is_tried(target, tmp_path, monkeypatch):
    monkeypatch.setenv("AIP_PREDICT_ROUTE", "/elsewhere")  # which is not for ours
    listed, photos = draw_photos(tmp_path, each=1)
    out, here = tmp_path / "out.json", need(target.place) == Path(sys.executable)
    run(sys.executable, "-m", "deploy.try_it", target.place, listed, out, cwd=ROOT)
    (found,), predictor = read_trials(out), Predictor(DEFAULT_MODEL, threads=1)
    assert found.target == target.name and found.median_ms > 0
    assert list(found.versions) == target.packages.split()
    assert not here or found.versions["onnxruntime"] == version("onnxruntime")
    size = DEFAULT_MODEL.stat().st_size
    assert found.file_bytes == size or (target.archive and found.file_bytes > size / 2)
    for photo, said in zip(photos, found.answers, strict=True):
        near = 0.0 if here else 1e-3  # another environment, another ONNX Runtime
        answer = targets.expected(predictor, photo.read_bytes(), near)
        assert said == {key: answer[key] for key in try_it.KEPT}


@pytest.mark.slow
def test_fastapi_is_measured_beside_the_app(tmp_path):
    said = measure(draw_photos(tmp_path, each=1)[1], rounds=1, seconds=0.5)
    for name in ("FastAPI", "the Gradio app"):
        assert re.search(rf"^\| {name} \| \d+ \| \d+ to \d+ \|$", said, re.M)
    assert re.search(r"^\d+\.\d times as many", said, re.M)


def test_the_page_is_renewed_with_a_row_for_each(tmp_path, monkeypatch):
    """A row says how alike the answers are, and whether that is as promised."""
    pizza, sushi = ({"probabilities": {"pizza": p, "süß": 1 - p}} for p in (0.9, 0.4))
    truth = TargetResult("PyTorch", {}, 1, [pizza, sushi], 1.0, "fp32")
    cases = {place: how for place, *how in CASES["table"]["moved"]}

    def ask(place, photos):
        if place == "fastapi":
            code = "raise SystemExit('1\\nthe reason')"
            try_targets.run(sys.executable, "-c", code)
        precision, moved = cases.get(place, ("fp32", 0))
        found = {"pizza": 0.9 - moved, "süß": 0.1 + moved}
        answers = [] if place == "core_ml" else [{"probabilities": found}, sushi]
        facts = {"a": "1"}, 2_500_000, answers, 1.25, precision, "packed"
        return [truth if place == "reference" else TargetResult(place, *facts)]

    page = tmp_path / "results.md"
    page.write_text(try_targets.RESULTS.read_text("utf-8"), "utf-8")
    monkeypatch.setattr(try_targets, "RESULTS", page)
    monkeypatch.setattr(try_targets, "ENVIRONMENTS", tmp_path)
    monkeypatch.setattr(try_targets, "ask", ask)
    monkeypatch.setattr(try_targets, "measure_crowd", lambda files: "7 times as many")
    photos = "drawn pictures", ["a.jpg"] * 31
    monkeypatch.setattr(try_targets, "find_photos", lambda: photos)
    for _ in range(2):
        assert try_targets.main(["--installed"]) == 1
        text = page.read_text("utf-8")
        assert text.count("7 times as many") == text.count("31 drawn pictures.") == 1
        assert text.count("packed | a 1 |") == len(PLACES) - 1
        for line in CASES["table"]["rows"]:
            assert text.count(line) == 1, line
        assert "FastAPI, int8" not in text


def test_every_folder_is_a_place_has_one_shape_and_was_tried():
    """If the table lacks a place: `make targets`."""
    assert {file.parent.name for file in DEPLOY.glob("*/__init__.py")} == set(PLACES)
    page = (DEPLOY / "README.md").read_text("utf-8")
    for name, facts in PLACES.items():
        module = facts.get("module", f"{name}.serve").replace(".", "/")
        for file in (f"{name}/requirements.txt", f"{module}.py"):
            assert (DEPLOY / file).is_file(), file
        assert f"({name}/README.md)" in page
        said = (DEPLOY / name / "README.md").read_text("utf-8").lower()
        assert "tested" in said or "tried" in said
    row = r"^\| .+, (?:int8|fp32) \|.*\| ([^|]+) \| [^|]+ \|$"
    rows = re.findall(row, try_targets.RESULTS.read_text("utf-8"), re.MULTILINE)
    assert len(rows) == len(PLACES) + 2  # two files of LiteRT, two kinds of Space
    assert all(said.startswith(("yes", "converted")) for said in rows)


def assert_answers(server: Server, target) -> None:
    predictor = Predictor(DEFAULT_MODEL, threads=1)
    assert_right(target, targets.post(server, target, JPEG), predictor, JPEG)


@pytest.mark.slow
@of(SAGEMAKER, targets.VERTEX_AI)
def test_what_is_copied_is_let_in_and_enough(target, tmp_path, monkeypatch):
    """In a folder with nothing else, started as the image is."""
    text = (DEPLOY / target.place / "Dockerfile").read_text("utf-8")
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    let_in = {line[1:] for line in ignored if line.startswith("!")}
    for line in re.findall("^COPY (.+)$", text, re.MULTILINE):
        *sources, place = shlex.split(line)
        for source in sources:
            assert source in let_in or source.split("/")[0] in let_in, source
            file = tmp_path / place / Path(source).name
            file.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / source, file)
    start = f"python -m deploy.{target.place}.serve --host 0.0.0.0"
    assert start in text.replace('", "', " ")
    monkeypatch.setattr(try_it, "ROOT", tmp_path)
    model = tmp_path / "models" / DEFAULT_MODEL.name
    with running(target, model=model) as server:
        assert_answers(server, target)


@pytest.mark.slow
@of(SAGEMAKER, targets.VERTEX_AI)
def test_the_image_answers(target, tmp_path):
    if not shutil.which("docker") or targets.command("docker", "info").returncode:
        pytest.skip("needs a running Docker: apt install docker.io")
    name = f"foodvision-test-{target.place}"
    file = DEPLOY / target.place / "Dockerfile"
    built = targets.command("docker", "build", "-f", file, "-t", name, ".")
    assert built.returncode == 0, built.stderr[-3000:]
    port, log = free_ports(1)[0], tmp_path / "log.txt"
    start = ["docker", "run", "--rm", "--name", name, "-p", f"{HOST}:{port}:8080"]
    start += [name, *(["serve"] if target is SAGEMAKER else [])]  # as each starts it
    how = {"log": log, "is_ready": lambda: is_up(target, port), "seconds": 300}
    with started(*start, **how) as process:
        assert_answers(Server(port, process, log, tmp_path), target)
        targets.command("docker", "stop", name)
    targets.command("docker", "image", "rm", name)
