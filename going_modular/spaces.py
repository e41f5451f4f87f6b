"""Rehearse a push to a Hugging Face Space on your own disk, and send a folder to one.

The rehearsal is real git and Git LFS, against a Hub made of a folder.
"""

import filecmp
import itertools
import os
import re
import shlex
import subprocess
import tempfile
import tomllib
from pathlib import Path
from typing import NamedTuple

from huggingface_hub import HfApi, get_token

# The base of everything the Hub's client raises; its HTTP library differs by version.
from huggingface_hub.errors import HTTPError
from huggingface_hub.utils import disable_progress_bars

from going_modular import demo_folder
from going_modular.app_process import run
from going_modular.demo_folder import DeployError, folder_files, upload_plan
from going_modular.downloads import is_offline
from going_modular.files import LessonError

# What the Hub takes outside Git LFS: huggingface_hub#657 (binary), #91 (any file).
MAX_BINARY_BYTES = 1_000_000
MAX_BYTES = 10_000_000
SAFE = re.compile(r"([A-Za-z]:)?[\w./\\ ~-]+")  # a path with nothing of a URL's
SDK = re.compile(r"\A---\n.*?^sdk: *(\w+).*?^---", re.DOTALL | re.MULTILINE)
HOW_TO_INSTALL = (
    "Debian, Ubuntu, Colab: apt-get install git git-lfs; "
    "macOS: brew install git-lfs; Windows: https://gitforwindows.org has both"
)
REFUSALS = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))


def embed_address(space: str) -> str:
    """Where a Space's app, "USER/NAME", answers without the Hub's page around it."""
    host = space.lower().replace("/", "-").replace("_", "-")
    return f"https://{host}.hf.space"


class Rehearsal(NamedTuple):
    """What a push that was cloned back showed."""

    files: list[str]  # paths that the other side now has, sorted
    model: str  # path of the largest file that went through Git LFS, "" if none did
    pointer: str  # the text that git stores in its place
    same_bytes: bool  # whether every file of the folder came back, byte for byte
    commands: list[str]  # as they were run, in order


def git_lfs_missing() -> str | None:
    """What a rehearsal lacks, and how to install it; None if all is there."""
    for program, words in (("git", ["git"]), ("git-lfs", ["git", "lfs"])):
        try:
            run(*words, "version")
        except LessonError:
            return f"{program} is not installed. {HOW_TO_INSTALL}"
    return None


def rehearse_push(folder: Path, workdir: Path) -> Rehearsal:
    """Push a demo folder with Git LFS to a bare repository and clone it back.

    Needs no account, no internet and no git settings, and leaves nothing in `workdir`.
    What git or Git LFS lacks, or the Hub would refuse without it, is a LessonError.
    """
    if missing := git_lfs_missing():
        raise DeployError(missing)
    folder, place = Path(folder), Path(workdir).resolve()
    for path, size, storage in upload_plan(folder):
        with (folder / path).open("rb") as file:
            is_binary = b"\0" in file.read(8000)  # git's own test
        if storage == "git" and size > (MAX_BINARY_BYTES if is_binary else MAX_BYTES):
            raise DeployError(
                f"The Hub would refuse {path} ({size / 1e6:.1f} MB) without Git LFS: "
                f"add this line to {folder / '.gitattributes'}:\n"
                f"*{Path(path).suffix} filter=lfs diff=lfs merge=lfs -text"
            )
    place.mkdir(parents=True, exist_ok=True)
    # Git LFS could take a path such as "C#" for an address: then among the system's.
    place = place if SAFE.fullmatch(str(place)) else None
    with tempfile.TemporaryDirectory(dir=place, prefix="push-") as scratch:
        return _push_and_clone(folder, Path(scratch).resolve())


