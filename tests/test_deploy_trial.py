"""What the targets said, in one form; and the commands that ask them."""

import ast
import json
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from drawn_images import drawn_image
from web_targets import TARGETS

from deploy import trial
from deploy.trial import read_trials
from going_modular.app.model import Predictor
from going_modular.drawn import CLASS_NAMES

ROOT = Path(__file__).resolve().parents[1]
MODEL = ROOT / "models" / "foodvision_mini.onnx"


def test_a_trial_needs_nothing_installed():
    tree = ast.parse(Path(trial.__file__).read_text("utf-8"))
    used = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            used |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            used.add(node.module)
    assert {name.split(".")[0] for name in used} <= set(sys.stdlib_module_names)


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> list[str]:
    folder = tmp_path_factory.mktemp("photos")
    paths = [folder / f"{name}.jpg" for name in CLASS_NAMES]
    for path in paths:
        drawn_image(path.stem, 3, size=(320, 256)).save(path)
    return [str(path) for path in paths]


def command(module: str, *arguments: object) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_a_target_is_tried(target, photos, tmp_path):
    (tmp_path / "photos.json").write_text(json.dumps(photos))
    out = tmp_path / "out.json"
    done = command(f"{target.package}.try_it", tmp_path / "photos.json", out)
    assert done.returncode == 0, done.stderr
    (found,), predictor = read_trials(out), Predictor(MODEL, threads=1)
    assert found.target == target.name and found.median_ms > 0
    assert found.file_bytes == MODEL.stat().st_size
    assert found.versions["onnxruntime"] == version("onnxruntime")
    for photo, said in zip(photos, found.answers, strict=True):
        answer = predictor.predict(photo)
        assert said == {
            "probabilities": answer.probabilities,
            "knn_similarity": answer.knn_similarity,
            "in_distribution_score": answer.in_distribution_score,
        }


@pytest.mark.slow
def test_fastapi_is_measured_beside_the_app(photos):
    short = ["--clients", 2, "--rounds", 1, "--seconds", 0.5]
    done = command("deploy.fastapi.measure", *photos, *short)
    assert done.returncode == 0, done.stderr
    for name in ("FastAPI", "the Gradio app"):
        assert re.search(rf"^\| {name} \| \d+ \| \d+ to \d+ \|$", done.stdout, re.M)
    assert re.search(r"^\d+\.\d times as many", done.stdout, re.M)


@pytest.mark.slow
def test_a_server_says_what_is_wrong_before_it_starts(tmp_path):
    text = tmp_path / "model.onnx"
    text.write_text("version https://git-lfs.github.com/spec/v1")
    for model, sentence in (("none.onnx", "run the lesson"), (text, "git lfs pull")):
        done = command("deploy.fastapi.serve", "--model", model)
        assert done.returncode == 1 and sentence in done.stderr
        assert "Traceback" not in done.stderr
