"""What can be said of deploy/ without a server: its modules, settings and files."""

import re
import subprocess
import sys

import pytest
from demo_model_fixture import RED, make_model
from deploy_targets import COMMITTED, ROOT, clients_of, ports_of
from odd_pictures import JPEG, REFUSED, as_bytes
from PIL import Image

from deploy.azure_ml.stage import OWN
from deploy.reply import MAX_BYTES, reply
from deploy.stage import stage
from deploy.torchserve.try_it import on_free_ports
from deploy.trial import TargetResult, read_trials, write_trials
from going_modular.app.model import SENTENCES, Predictor

AZURE = ROOT / "deploy" / "azure_ml"
CONFIG = (ROOT / "deploy/torchserve/config.properties").read_text("utf-8")


@pytest.fixture(scope="module")
def predictor(tmp_path_factory) -> Predictor:
    return Predictor(make_model(tmp_path_factory.mktemp("model") / "model.onnx"))


def test_a_picture_is_answered(predictor):
    status, answer = reply(predictor, as_bytes(Image.new("RGB", (9, 9), RED), "PNG"))
    assert (status, answer["class"], answer["verdict"]) == (200, "pizza", "dish")
    assert answer["text"].startswith("This looks like pizza.")


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_picture_gets_a_sentence(predictor, name):
    body, reason = REFUSED[name]
    assert reply(predictor, body) == (400, {"detail": SENTENCES[reason]})


def test_a_form_and_a_large_file_get_a_sentence(predictor):
    status, answer = reply(predictor, JPEG, "multipart/form-data; boundary=x")
    assert status == 415 and "not a form" in answer["detail"]
    assert reply(predictor, JPEG, "text/plain")[0] == 200
    assert reply(predictor, JPEG.ljust(MAX_BYTES, b"\0"))[0] == 200
    status, answer = reply(predictor, bytes(MAX_BYTES + 1))
    assert status == 413 and "15 MB" in answer["detail"]


def test_a_trial_is_read_as_it_was_written(tmp_path):
    answer = {
        "probabilities": {"süß": 1.0},
        "knn_similarity": 0.5,
        "in_distribution_score": 0.25,
    }
    trial = TargetResult("Azure ML", {"numpy": "2.4"}, 17, [answer], 1.5)
    write_trials(tmp_path / "trial.json", trial)
    assert read_trials(tmp_path / "trial.json") == [trial]


def packages(text: str) -> list[str]:
    """The lines of a file that ask for a package."""
    return re.findall(r"^[ -]*([\w-]+>=[\d.,<]+)$", text, re.MULTILINE)


def test_azures_environment_is_ours():
    in_distribution_score = packages((AZURE / "requirements.txt").read_text("utf-8"))
    assert len(in_distribution_score) == 5
    assert packages((AZURE / "conda.yml").read_text("utf-8")) == in_distribution_score


def test_the_yaml_names_files_that_are_there(tmp_path):
    text = (AZURE / "deployment.yml").read_text("utf-8")
    staged = stage(tmp_path, *OWN)
    named = dict(re.findall(r"^ +(path|code|scoring_script): (.+)$", text, re.M))
    assert (AZURE / named["path"]).resolve() == COMMITTED
    assert (AZURE / named["code"]).resolve() == ROOT / "build" / "azure_ml"
    assert (staged / named["scoring_script"]).is_file()


def test_what_azure_gets_imports_nothing_else(tmp_path):
    stage(tmp_path, *OWN)
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import deploy.reply"
    subprocess.run([sys.executable, "-IBc", code], check=True, cwd="/")
    assert not [*tmp_path.rglob("*.onnx")], "the model is uploaded by itself"


def test_azures_port_is_the_readmes():
    help_text = subprocess.run(
        [sys.executable, "-m", "deploy.azure_ml.serve", "--help"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert ":5001/" in clients_of("azure_ml")["curl"] and "default: 5001" in help_text


def test_torchserves_port_is_the_readmes():
    assert f":{ports_of(CONFIG)[0]}/" in clients_of("torchserve")["curl"]


def test_every_port_of_torchserves_is_replaced():
    text, ports = on_free_ports(CONFIG)
    assert ports_of(text) == ports and not {*ports} & {*ports_of(CONFIG)}
