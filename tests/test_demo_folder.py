"""Listing a demo folder, packing it, and planning where its files go."""

import os
import subprocess
import zipfile
from dataclasses import replace

import pytest
from demo_model_fixture import ABOUT
from small_demo import FILES, MODEL, write_files

from going_modular import demo_folder
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


def test_list_is_sorted_and_without_leftovers(demo):
    table = list_folder(demo)
    assert table["file"].tolist() == FILES
    assert table.set_index("file").loc["model.onnx", "bytes"] == len(MODEL)


@pytest.mark.parametrize("make", [False, True], ids=["missing", "empty"])
def test_nothing_to_list_is_an_error(tmp_path, make):
    folder = tmp_path / "demo"
    if make:
        folder.mkdir()
    with pytest.raises(DeployError, match="run the cells"):
        list_folder(folder)


def test_examples_are_these_and_no_others(demo, tmp_path):
    for name in ("a.jpg", "b.png"):
        (tmp_path / name).write_bytes(name.encode())
    examples = demo / "shown"
    copy_examples({"old": tmp_path / "a.jpg", "both": tmp_path / "a.jpg"}, examples)
    copy_examples({"both": tmp_path / "a.jpg", "new": tmp_path / "b.png"}, examples)
    assert sorted(os.listdir(examples)) == ["both.jpg", "new.png"]
    assert (examples / "new.png").read_bytes() == b"b.png"
    with pytest.raises(FileError):
        copy_examples({"new": tmp_path / "b.png", "no": tmp_path / "no.jpg"}, examples)
    assert sorted(os.listdir(examples)) == ["both.jpg", "new.png"], "nothing is lost"
    assert not list(tmp_path.rglob(".shown-*"))


def test_zip_holds_the_files_and_unpacks_to_the_same_bytes(demo, tmp_path):
    archive = zip_folder(demo, tmp_path / "new" / "demo.zip")
    with zipfile.ZipFile(archive) as packed:
        assert packed.testzip() is None
        assert packed.namelist() == FILES
        assert all(packed.read(name) == (demo / name).read_bytes() for name in FILES)
    assert os.listdir(archive.parent) == ["demo.zip"]


def test_zip_is_the_same_byte_for_byte(demo, tmp_path):
    """Neither dates, permissions, the order of writing nor leftovers show."""
    again = tmp_path / "elsewhere" / "foodvision_mini"
    for name in reversed(FILES):
        write_files(again, {name: (demo / name).read_bytes()})
        os.utime(again / name, (1e9, 1e9))
    (again / "app.py").chmod(0o755)
    first = zip_folder(demo, tmp_path / "1.zip").read_bytes()
    assert zip_folder(again, tmp_path / "2.zip").read_bytes() == first
    assert zip_folder(demo, tmp_path / "1.zip").read_bytes() == first
    (again / "app.py").write_bytes(b"print('hullo')\n")
    assert zip_folder(again, tmp_path / "2.zip").read_bytes() != first


@pytest.mark.parametrize("fault", [OSError(28, "No space left"), KeyboardInterrupt()])
def test_a_failed_zip_leaves_everything_as_it_was(demo, tmp_path, monkeypatch, fault):
    archive = zip_folder(demo, tmp_path / "out" / "demo.zip")
    before = archive.read_bytes()
    real, calls = demo_folder._add, []

    def fail_on_third(*args):
        calls.append(args)
        if len(calls) == 3:
            raise fault
        real(*args)

    monkeypatch.setattr(demo_folder, "_add", fail_on_third)
    expected = FileError if isinstance(fault, OSError) else KeyboardInterrupt
    with pytest.raises(expected):
        zip_folder(demo, archive)
    assert os.listdir(archive.parent) == ["demo.zip"]
    assert archive.read_bytes() == before


def test_zip_refuses_to_pack_itself(demo):
    with pytest.raises(DeployError, match="outside"):
        zip_folder(demo, demo / "demo.zip")


@pytest.mark.parametrize("target", ["secret.txt", "secrets", "nowhere"])
def test_links_are_refused(demo, tmp_path, target):
    write_files(tmp_path, {"secret.txt": b"s", "secrets/s.txt": b"s"})
    try:
        (demo / "link").symlink_to(tmp_path / target)
    except OSError:
        pytest.skip("this account may not make symbolic links (Windows)")
    with pytest.raises(DeployError, match="link"):
        zip_folder(demo, tmp_path / "demo.zip")
    assert not (tmp_path / "demo.zip").exists()


# Where each file would be stored


def test_plan_follows_gitattributes(demo):
    plan = upload_plan(demo)
    assert [file.path for file in plan] == FILES
    assert [file.path for file in plan if file.storage == "LFS"] == ["model.onnx"]
    assert plan[-1] == ("model.onnx", len(MODEL), "LFS")