def _push_and_clone(folder: Path, scratch: Path) -> Rehearsal:
    settings, commands = scratch / "gitconfig", []
    settings.write_text("[init]\n\tdefaultBranch = main\n[safe]\n\tdirectory = *\n")
    env = demo_folder.clean_git() | {
        "GIT_CONFIG_GLOBAL": str(settings),
        "GIT_TERMINAL_PROMPT": "0",
        "XDG_CONFIG_HOME": str(scratch),  # the reader's global ignore file, too
    }
    how = {"cwd": scratch, "env": env, "stdin": subprocess.DEVNULL, "timeout": 300}

    def git(*words: str) -> str:
        commands.append(shlex.join(("git", *words)))
        return run("git", *words, **how)

    who = ["-c", "user.name=FoodVision", "-c", "user.email=rehearsal@example.invalid"]
    git("init", "--bare", "hub.git")
    git("clone", "hub.git", "space")
    git("-C", "space", "lfs", "install", "--local")
    space, check = scratch / "space", scratch / "check"
    names = folder_files(folder)
    demo_folder.copy_app(folder, space, names)
    git("-C", "space", "add", ".")
    git("-C", "space", *who, "commit", "-m", f"Add {folder.resolve().name}")
    git("-C", "space", "push", "origin", "main")
    git("clone", "hub.git", "check")
    in_lfs = git("-C", "check", "lfs", "ls-files", "--name-only").splitlines()
    # Until `lfs pull`, the clone holds what git itself stores: pointers.
    model = max(in_lfs, key=lambda name: (space / name).stat().st_size, default="")
    pointer = (check / model).read_text("utf-8") if model else ""
    git("-C", "check", "lfs", "install", "--local")
    git("-C", "check", "lfs", "pull")
    # What was copied, not the folder: another run may be writing there just now.
    same, *_ = filecmp.cmpfiles(space, check, names, shallow=False)
    same_bytes = len(same) == len(names)
    return Rehearsal(folder_files(check), model, pointer, same_bytes, commands)


def upload_if_asked(folder: Path, *, is_practice: bool) -> str | None:
    """Upload a demo folder if the environment names a Space; else show what would go.

    Nothing is sent without internet, or of a model that learned from drawn pictures
    (`is_practice`). Returns what FOODVISION_SPACE names, whatever was sent.
    """
    space, hardware = map(os.getenv, ("FOODVISION_SPACE", "FOODVISION_HARDWARE"))
    if space and not (is_practice or is_offline()) and (token := get_token()):
        url = upload_to_space(folder, space, token=token, hardware=hardware)
        print("Live after the build:", url)
        return space
    print("Nothing is sent; that takes FOODVISION_SPACE, a token, photos, internet.")
    for planned in upload_plan(folder):
        print(f"{planned.size / 1e6:8.3f} MB by {planned.storage:7} {planned.path}")
    return space


def upload_to_space(
    folder: Path, space_name: str, *, token: str, hardware: str | None = None
) -> str:
    """Create a Space if there is none, upload a demo folder; returns its address.

    Other files of the Space stay. After a failure (a DeployError) it can be called
    again. `hardware` is what a new Space runs on; None is the Hub's default, CPU Basic.
    """
    folder, token = Path(folder), token.strip()
    files, readme = demo_folder.list_folder(folder), folder / "README.md"
    sdk = SDK.match(readme.read_text("utf-8") if readme.is_file() else "")
    if not re.fullmatch(r"[!-~]+", token):
        raise DeployError(
            "The token is empty or holds characters no token has: copy it once more "
            "from https://huggingface.co/settings/tokens"
        )
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", space_name):
        raise DeployError(f'{space_name!r} is not a Space: write it as "user/space"')
    if not sdk:
        raise DeployError(
            f"{readme} must name the kind of Space, with a line sdk: gradio or sdk: "
            "static in its front matter. Is it the right folder?"
        )
    print(f"Uploading {len(files)} files, {files.bytes.sum() / 1e6:.1f} MB", flush=True)
    disable_progress_bars()  # in a notebook they would be widgets, stored in the file
    try:
        api, where = HfApi(token=token), {"repo_id": space_name, "repo_type": "space"}
        # exist_ok: whoever has the Space already may update it, whatever the plan.
        how = {"space_sdk": sdk[1], "space_hardware": hardware, "exist_ok": True}
        url = api.create_repo(**where, **how)
        places = itertools.product(("", "*/"), demo_folder.LEFTOVERS, ("", "/*"))
        ignored = ["".join(parts) for parts in places]
        what = {"folder_path": folder, "ignore_patterns": ignored}
        message = f"Upload {folder.resolve().name}"
        api.upload_folder(**where, **what, commit_message=message)
        return str(url)
    except (HTTPError, OSError, RuntimeError, ValueError) as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        said = getattr(error, "server_message", None) or repr(error)
        hint = REFUSALS.get(f"{status}", f"the Hub answered {status}; try again later")
        said = f"{hint.strip()}\nIn its own words: {said}"
        # Not chained: an HTTP library's own message may quote the token's header.
        said = said.replace(token, "(the token)")
        raise DeployError(f"{space_name} was not uploaded: {said}") from None
