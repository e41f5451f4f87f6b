"""A demo folder: filled, listed, packed, pushed in a rehearsal, sent to a Space."""

import filecmp
import itertools
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import tomllib
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from huggingface_hub import HfApi, get_token

# The base of everything the Hub's client raises; its HTTP library differs by version.
from huggingface_hub.errors import HTTPError
from huggingface_hub.utils import disable_progress_bars
from PIL import Image

from going_modular.app.model import DISH, SHOWN, ModelMetadata, open_picture, spoken
from going_modular.app_process import run
from going_modular.datasets import Sample
from going_modular.downloads import is_offline
from going_modular.files import LessonError, atomic_write, staged_folder

APP = Path(__file__).resolve().parents[1] / "demos" / "foodvision_mini"
# The files of the app beside the model and its examples: the same for every model, two
# short ones that the lesson writes, and one that says what the model knows.
PARTS = ("model.py", "page.py", "safety.py", "surroundings.py", "style.css")
COPIED = ("app.py", "contract.json", *PARTS)
WRITTEN = ("requirements.txt", ".gitattributes")
TEXTS = (*COPIED, *WRITTEN, "README.md")
# What running a demo or looking at it leaves behind: never part of the demo.
LEFTOVERS = ("__pycache__", ".git", ".gradio", ".ipynb_checkpoints", ".DS_Store")
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


class DeployError(LessonError):
    """A demo could not be packed, run, pushed or uploaded; says what to do next."""


class PlannedFile(NamedTuple):
    """One file of an upload."""

    path: str
    size: int  # bytes
    storage: str  # "LFS" or "git"


def folder_files(folder: Path) -> list[str]:
    """Paths of a demo's files, with /, sorted; no file, or a link: a DeployError."""
    if not (folder := Path(folder)).is_dir():
        raise DeployError(f"There is no folder {folder}: run the cells that write it")
    paths = [path.relative_to(folder) for path in folder.rglob("*")]
    paths = [path for path in paths if not {*path.parts} & {*LEFTOVERS}]
    if links := [path for path in paths if (folder / path).is_symlink()]:
        # Elsewhere a link points at nothing, or at something private.
        raise DeployError(f"{links[0]} is a link: put the file itself in its place")
    files = sorted(path.as_posix() for path in paths if (folder / path).is_file())
    if not files:
        raise DeployError(f"{folder} is empty: run the cells that fill it")
    return files


def write_readme(about: ModelMetadata, folder: Path) -> Path:
    """Write FoodVision Mini's README for another model: its title and its dishes."""
    names = [spoken(name) for name in about.class_names]
    dishes = f"{len(names)} dishes: **{', '.join(names)}**"
    text = (APP / "README.md").read_text("utf-8")
    text = re.sub(r"\d+ dishes: \*\*.+\*\*", lambda _: dishes, text)
    title = re.search(r"^title: (.+)$", text, re.MULTILINE)[1]
    readme = Path(folder) / "README.md"
    with atomic_write(readme) as part:
        part.write_text(text.replace(title, about.title), "utf-8", newline="\n")
    return readme


def copy_app(source: Path, folder: Path, names: Sequence[str] = COPIED) -> Path:
    """Copy files of an app to another folder, all or (a DeployError) none; returns it.

    Other files in `folder` stay; in `source` itself all stay as they are.
    """
    source, folder = Path(source), Path(folder)
    if missing := [name for name in names if not (source / name).is_file()]:
        lacking = ", ".join(missing)
        raise DeployError(f"{source} lacks {lacking}: run the cells that write it")
    if folder.resolve() != source.resolve():
        with staged_folder(folder) as part:
            for name in names:
                (part / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source / name, part / name)
    return folder


def pick_examples(
    samples: Sequence[Sample], answers: pd.DataFrame, class_names: Sequence[str]
) -> dict[str, Path]:
    """For each class the first picture, if there is one, that is rightly let through.

    `answers` are from `compare_answers`, in the order of `samples`.
    """
    good = (answers.verdict == DISH) & (answers.guess == answers.label)
    ranked = pd.DataFrame(samples, columns=["file", "label"]).assign(good=good.values)
    ranked = ranked.sort_values("good", ascending=False, kind="stable")
    chosen = ranked.groupby("label").file.first()
    return {name: chosen[label] for label, name in enumerate(class_names)}


