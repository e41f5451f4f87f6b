"""The demo folder on a machine that has only what its own requirements name."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from browsing import DESKTOP, PHONE, open_page
from demo_model_fixture import ABOUT
from drawn_images import copy_few

from going_modular.app_process import ask_demo, run_demo
from going_modular.datasets import make_datasets, make_loader
from going_modular.demo_folder import TEXTS, copy_app
from going_modular.drawn import CLASS_NAMES
from going_modular.engine import (
    Settings,
    cross_validate,
    feature_loader,
    store_features,
    train,
)
from going_modular.export import Deployable, export_onnx
from going_modular.gate import make_gate
from going_modular.model_builder import build_effnet_lite2

pytestmark = pytest.mark.slow

SCREENS = Path(__file__).resolve().parents[1] / "build" / "screens"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures") / "drawn"
    return copy_few(folder, train=12, test=1)


@pytest.fixture(scope="module")
def demo_folder(tmp_path_factory, pictures, demo_texts):
    """A folder as the lesson writes it, with a model trained on a few drawings."""
    folder = tmp_path_factory.mktemp("elsewhere") / "demo"
    copy_app(demo_texts, folder, TEXTS)
    built = build_effnet_lite2(len(CLASS_NAMES))
    train_data, _ = make_datasets(pictures, built.transform)
    stored = store_features(built.model.base, make_loader(train_data))
    torch.manual_seed(42)
    settings = Settings(lr=1e-2)
    train(built.model.head, feature_loader(stored, seed=42), settings=settings)
    trial = cross_validate(built.model.head, stored, settings=settings)
    gate, thresholds = make_gate(*stored.tensors, trial.logits)
    about = replace(
        ABOUT,
        knn_similarity_threshold=thresholds.knn_similarity,
        in_distribution_threshold=thresholds.in_distribution_score,
        input_size=built.preprocess.size,
        trained_on=f"{len(train_data)} drawn practice pictures",
        is_practice=True,
        test_result={"correct": 0, "total": len(CLASS_NAMES)},
    )
    deployable = Deployable(built.preprocess, built.model, gate)
    export_onnx(deployable, folder / "foodvision_mini.onnx", about=about)
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


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_a_visitor_on_the_space(browser, fresh_python, demo_folder, pictures, size):
    """Upload, a file that is no picture, an example: by keyboard alone."""
    examples = demo_folder / "examples"
    examples.mkdir(exist_ok=True)
    for name in CLASS_NAMES:
        (picture,) = (pictures / "test" / name).glob("*.jpg")
        shutil.copyfile(picture, examples / f"{name}.jpg")
    with run_demo(demo_folder, python=fresh_python) as running:
        page = open_page(browser, running.url, size)
        upload_by_keyboard(page, examples / "sushi.jpg")
        page.get_by_text("This looks like sushi.").wait_for()
        SCREENS.mkdir(parents=True, exist_ok=True)
        page.wait_for_timeout(500)  # for the bars to grow
        page.screenshot(path=SCREENS / f"answer_{size[0]}.png")
        tab_to(page, "Remove Image")
        page.keyboard.press("Enter")
        page.get_by_text("What is on your plate?").wait_for()
        upload_by_keyboard(page, demo_folder / "requirements.txt", name="list.jpg")
        page.get_by_text("That file is not a picture.").wait_for()
        page.screenshot(path=SCREENS / f"no_picture_{size[0]}.png")
        tab_to(page, "Example picture 1")
        page.keyboard.press("Enter")
        page.get_by_text("This looks like pizza.").wait_for()
        page.close()


def upload_by_keyboard(page, file: Path, *, name: str | None = None) -> None:
    """Reach the upload area with Tab, open it with Enter, choose a file."""
    sent = {"name": name or file.name, "mimeType": "image/jpeg"}
    tab_to(page, "Drop an image file")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files({**sent, "buffer": file.read_bytes()})


def tab_to(page, words: str) -> None:
    """Press Tab until what has the focus is labelled with these words."""
    for _ in range(40):
        page.keyboard.press("Tab")
        if words in (page.evaluate("document.activeElement.ariaLabel") or ""):
            return
    pytest.fail(f"Tab never reaches {words}")
