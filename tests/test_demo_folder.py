"""A demo folder: listed, packed, pushed in a rehearsal, sent to a Hub made here."""

import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
import zipfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from unittest import mock

import nbformat
import pytest
from course_copy import ROOT
from demo_model_fixture import ABOUT
from huggingface_hub import HfApi, close_session
from huggingface_hub.utils import filter_repo_objects
from odd_pictures import HEIC, halves
from packaging.requirements import Requirement

from going_modular import demo_folder
from going_modular.demo_folder import APP, COPIED, DeployError, copy_app, rehearse_push
from going_modular.files import FileError, LessonError

MODEL = bytes(range(256)) * 5_000  # 1.28 MB, binary
TOKEN = "hf_thisIsNotARealToken"
SPACE = "https://huggingface.co/spaces/me/mini"
CONTENT = {
    ".gitattributes": b"*.onnx filter=lfs diff=lfs merge=lfs -text\n",
    "README.md": b"---\ntitle: Mini\nsdk: gradio\n---\n\nWhat it does.\n",
    "app.py": b"print('hello')\n",
    "examples/a.jpg": b"\xff\xd8a",
    "examples/b picture.jpg": b"\xff\xd8b",
    "model.onnx": MODEL,
}
FILES = list(CONTENT)


def write_files(folder: Path, files: dict[str, bytes]) -> Path:
    """Write files, given as {path within the folder: content}; return the folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


@pytest.fixture
def demo(tmp_path):
    """A small demo folder, with the leftovers of having been used."""
    used = ["__pycache__/a.pyc", "examples/__pycache__/x.pyc", ".gradio/1", ".DS_Store"]
    return write_files(tmp_path / "mini", CONTENT | dict.fromkeys(used, b"x"))


def test_examples_are_these_as_browsers_show_them_and_no_others(tmp_path):
    sent = write_files(tmp_path / "sent", {"a.HEIC": HEIC})
    examples, fill = tmp_path / "shown", demo_folder.copy_examples
    for name, kind in (("b.TIF", "TIFF"), ("c.ppm", "PPM"), ("d.JPG", "JPEG")):
        halves().save(sent / name, kind)
    fill({"old": sent / "b.TIF", "d": sent / "d.JPG"}, examples)
    fill({file.stem: file for file in sent.iterdir()}, examples)
    with pytest.raises(FileError):
        fill({"new": sent / "d.JPG", "no": tmp_path / "no.jpg"}, examples)
    assert sorted(os.listdir(examples)) == ["a.jpg", "b.jpg", "c.jpg", "d.JPG"]
    assert all(file.read_bytes()[:2] == b"\xff\xd8" for file in examples.iterdir())
    assert sorted(os.listdir(tmp_path)) == ["sent", "shown"]


@pytest.mark.parametrize("target", ["secret.txt", "secrets", "nowhere"])
def test_a_zip_has_no_leftovers_and_refuses_links(demo, tmp_path, target):
    archive = demo_folder.zip_folder(demo, tmp_path / "new" / "demo.zip")
    with zipfile.ZipFile(archive) as packed:
        assert {name: packed.read(name) for name in packed.namelist()} == CONTENT
    write_files(tmp_path, {"secret.txt": b"s", "secrets/s.txt": b"s"})
    (demo / "link").symlink_to(tmp_path / target)
    (tmp_path / "empty").mkdir()
    folders = {demo: "link", tmp_path / "empty": "run the", tmp_path / "no": "run the"}
    for folder, told in folders.items():
        with pytest.raises(DeployError, match=told):
            demo_folder.list_folder(folder)
        with pytest.raises(DeployError, match=told):
            demo_folder.zip_folder(folder, archive.with_name("b.zip"))
    assert os.listdir(archive.parent) == ["demo.zip"]


RULES = """
*.onnx filter=lfs diff=lfs merge=lfs -text
small.onnx -filter
examples/*.png filter=lfs -text
* text=auto
"a b.bin" filter=lfs
"""
IN_LFS = ["model.onnx", "deep/down/model.onnx", "examples/a.png", "a b.bin"]
IN_GIT = ["small.onnx", "a.jpg", "examples/in/a.png", ".gitattributes"]
OUR_RULES = (APP / ".gitattributes").read_text()
PICTURES = ["IMG_1.JPG", "b.WebP", "c.HEIC", "d.jfif", "e e.PNG", "ü.avif"]
OUR_LFS = ["foodvision_mini.onnx", *(f"examples/{name}" for name in PICTURES)]


@pytest.mark.parametrize(
    ("rules", "in_lfs", "in_git"),
    [(RULES, IN_LFS, IN_GIT), (OUR_RULES, OUR_LFS, ["app.py", ".gitattributes"])],
)
def test_the_plan_follows_the_folders_rules(
    rules, in_lfs, in_git, tmp_path, monkeypatch
):
    """Neither the reader's own rules, nor a repository around it, nor a git hook's."""
    folder = write_files(tmp_path / "demo", dict.fromkeys(in_lfs + in_git, b"x"))
    (folder / ".gitattributes").write_text(rules)
    attributes, settings = tmp_path / "attributes", tmp_path / "settings"
    attributes.write_text("* filter=lfs\n")
    settings.write_text(f"[core]\n\tattributesFile = {attributes}\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    (tmp_path / ".gitattributes").write_text("* filter=lfs\n")
    storage = {file.path: file.storage for file in demo_folder.upload_plan(folder)}
    assert storage == dict.fromkeys(in_lfs, "LFS") | dict.fromkeys(in_git, "git")
    monkeypatch.setenv("PATH", "")  # without git it says that it does not know
    assert {file.storage for file in demo_folder.upload_plan(folder)} == {"unknown"}


def test_the_readme_says_what_the_model_says_about_itself(tmp_path):
    named = {"title": "FoodVision X", "class_names": ["apple_pie", "miso_soup"]}
    about = replace(ABOUT, **named, reference_counts=[9, 9])
    readme = demo_folder.write_readme(about, tmp_path / "new").read_text("utf-8")
    known = "2 dishes: **apple pie, miso soup**"
    assert all(w in readme for w in ("title: FoodVision X", "# FoodVision X", known))
    assert "Mini" not in readme and "sushi" not in readme


def test_an_app_is_copied_whole_or_not_at_all_and_its_files_agree(demo, tmp_path):
    copy = copy_app(APP, tmp_path / "copy")
    assert copy_app(copy, copy) == copy, "onto itself"
    with pytest.raises(DeployError, match="contract.json.*run the cells"):
        copy_app(demo, copy)
    assert sorted(os.listdir(copy)) == sorted(COPIED)
    assert all((copy / n).read_bytes() == (APP / n).read_bytes() for n in COPIED)
    git = ["git", "ls-files", "."]
    listed = subprocess.run(git, cwd=APP, capture_output=True, text=True)
    if listed.returncode == 0:  # in a checkout
        assert sorted(demo_folder.TEXTS) == sorted(listed.stdout.split())
    front = dict(re.findall(r"^(\w+): (.+)$", (APP / "README.md").read_text(), re.M))
    assert (APP / front["app_file"]).is_file() and front["sdk"] == "gradio"
    asked = map(Requirement, (APP / "requirements.txt").read_text().splitlines())
    needs = {requirement.name: requirement.specifier for requirement in asked}
    assert set(needs) == {"gradio", "onnxruntime", "numpy", "pillow", "pi-heif"}
    assert needs["gradio"].contains(front["sdk_version"])


CREATE = "/api/repos/create"
SAID = json.dumps({"error": "what the Hub says", "url": SPACE}).encode()


@pytest.fixture
def hub(site, monkeypatch):
    """A Hub on this machine; uploads are noted down instead of sent."""
    site.upload = mock.Mock()
    monkeypatch.setattr(HfApi, "upload_folder", site.upload)
    monkeypatch.setattr(demo_folder, "HfApi", partial(HfApi, endpoint=site.root))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    close_session()  # the Hub's client remembers its proxies
    return site


@pytest.mark.parametrize(
    ("sdk", "status", "hardware"), [("gradio", 200, "zero-a10g"), ("static", 409, None)]
)
def test_upload_makes_a_space_and_sends_the_folder(
    sdk, status, hardware, hub, demo, capfd
):
    hub.put(CREATE, SAID, status=status)
    (demo / "README.md").write_text(f"---\ntitle: x\nsdk: {sdk}\n---\n")
    how = {"token": f" {TOKEN}\n", "hardware": hardware}
    url = demo_folder.upload_to_space(demo, "me/mini", **how)
    assert url.endswith("/spaces/me/mini")
    wanted = {"name": "mini", "organization": "me", "type": "space", "sdk": sdk}
    wanted |= {"hardware": hardware} if hardware else {}
    assert (hub.asked, json.loads(hub.sent)) == ([CREATE], wanted)
    assert hub.headers["Authorization"] == f"Bearer {TOKEN}"
    sent = hub.upload.call_args.kwargs
    assert (sent["repo_id"], sent["repo_type"]) == ("me/mini", "space")
    assert sent["folder_path"] == demo
    everything = [p.relative_to(demo).as_posix() for p in demo.rglob("*")]
    kept = filter_repo_objects(everything, ignore_patterns=sent["ignore_patterns"])
    assert sorted(name for name in kept if (demo / name).is_file()) == FILES
    printed = "".join(capfd.readouterr())
    assert "6 files" in printed and TOKEN not in printed


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (402, r"\(402\).*static Space: free.*ZeroGPU.*PRO account"),
        (401, r"\(401\).*settings/tokens"),
        (403, r"\(403\).*write access.*user name"),
        (500, "answered 500; try again"),
        (None, "could not be reached"),
    ],
)
def test_refusals_are_explained(hub, demo, status, words, monkeypatch, capfd):
    hub.put(CREATE, SAID, status=status)
    if status is None:
        error = ConnectionError(f"bad header b'Bearer {TOKEN}'")
        monkeypatch.setattr(demo_folder, "HfApi", mock.Mock(side_effect=error))
    with pytest.raises(DeployError) as caught:
        demo_folder.upload_to_space(demo, "me/mini", token=TOKEN)
    assert re.search(words, message := str(caught.value).replace("\n", " "))
    assert status is None or "what the Hub says" in message
    assert not hub.upload.called
    assert TOKEN not in message + "".join(capfd.readouterr())
    assert caught.value.__cause__ is None and caught.value.__suppress_context__


def test_plain_mistakes_never_reach_the_hub(hub, demo):
    for folder, name, token, words in (
        (demo, "me/mini", "hf_a b", "empty or holds characters"),
        (demo, SPACE, TOKEN, "user/space"),
        (demo / "examples", "me/mini", TOKEN, "must name the kind of Space"),
    ):
        with pytest.raises(DeployError, match=words):
            demo_folder.upload_to_space(folder, name, token=token)
    assert not hub.asked


needs_git_lfs = pytest.mark.skipif(
    demo_folder.git_lfs_missing() is not None, reason="needs git and git-lfs"
)


@pytest.fixture
def no_git_settings(tmp_path, monkeypatch):
    """An empty home, and misleading variables as a git hook or a reader sets them."""
    home, settings = tmp_path / "home", tmp_path / "settings"
    home.mkdir()
    settings.write_text("[commit]\n\tgpgsign = true\n[core]\n\tautocrlf = true\n")
    misleading = {"HOME": home, "USERPROFILE": home, "GIT_CONFIG_GLOBAL": settings}
    misleading |= {"GIT_DIR": tmp_path / "nowhere", "GIT_LFS_SKIP_PUSH": 1}
    for name, value in misleading.items():
        monkeypatch.setenv(name, str(value))
    before = settings.read_bytes()
    yield
    assert settings.read_bytes() == before and os.listdir(home) == []


@needs_git_lfs
@pytest.mark.parametrize("name", ["some where", "C#", "%41 [x]"])
def test_a_rehearsed_push_brings_the_same_bytes(name, demo, tmp_path, no_git_settings):
    result = rehearse_push(demo, workdir := tmp_path / name)
    assert result.files == FILES and result.same_bytes
    assert result.model == "model.onnx"
    oid = f"oid sha256:{hashlib.sha256(MODEL).hexdigest()}"
    assert result.pointer.splitlines()[1:] == [oid, f"size {len(MODEL)}"]
    assert os.listdir(workdir) == []
    assert all(command.startswith("git ") for command in result.commands)
    assert any("push origin main" in command for command in result.commands)
    assert str(tmp_path) not in "".join(result.commands)


@needs_git_lfs
def test_rehearsal_notices_what_is_lost_or_would_be_refused(tmp_path, no_git_settings):
    files = {"README.md": b"x", ".gitignore": b"README.md\n"}
    folder = write_files(tmp_path / "demo", files)
    result = rehearse_push(folder, tmp_path / "work")
    assert result[:4] == ([".gitignore"], "", "", False)
    for content in (MODEL, b"text\n" * 2_100_000):
        write_files(folder, {"weights.dat": content})
        with pytest.raises(DeployError, match=r"\*\.dat filter=lfs"):
            rehearse_push(folder, tmp_path / "work")


@pytest.mark.parametrize("missing", ["git", "git-lfs"])
def test_missing_programs_are_named(demo, tmp_path, monkeypatch, missing):
    def run(*words, **_):
        if missing == "git" or "lfs" in words:
            raise LessonError(f"{missing} could not be run")

    monkeypatch.setattr(demo_folder, "run", run)
    with pytest.raises(DeployError, match=f"^{missing} is not in.*apt-get install"):
        rehearse_push(demo, tmp_path / "work")


def test_both_commands_for_a_static_space_are_understood_as_far_as_the_hub(tmp_path):
    cells = nbformat.read(ROOT / "companions" / "4_in_the_browser.ipynb", 4).cells
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    commands = re.findall(r"^\.venv/bin/hf (.*foodvision_pocket.*)$", text, re.M)
    assert "--space-sdk static" in commands[0], "another kind costs money"
    (tmp_path / "build" / "pocket").mkdir(parents=True)
    offline = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "home")}
    how = {"cwd": tmp_path, "env": offline, "capture_output": True, "text": True}
    hf = Path(sys.executable).with_name("hf")
    assert len(commands) == 2, "create and upload"
    for command in commands:
        words = shlex.split(command.replace("USER", "me"))
        done = subprocess.run([hf, *words], **how)
        assert "offline mode is enabled" in done.stderr, done.stdout + done.stderr
