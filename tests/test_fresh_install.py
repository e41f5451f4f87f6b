"""The demo folder on a machine that has only what its own requirements name."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from browsing import DESKTOP, PHONE, open_page

from going_modular.app_process import ask_demo, run_demo
from going_modular.demo_folder import APP, TEXTS, copy_app, copy_examples
from tools.serve_demo import drawn_examples

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
SCREENS = ROOT / "build" / "screens"


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """A demo folder served by a Python that has its requirements and nothing else."""
    folder = tmp_path_factory.mktemp("elsewhere") / "demo"
    copy_app(APP, folder, TEXTS)
    shutil.copy(ROOT / "models" / "foodvision_mini.onnx", folder)
    copy_examples(drawn_examples(), folder / "examples")
    pip = [sys.executable, "-m", "pip"]
    reach = subprocess.run([*pip, "index", "versions", "gradio"], capture_output=True)
    if reach.returncode:
        pytest.skip("needs a package index that pip can reach, to install from")
    environment = folder.with_name("venv")
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    python = environment / ("Scripts" if os.name == "nt" else "bin") / "python"
    pip = [python, "-m", "pip", "install", "-q", "-r"]
    subprocess.run([*pip, folder / "requirements.txt"], check=True)
    tried = subprocess.run([python, "-c", "import torch"], capture_output=True)
    assert tried.returncode and b"ModuleNotFoundError" in tried.stderr
    with run_demo(folder, python=str(python)) as running:
        yield running.url


def test_demo_answers_rightly_without_pytorch(url):
    for name, picture in drawn_examples().items():
        scores, note = ask_demo(url, picture)
        assert scores["label"] == name and name in note


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_a_visitor_on_the_space(browser, url, size):
    """Upload, a file that is no picture, an example: by keyboard alone."""
    page = open_page(browser, url, size)
    upload_by_keyboard(page, drawn_examples()["sushi"])
    page.get_by_text("This looks like sushi.").wait_for()
    SCREENS.mkdir(parents=True, exist_ok=True)
    page.wait_for_timeout(500)  # for the bars to grow
    page.screenshot(path=SCREENS / f"answer_{size[0]}.png")
    enter(page, "Remove Image")
    page.get_by_text("What is on your plate?").wait_for()
    upload_by_keyboard(page, Path(__file__))
    page.get_by_text("That file is not a picture.").wait_for()
    page.screenshot(path=SCREENS / f"no_picture_{size[0]}.png")
    enter(page, "Example picture 1")
    page.get_by_text("This looks like pizza.").wait_for()
    page.close()


def upload_by_keyboard(page, file: Path) -> None:
    with page.expect_file_chooser() as chooser:
        enter(page, "Drop an image file")
    sent = {"name": f"{file.stem}.jpg", "mimeType": "image/jpeg"}
    chooser.value.set_files({**sent, "buffer": file.read_bytes()})


def enter(page, words: str) -> None:
    """Press Tab until what has the focus is labelled with these words; then Enter."""
    for _ in range(40):
        page.keyboard.press("Tab")
        if words in (page.evaluate("document.activeElement.ariaLabel") or ""):
            page.keyboard.press("Enter")
            return
    pytest.fail(f"Tab never reaches {words}")
