"""Pushing with real git and Git LFS, out of reach of the reader's settings."""

import hashlib
import os
import subprocess

import pytest
from small_demo import FILES, MODEL, write_files

from going_modular import spaces
from going_modular.demo_folder import DeployError
from going_modular.spaces import git_lfs_missing, rehearse_push

missing_lfs = git_lfs_missing()
needs_git_lfs = pytest.mark.skipif(
    missing_lfs is not None, reason=f"git-lfs rehearsal: {missing_lfs}"
)


@pytest.fixture
def no_git_settings(tmp_path, monkeypatch):
    """An empty home, and misleading variables as a git hook or a reader sets them."""
    home = tmp_path / "home"
    home.mkdir()
    settings = tmp_path / "settings"
    settings.write_text("[commit]\n\tgpgsign = true\n[core]\n\tautocrlf = true\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    monkeypatch.setenv("GIT_LFS_SKIP_PUSH", "1")
    before = settings.read_bytes()
    yield
    assert settings.read_bytes() == before
    assert os.listdir(home) == []


@needs_git_lfs
def test_rehearsal_pushes_a_pointer_and_gets_the_same_bytes(
    demo, tmp_path, no_git_settings
):
    workdir = tmp_path / "some where"
    for _ in range(2):
        result = rehearse_push(demo, workdir)
        assert list(result.files) == FILES
        assert result.same_bytes
        assert result.model == "model.onnx"
        assert result.pointer.splitlines() == [
            "version https://git-lfs.github.com/spec/v1",
            f"oid sha256:{hashlib.sha256(MODEL).hexdigest()}",
            f"size {len(MODEL)}",
        ]
        assert os.listdir(workdir) == []
    assert all(command.startswith("git ") for command in result.commands)
    assert any("push origin main" in command for command in result.commands)
    assert str(tmp_path) not in "".join(result.commands)


@needs_git_lfs
def test_rehearsal_notices_what_does_not_come_back(demo, tmp_path, no_git_settings):
    write_files(demo, {".gitignore": b"README.md\n"})
    result = rehearse_push(demo, tmp_path / "work")
    assert not result.same_bytes
    assert "README.md" not in result.files


@needs_git_lfs
def test_rehearsal_without_lfs_files_has_no_pointer(tmp_path, no_git_settings):
    folder = write_files(tmp_path / "demo", {"index.html": b"<p>hello</p>\n"})
    result = rehearse_push(folder, tmp_path / "work")
    assert (result.model, result.pointer, result.same_bytes) == ("", "", True)


@needs_git_lfs
@pytest.mark.parametrize("content", [MODEL, b"text\n" * 2_100_000], ids=len)
def test_rehearsal_refuses_what_the_hub_would_refuse(demo, tmp_path, content):
    write_files(demo, {"weights.dat": content})
    with pytest.raises(DeployError, match=r"\*\.dat filter=lfs"):
        rehearse_push(demo, tmp_path / "work")


@needs_git_lfs
def test_a_failing_git_command_is_named(tmp_path):
    with pytest.raises(DeployError, match="git clone nowhere failed"):
        spaces._Git(tmp_path)("clone", "nowhere")


@pytest.mark.parametrize("found", [[], ["git"]], ids=["no git", "no git-lfs"])
def test_missing_programs_are_named(demo, tmp_path, monkeypatch, found):
    def run(words, **_):
        if words[0] not in found:
            raise FileNotFoundError(words[0])
        if "lfs" in words:
            raise subprocess.CalledProcessError(1, words)

    monkeypatch.setattr(spaces.subprocess, "run", run)
    message = git_lfs_missing()
    assert message.startswith("git-lfs is" if found else "git is")
    assert "apt-get install" in message
    with pytest.raises(DeployError, match="not installed"):
        rehearse_push(demo, tmp_path / "work")
