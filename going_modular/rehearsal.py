"""Rehearse a push to a Space: real git and Git LFS, against a Hub made of a folder."""

import shlex
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from going_modular.demo_folder import (
    DeployError,
    clean_git,
    folder_files,
    upload_plan,
)

# What the Hub takes outside Git LFS: huggingface_hub#657 (binary), #91 (any file).
MAX_BINARY_BYTES = 1_000_000
MAX_BYTES = 10_000_000
HOW_TO_INSTALL = (
    "Debian, Ubuntu, Colab: apt-get install git git-lfs; "
    "macOS: brew install git-lfs; Windows: https://gitforwindows.org has both"
)


@dataclass(frozen=True)
class Rehearsal:
    """What a push that was cloned back showed.

    Attributes:
        files: Paths the other side now has, sorted.
        model: Path of the largest file that went through Git LFS, "" if none did.
        pointer: The text git stores in that file's place, "" if none did.
        same_bytes: Whether every file of the folder came back, byte for byte.
        commands: The commands, as they were run, in order.
    """

    files: tuple[str, ...]
    model: str
    pointer: str
    same_bytes: bool
    commands: tuple[str, ...]


class _Git:
    """Runs git in one folder, out of reach of the reader's own settings."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.commands: list[str] = []
        settings = folder / "gitconfig"
        settings.write_text("[init]\n\tdefaultBranch = main\n[safe]\n\tdirectory = *\n")
        self.env = {
            **clean_git(),
            "GIT_CONFIG_GLOBAL": str(settings),
            "GIT_TERMINAL_PROMPT": "0",
            "XDG_CONFIG_HOME": str(folder),  # the reader's global ignore file, too
        }

    def __call__(self, *words: str) -> str:
        """Run one command, note it down and return what it printed."""
        self.commands.append(shlex.join(("git", *words)))
        try:
            done = subprocess.run(
                ("git", *words),
                cwd=self.folder,
                env=self.env,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                stdin=subprocess.DEVNULL,
                timeout=300,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise DeployError(f"{self.commands[-1]} did not run: {error}") from error
        if done.returncode:
            raise DeployError(f"{self.commands[-1]} failed:\n{done.stderr.strip()}")
        return done.stdout


def git_lfs_missing() -> str | None:
    """Say what a rehearsal lacks on this machine.

    Returns:
        The missing program and how to install it, or None if all is there.
    """
    for program, words in (("git", ["git"]), ("git-lfs", ["git", "lfs"])):
        try:
            subprocess.run([*words, "version"], capture_output=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            return f"{program} is not installed. {HOW_TO_INSTALL}"
    return None


def rehearse_push(folder: Path, workdir: Path) -> Rehearsal:
    """Push a demo folder with Git LFS to a bare repository and clone it back.

    Needs no account, no internet and no git settings, and changes none. Everything
    happens in a temporary folder that is gone afterwards.

    Args:
        folder: The demo folder.
        workdir: Where the temporary folder goes; made if missing.

    Raises:
        DeployError: If git or Git LFS is missing or fails, or the Hub would refuse a
            file that `.gitattributes` does not send through Git LFS.
    """
    folder, workdir = Path(folder), Path(workdir)
    if missing := git_lfs_missing():
        raise DeployError(missing)
    _check_sizes(folder)
    workdir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=workdir, prefix="push-") as scratch:
        git = _Git(Path(scratch).resolve())
        _push(git, folder)
        return _clone_back(git, folder)


def _check_sizes(folder: Path) -> None:
    for path, size, storage in upload_plan(folder):
        with (folder / path).open("rb") as file:
            is_binary = b"\0" in file.read(8000)  # git's own test
        if storage == "git" and size > (MAX_BINARY_BYTES if is_binary else MAX_BYTES):
            raise DeployError(
                f"The Hub would refuse {path} ({size / 1e6:.1f} MB) without Git LFS: "
                f"add this line to {folder / '.gitattributes'}:\n"
                f"*{Path(path).suffix} filter=lfs diff=lfs merge=lfs -text"
            )


def _push(git: _Git, folder: Path) -> None:
    who = ["-c", "user.name=FoodVision", "-c", "user.email=rehearsal@example.invalid"]
    git("init", "--bare", "hub.git")
    git("clone", "hub.git", "space")
    git("-C", "space", "lfs", "install", "--local")
    for name in folder_files(folder):
        target = git.folder / "space" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / name, target)
    git("-C", "space", "add", ".")
    git("-C", "space", *who, "commit", "-m", f"Add {folder.resolve().name}")
    git("-C", "space", "push", "origin", "main")


def _clone_back(git: _Git, folder: Path) -> Rehearsal:
    git("clone", "hub.git", "check")
    check = git.folder / "check"
    in_lfs = git("-C", "check", "lfs", "ls-files", "--name-only").splitlines()
    # Before `lfs pull` the clone holds what git itself stores: pointers.
    model = max(in_lfs, key=lambda name: (folder / name).stat().st_size, default="")
    pointer = (check / model).read_text("utf-8") if model else ""
    git("-C", "check", "lfs", "install", "--local")
    git("-C", "check", "lfs", "pull")
    same = all(
        (check / name).is_file()
        and (check / name).read_bytes() == (folder / name).read_bytes()
        for name in folder_files(folder)
    )
    return Rehearsal(
        files=tuple(folder_files(check)),
        model=model,
        pointer=pointer,
        same_bytes=same,
        commands=tuple(git.commands),
    )
