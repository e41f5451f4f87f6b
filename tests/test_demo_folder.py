"""Listing a demo folder, packing it, and planning where its files go."""

import os
import subprocess
import zipfile
from dataclasses import replace

import pytest
from demo_model_fixture import ABOUT
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


def test_nothing_to_list_is_an_error(tmp_path):
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(DeployError, match="run the cells"):
            list_folder(folder)


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


def test_zip_holds_the_files_without_leftovers(demo, tmp_path):
    archive = zip_folder(demo, tmp_path / "new" / "demo.zip")
    with zipfile.ZipFile(archive) as packed:
        assert packed.namelist() == FILES
        assert all(packed.read(name) == (demo / name).read_bytes() for name in FILES)
    assert os.listdir(archive.parent) == ["demo.zip"]


@pytest.mark.parametrize("target", ["secret.txt", "secrets", "nowhere"])
def test_links_are_refused(demo, tmp_path, target):
    write_files(tmp_path, {"secret.txt": b"s", "secrets/s.txt": b"s"})
    (demo / "link").symlink_to(tmp_path / target)
    with pytest.raises(DeployError, match="link"):
        zip_folder(demo, tmp_path / "demo.zip")
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


def test_plan_reads_the_folders_rules_and_no_others(tmp_path, monkeypatch):
    """Neither the reader's own rules, nor a repository around it, nor a git hook's."""
    folder = write_files(tmp_path / "demo", dict.fromkeys(IN_LFS + IN_GIT, b"x"))
    (folder / ".gitattributes").write_text(RULES)
    attributes, settings = tmp_path / "attributes", tmp_path / "settings"
    attributes.write_text("* filter=lfs\n")
    settings.write_text(f"[core]\n\tattributesFile = {attributes}\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    (tmp_path / ".gitattributes").write_text("* filter=lfs\n")
    storage = {file.path: file.storage for file in upload_plan(folder)}
    assert storage == dict.fromkeys(IN_LFS, "LFS") | dict.fromkeys(IN_GIT, "git")


def test_without_git_the_plan_says_that_it_does_not_know(demo, monkeypatch):
    monkeypatch.setenv("PATH", "")
    plan = upload_plan(demo)
    assert [(file.path, file.storage) for file in plan] == [
        (f, "unknown") for f in FILES
    ]


@pytest.mark.parametrize("count", [2, 101])
def test_the_readme_says_what_the_model_says_about_itself(tmp_path, count):
    names = [f"dish_{number}" for number in range(1, count + 1)]
    named = {"name": "foodvision_x", "title": "FoodVision X", "class_names": names}
    about = replace(ABOUT, **named, reference_counts=[9] * count)
    readme = write_readme(about, tmp_path / "new").read_text("utf-8")
    known = ", ".join(names).replace("_", " ")
    for words in (
        "title: FoodVision X",
        "# FoodVision X",
        f"{count} dishes: **{known}**",
    ):
        assert words in readme
    assert "Mini" not in readme and "sushi" not in readme


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
