"""The demo folder on a machine that has only what its own requirements name."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from going_modular.datasets import make_datasets, make_loader
from going_modular.engine import Settings, feature_loader, store_features, train
from going_modular.export import (
    Deployable,
    describe_run,
    export_onnx,
    familiarity_threshold,
)
from going_modular.model_builder import build_effnet_lite2
from going_modular.practice_pictures import CLASS_NAMES, draw_pictures
from going_modular.running import ask_demo, run_demo

DEMO = Path(__file__).resolve().parents[1] / "demos" / "foodvision_mini"
TEXT_FILES = (
    "app.py",
    "feedback.py",
    "model.py",
    "safety.py",
    "style.css",
    "requirements.txt",
    "README.md",
)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures") / "drawn"
    return draw_pictures(folder, train_per_class=12, test_per_class=1)


@pytest.fixture(scope="module")
def demo_folder(tmp_path_factory, pictures):
    """A folder as the lesson writes it, with a model trained on a few drawings."""
    folder = tmp_path_factory.mktemp("elsewhere") / "demo"
    folder.mkdir()
    for name in TEXT_FILES:
        shutil.copyfile(DEMO / name, folder / name)
    built = build_effnet_lite2(len(CLASS_NAMES))
    train_data, _ = make_datasets(pictures, built.transform)
    stored = store_features(built.model.base, make_loader(train_data))
    torch.manual_seed(42)
    settings = Settings(lr=1e-2)
    train(built.model.head, feature_loader(stored, seed=42), settings=settings)
    features = stored.tensors[0]
    metadata = describe_run(
        class_names=train_data.classes,
        threshold=familiarity_threshold(features),
        contender="EffNet-Lite2",
        preprocess=built.preprocess,
        trained_on=f"{len(train_data)} practice pictures (drawn)",
        is_practice=True,
        right=0,
        total=len(CLASS_NAMES),
    )
    deployable = Deployable(built.preprocess, built.model, features)
    export_onnx(deployable, folder / "foodvision_mini.onnx", metadata=metadata)
    return folder


@pytest.fixture(scope="module")
def fresh_python(tmp_path_factory, demo_folder):
    """A Python that has the demo's requirements and nothing else."""
    pip = [sys.executable, "-m", "pip"]
    reach = subprocess.run([*pip, "index", "versions", "gradio"], capture_output=True)
    if reach.returncode:
        pytest.skip("needs a package index that pip can reach, to install from")
    environment = tmp_path_factory.mktemp("fresh") / "venv"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    python = environment / ("Scripts" if os.name == "nt" else "bin") / "python"
    requirements = demo_folder / "requirements.txt"
    subprocess.run(
        [python, "-m", "pip", "install", "-q", "-r", requirements], check=True
    )
    return str(python)


def test_fresh_environment_has_no_pytorch(fresh_python):
    tried = subprocess.run([fresh_python, "-c", "import torch"], capture_output=True)
    assert tried.returncode and b"ModuleNotFoundError" in tried.stderr


def test_demo_answers_rightly_without_pytorch(fresh_python, demo_folder, pictures):
    with run_demo(demo_folder, python=fresh_python) as running:
        for name in CLASS_NAMES:
            (picture,) = (pictures / "test" / name).glob("*.jpg")
            scores, note = ask_demo(running.url, picture)
            assert scores["label"] == name
            assert name in note