def shown_suffix(file: Path) -> str:
    """How the name of a picture's copy ends that every browser shows."""
    suffix = Path(file).suffix
    return suffix if suffix.lower() in SHOWN else ".jpg"


def copy_shown(file: Path, target: Path) -> None:
    """Copy a picture; one that browsers do not show, such as HEIC, becomes a JPEG."""
    if Path(file).suffix.lower() in SHOWN:
        shutil.copyfile(file, target)
    else:
        Image.fromarray(open_picture(file)).save(target, "JPEG", quality=90)


def copy_examples(pictures: Mapping[str, Path], folder: Path) -> Path:
    """Make a folder hold these pictures, by name, whole, and no others; returns it."""
    wanted = {f"{name}{shown_suffix(file)}": file for name, file in pictures.items()}
    with staged_folder(folder) as part:
        for name, file in wanted.items():
            copy_shown(file, part / name)
    for old in folder.iterdir():
        if old.is_file() and old.name not in wanted:
            old.unlink(missing_ok=True)
    return folder


def list_folder(folder: Path) -> pd.DataFrame:
    """Show what a demo folder holds: a row a file, with its name ("file") and bytes."""
    rows = [(name, Path(folder, name).stat().st_size) for name in folder_files(folder)]
    return pd.DataFrame(rows, columns=["file", "bytes"])


def zip_folder(folder: Path, archive: Path) -> Path:
    """Pack a demo folder's files into a zip; returns it, whole or as it was before."""
    how = {"mode": "w", "compression": zipfile.ZIP_DEFLATED}
    with atomic_write(archive) as part, zipfile.ZipFile(part, **how) as packed:
        for name in folder_files(folder):
            packed.write(Path(folder, name), name)
    return Path(archive)


def upload_plan(folder: Path) -> list[PlannedFile]:
    """Say where each file of a demo would be stored by a push: git itself is asked.

    Only the folder's `.gitattributes` count. Without git, the storage is "unknown".
    """
    folder, names = Path(folder).resolve(), folder_files(folder)
    how = {"cwd": folder, "env": clean_git(), "input": "\0".join(names)}
    try:
        with tempfile.TemporaryDirectory() as scratch:
            # An empty repository of its own: the course's has other rules.
            run("git", "init", "--quiet", "--bare", scratch, env=clean_git())
            git = ("git", f"--git-dir={scratch}", f"--work-tree={folder}")
            reply = run(*git, "check-attr", "-z", "--stdin", "filter", **how)
    except LessonError:
        storage = dict.fromkeys(names, "unknown")
    else:
        fields = reply.split("\0")  # path, "filter", value; path, ...
        filters = zip(fields[::3], fields[2::3], strict=False)
        storage = {name: "LFS" if how == "lfs" else "git" for name, how in filters}
    return [PlannedFile(n, (folder / n).stat().st_size, storage[n]) for n in names]


def clean_git() -> dict[str, str]:
    """An environment in which git sees no settings of the reader's, or of a hook."""
    own = {name: text for name, text in os.environ.items() if name[:4] != "GIT_"}
    return own | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}


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
    env = clean_git() | {"GIT_CONFIG_GLOBAL": str(settings), "GIT_TERMINAL_PROMPT": "0"}
    env["XDG_CONFIG_HOME"] = str(scratch)  # the reader's global ignore file, too
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
    copy_app(folder, space, names)
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


def upload_to_space(folder: Path, space_name: str, *, token: str, hardware=None) -> str:
    """Create a Space if there is none, upload a demo folder; returns its address.

    Other files of the Space stay. After a failure (a DeployError) it can be called
    again. `hardware` is what a new Space runs on; None is the Hub's default, CPU Basic.
    """
    folder, token = Path(folder), token.strip()
    files, readme = list_folder(folder), folder / "README.md"
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
        places = itertools.product(("", "*/"), LEFTOVERS, ("", "/*"))
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
