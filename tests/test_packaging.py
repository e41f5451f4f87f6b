"""Listing a demo folder, packing it, and planning where its files go."""

import os
import subprocess
import zipfile
from functools import partial

import pytest
from demo_folder import FILES, MODEL, write_files

from going_modular import packaging
from going_modular.packaging import (
    DeployError,
    copy_examples,
    list_folder,
    upload_plan,
    zip_folder,
)


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
    with pytest.raises(OSError):
        copy_examples({"new": tmp_path / "b.png", "no": tmp_path / "no.jpg"}, examples)
    assert sorted(os.listdir(examples)) == ["both.jpg", "new.png"], "nothing is lost"
    assert not list(tmp_path.rglob(".examples-*"))


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
    real, calls = packaging._add, []

    def fail_on_third(*args):
        calls.append(args)
        if len(calls) == 3:
            raise fault
        real(*args)

    monkeypatch.setattr(packaging, "_add", fail_on_third)
    expected = DeployError if isinstance(fault, OSError) else KeyboardInterrupt
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
]
NAMES = [f"{start}.onnx" for start in ("model", "deep/down/model", "small")]
NAMES += ["a.jpeg", "a.jpg", "top.bin", "in/top.bin", "modelXonnx"]
NAMES += ["examples/a.png", "examples/in/a.png", "x/examples/a.png"]
NAMES += ["other/a.dat", "other/c.dat", "plain.dat", "late.dat"]


def test_plan_agrees_with_git(tmp_path):
    folder = write_files(tmp_path / "demo", dict.fromkeys(NAMES, b"x"))
    (folder / ".gitattributes").write_text("\n".join(RULES))
    plan = {file.path: file.storage for file in upload_plan(folder)}
    assert plan["deep/down/model.onnx"] == "LFS"
    assert plan["small.onnx"] == "git"
    try:
        git = partial(subprocess.run, cwd=folder, check=True, capture_output=True)
        git(["git", "init"])
    except OSError:
        pytest.skip("git is not installed")
    reply = git(["git", "check-attr", "-z", "filter", *NAMES]).stdout.decode()
    values = reply.split("\0")[2::3]  # path, "filter", value; path, ...
    wanted = ["LFS" if value == "lfs" else "git" for value in values]
    assert [plan[name] for name in NAMES] == wanted


@pytest.mark.parametrize("pattern", ["models/**/*", '"a b.bin"', "!x", "a\\*"])
def test_plan_does_not_guess_at_hard_patterns(demo, pattern):
    (demo / ".gitattributes").write_text(f"{pattern} filter=lfs\n")
    with pytest.raises(DeployError, match="not plain enough"):
        upload_plan(demo)
