"""Listing a demo folder, packing it, and planning where its files go."""

import os
import re
import subprocess
import zipfile
from dataclasses import replace

import pytest
from demo_model_fixture import ABOUT
from odd_pictures import HEIC, halves
from packaging.requirements import Requirement
from small_demo import FILES, write_files

from going_modular.demo_folder import (
    APP,
    COPIED,
    TEXTS,
    DeployError,
    copy_app,
    copy_examples,
    list_folder,
    upload_plan,
    write_readme,
    zip_folder,
)
from going_modular.files import FileError


def test_examples_are_these_and_no_others(demo, tmp_path):
    a, b = (write_files(tmp_path, {n: n.encode()}) / n for n in ("a.jpg", "b.png"))
    examples = demo / "shown"
    copy_examples({"old": a, "both": a}, examples)
    copy_examples({"both": a, "new": b}, examples)
    assert (examples / "new.png").read_bytes() == b"b.png"
    with pytest.raises(FileError):
        copy_examples({"new": b, "no": tmp_path / "no.jpg"}, examples)
    assert sorted(os.listdir(examples)) == ["both.jpg", "new.png"], "nothing is lost"
    assert not list(tmp_path.rglob(".shown-*"))


def test_what_browsers_do_not_show_becomes_a_jpeg(tmp_path):
    (tmp_path / "a.HEIC").write_bytes(HEIC)
    for name, kind in (("b.TIF", "TIFF"), ("c.ppm", "PPM"), ("d.JPG", "JPEG")):
        halves().save(tmp_path / name, kind)
    pictures = {file.stem: file for file in tmp_path.iterdir()}
    made = copy_examples(pictures, tmp_path / "demo" / "examples")
    assert sorted(os.listdir(made)) == ["a.jpg", "b.jpg", "c.jpg", "d.JPG"]
    assert all(file.read_bytes()[:2] == b"\xff\xd8" for file in made.iterdir())


def test_zip_holds_the_files_without_leftovers(demo, tmp_path):
    archive = zip_folder(demo, tmp_path / "new" / "demo.zip")
    with zipfile.ZipFile(archive) as packed:
        assert packed.namelist() == FILES
        assert all(packed.read(name) == (demo / name).read_bytes() for name in FILES)
    assert os.listdir(archive.parent) == ["demo.zip"]


@pytest.mark.parametrize("target", ["secret.txt", "secrets", "nowhere"])
def test_links_are_refused_and_so_is_nothing(demo, tmp_path, target):
    write_files(tmp_path, {"secret.txt": b"s", "secrets/s.txt": b"s"})
    (demo / "link").symlink_to(tmp_path / target)
    (tmp_path / "empty").mkdir()
    folders = ((demo, "link"), (tmp_path / "empty", "run the cells"))
    for folder, told in (*folders, (tmp_path / "missing", "run the cells")):
        for fails in (list_folder, lambda f: zip_folder(f, tmp_path / "demo.zip")):
            with pytest.raises(DeployError, match=told):
                fails(folder)
    assert not (tmp_path / "demo.zip").exists()


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
def test_plan_reads_the_folders_rules_and_no_others(
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
    storage = {file.path: file.storage for file in upload_plan(folder)}
    assert storage == dict.fromkeys(in_lfs, "LFS") | dict.fromkeys(in_git, "git")
    monkeypatch.setenv("PATH", "")  # without git it says that it does not know
    assert {file.storage for file in upload_plan(folder)} == {"unknown"}


@pytest.mark.parametrize("count", [2, 101])
def test_the_readme_says_what_the_model_says_about_itself(tmp_path, count):
    names = [f"dish_{number}" for number in range(1, count + 1)]
    named = {"name": "foodvision_x", "title": "FoodVision X", "class_names": names}
    about = replace(ABOUT, **named, reference_counts=[9] * count)
    readme = write_readme(about, tmp_path / "new").read_text("utf-8")
    known = f"{count} dishes: **{', '.join(names).replace('_', ' ')}**"
    for words in ("title: FoodVision X", "# FoodVision X", known):
        assert words in readme
    assert "Mini" not in readme and "sushi" not in readme


def test_readme_and_requirements_agree():
    front = dict(re.findall(r"^(\w+): (.+)$", (APP / "README.md").read_text(), re.M))
    assert (APP / front["app_file"]).is_file() and front["sdk"] == "gradio"
    asked = map(Requirement, (APP / "requirements.txt").read_text().splitlines())
    needs = {requirement.name: requirement.specifier for requirement in asked}
    assert set(needs) == {"gradio", "onnxruntime", "numpy", "pillow", "pi-heif"}
    assert needs["gradio"].contains(front["sdk_version"])


def test_an_app_is_copied_whole_or_not_at_all(demo, tmp_path):
    copy = copy_app(APP, tmp_path / "copy")
    assert copy_app(copy, copy) == copy, "onto itself"
    with pytest.raises(DeployError, match="contract.json.*run the cells"):
        copy_app(demo, copy)
    assert sorted(os.listdir(copy)) == sorted(COPIED)
    for name in COPIED:
        assert (copy / name).read_bytes() == (APP / name).read_bytes()


def test_the_one_list_of_files_is_what_the_committed_demo_holds():
    command = ["git", "ls-files", "."]
    listed = subprocess.run(command, cwd=APP, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("needs a git checkout")
    assert sorted(TEXTS) == sorted(listed.stdout.split())