RULES = [
    "# a comment filter=lfs",
    "",
    "*.onnx filter=lfs diff=lfs merge=lfs -text",
    "*.jp?g filter=lfs",
    "small.onnx -filter",
    "/top.bin filter=lfs",
    "examples/*.png filter=lfs -text",
    "other/[ab].dat filter=lfs",
    "* text=auto",
    "plain.dat filter=other",
    "late.dat filter=other filter=lfs",
    '"a b.bin" filter=lfs',
]
NAMES = [f"{start}.onnx" for start in ("model", "deep/down/model", "small")]
NAMES += ["a.jpeg", "a.jpg", "top.bin", "in/top.bin", "modelXonnx"]
NAMES += ["examples/a.png", "examples/in/a.png", "x/examples/a.png"]
NAMES += ["other/a.dat", "other/c.dat", "plain.dat", "late.dat", "a b.bin"]


@pytest.fixture
def ruled(tmp_path):
    """A folder with all kinds of rules in its .gitattributes."""
    folder = write_files(tmp_path / "demo", dict.fromkeys(NAMES, b"x"))
    (folder / ".gitattributes").write_text("\n".join(RULES))
    return folder


def test_plan_reads_rules_as_a_push_does(ruled):
    plan = {file.path: file.storage for file in upload_plan(ruled)}
    in_lfs = {name for name, storage in plan.items() if storage == "LFS"}
    assert in_lfs == {
        "model.onnx",
        "deep/down/model.onnx",
        "a.jpeg",
        "top.bin",
        "examples/a.png",
        "other/a.dat",
        "late.dat",
        "a b.bin",
    }
    assert set(plan.values()) == {"LFS", "git"}


def test_plan_heeds_nothing_but_the_folder(ruled, tmp_path, monkeypatch):
    """Neither the reader's own rules, nor a repository around it, nor a git hook's."""
    before = upload_plan(ruled)
    attributes, settings = tmp_path / "attributes", tmp_path / "settings"
    attributes.write_text("* filter=lfs\n")
    settings.write_text(f"[core]\n\tattributesFile = {attributes}\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    (tmp_path / ".gitattributes").write_text("* filter=lfs\n")
    assert upload_plan(ruled) == before


def test_without_git_the_plan_says_that_it_does_not_know(demo, monkeypatch):
    monkeypatch.setenv("PATH", "")
    plan = upload_plan(demo)
    assert [file.path for file in plan] == FILES
    assert {file.storage for file in plan} == {"unknown"}


# Filling a folder


@pytest.mark.parametrize("count", [2, 3, 5, 101])
def test_the_readme_says_what_the_model_says_about_itself(tmp_path, count):
    names = [f"dish_{number}" for number in range(1, count + 1)]
    named = {"name": "foodvision_x", "title": "FoodVision X", "class_names": names}
    about = replace(ABOUT, **named, reference_counts=[9] * count)
    readme = write_readme(about, tmp_path / "new").read_text("utf-8")
    front = readme.split("---")[1]
    assert "title: FoodVision X\n" in front and "# FoodVision X\n" in readme
    known = ", ".join(names).replace("_", " ")
    assert f"It knows {count} dishes: **{known}**.\n" in readme
    assert "Mini" not in readme and "sushi" not in readme


def test_the_readme_of_mini_is_the_committed_one(tmp_path):
    written = write_readme(ABOUT, tmp_path).read_bytes()
    assert written == (APP / "README.md").read_bytes()


def test_an_app_is_copied_whole_or_not_at_all(demo, tmp_path):
    copy = copy_app(APP, tmp_path / "copy")
    assert sorted(os.listdir(copy)) == sorted(COPIED)
    for name in COPIED:
        assert (copy / name).read_bytes() == (APP / name).read_bytes()
    with pytest.raises(DeployError, match="lacks model.py, page.py.*run the cells"):
        copy_app(demo, copy)
    assert sorted(os.listdir(copy)) == sorted(COPIED)


def test_an_app_is_not_copied_onto_itself(tmp_path):
    for name in COPIED:
        (tmp_path / name).touch()
    before = {file: file.stat().st_ino for file in tmp_path.iterdir()}
    assert copy_app(tmp_path, tmp_path) == tmp_path
    assert {file: file.stat().st_ino for file in tmp_path.iterdir()} == before


def test_the_one_list_of_files_is_what_the_committed_demo_holds():
    command = ["git", "ls-files", "."]
    listed = subprocess.run(command, cwd=APP, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("needs a git checkout")
    assert sorted(TEXTS) == sorted(listed.stdout.split())
