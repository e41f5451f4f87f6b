"""Fill a folder, or a memory stick, with all that a classroom without internet needs.

    python -m tools.fill_stick            into build/stick/
    python -m tools.fill_stick FOLDER     into a folder of your choice

Each part comes whole or not at all. What cannot be brought is listed with its reason,
on the screen and in the stick's README.txt. Wheels add up: run it with each Python and
on each kind of computer that the learners have, into the same folder.
"""

import argparse
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import jinja2

from going_modular.data_setup import PHOTOS_NAME, photos_complaint
from going_modular.downloads import PHOTOS_URL, download, zip_complaint
from going_modular.files import LessonError, atomic_write, staged_folder
from going_modular.model_builder import CONTENDERS, Contender, weights_file
from going_modular.pocket.runtimes import LITE_RT
from tools.kernel import less_astray

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS = ("requirements.txt", "tests/requirements.txt")
LESSON = "09_pytorch_model_deployment.ipynb"
README = jinja2.Template(
    Path(__file__).with_name("stick_readme.txt.j2").read_text("utf-8"),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    keep_trailing_newline=True,
)


def put_course(stick: Path) -> str:
    """Copy what git has committed.

    Raises:
        LessonError: If this is no git repository, or git is missing.
    """
    with replaced(stick / "course") as part:
        archive = part / "course.zip"
        git("archive", f"--output={archive}", "HEAD")
        shutil.unpack_archive(archive, part)
        archive.unlink()
    commit, changed = git("rev-parse", "--short", "HEAD"), git("status", "--porcelain")
    left_out = f"; uncommitted changes left out: {len(changed.splitlines())}"
    return f"commit {commit}{left_out if changed else ''}"


def git(*words: str) -> str:
    """What a git command prints about this repository.

    Raises:
        LessonError: If it fails.
    """
    command = ["git", "-C", str(ROOT), *words]
    try:
        run = subprocess.run(
            command,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            env=less_astray(),
        )
    except OSError as error:
        raise LessonError(f"git could not be started ({error}). Install it.") from error
    if run.returncode:
        raise LessonError(
            f"git {words[0]} failed ({run.stderr.strip()}). The course has to be a git "
            "repository, cloned and not downloaded as a zip."
        )
    return run.stdout.strip()


def put_wheels(stick: Path) -> str:
    """Bring every package that the requirements ask for, for this Python and system.

    Wheels only: what is published as source is built here, not on a learner's computer.

    Raises:
        LessonError: If pip cannot bring all of them.
    """
    command = [sys.executable, "-m", "pip", "wheel", "--wheel-dir"]
    wanted = [word for file in REQUIREMENTS for word in ("-r", file)]
    with staged_folder(stick / "wheels") as part:
        if subprocess.run([*command, str(part), *wanted], cwd=ROOT).returncode:
            raise LessonError(
                "pip could not bring the packages; its own words are above. Check the "
                "connection and the room on the disk, several GB, then run this again."
            )
        wheels = list(part.glob("*.whl"))
        size = sum(wheel.stat().st_size for wheel in wheels)
    here = (
        f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    )
    return f"{len(wheels)} packages, {size / 1e9:.1f} GB, for {here}"


def put_photos(stick: Path) -> str:
    """Copy the zip that FOODVISION_DATA names, or the published one.

    Raises:
        LessonError: If there is no whole zip to be had.
    """
    if given := os.environ.get("FOODVISION_DATA", "").strip():
        archive = Path(given).expanduser()
        if not archive.is_file():
            raise LessonError(
                f"FOODVISION_DATA is {given!r}. A stick wants a zip on this disk: name "
                "one, or unset it to bring the published photos."
            )
        if complaint := zip_complaint(archive):
            raise LessonError(f"{archive} was not copied: the file {complaint}.")
    else:
        archive = ROOT / "data" / f"{PHOTOS_NAME}.zip"
        download(PHOTOS_URL, archive, verify=photos_complaint)
    with replaced(stick / "photos") as part:
        shutil.copyfile(archive, part / archive.name)
    return f"{archive.name}, {archive.stat().st_size / 1e6:.1f} MB"


def put_weights(contender: Contender, stick: Path) -> str:
    """Copy a network's published weights, from PyTorch's own place or the internet.

    Raises:
        LessonError: If they are not here and cannot be had.
    """
    if not contender.build(2).pretrained:  # this fetches and checks them
        raise LessonError(
            "They are not on this computer, and there is no internet to fetch them "
            "from. Run this again where there is."
        )
    file = weights_file(contender.weights)
    with atomic_write(stick / "weights" / "hub" / "checkpoints" / file.name) as part:
        shutil.copyfile(file, part)
    return f"{file.name}, {file.stat().st_size / 1e6:.1f} MB"


def put_runtime(stick: Path) -> str:
    """Copy what FoodVision Pocket runs on in a browser to where the lesson keeps it.

    Raises:
        LessonError: If npm cannot bring it, or there is no course to put it in.
    """
    fetched = LITE_RT.fetch()
    course = stick / "course"
    if not course.is_dir():
        raise LessonError("There is no copy of the course to put it in.")
    target = course / fetched.relative_to(ROOT)
    with atomic_write(target) as part:
        shutil.copytree(fetched, part)
    return LITE_RT.title


@contextmanager
def replaced(folder: Path) -> Iterator[Path]:
    """Yield an empty folder that takes the place of `folder` when it is filled."""
    with atomic_write(folder) as part:
        part.mkdir()
        yield part
        shutil.rmtree(folder, ignore_errors=True)


PARTS: dict[str, Callable[[Path], str]] = {
    "the course": put_course,
    "packages": put_wheels,
    "photos": put_photos,
    **{
        f"weights of {contender.name}": partial(put_weights, contender)
        for contender in CONTENDERS
        if contender.weights
    },
    "the browser demo's runtime": put_runtime,
}


def fill(
    stick: Path, parts: Mapping[str, Callable[[Path], str]]
) -> tuple[dict[str, str], dict[str, str]]:
    """Put each part on the stick, one failure leaving the others alone.

    Returns:
        What was brought, and what was not and why, both by the name of the part.
    """
    brought, missing = {}, {}
    for name, put in parts.items():
        print(f"Bringing {name} ...", flush=True)
        try:
            brought[name] = put(stick)
        except LessonError as error:
            missing[name] = str(error)
    return brought, missing


def summary(brought: Mapping[str, str], missing: Mapping[str, str]) -> str:
    """What was brought and what was not, a line for each."""
    lines = [f"{name}: {what}" for name, what in brought.items()]
    lines += [f"NOT BROUGHT, {name}: {why}" for name, why in missing.items()]
    return "\n".join(lines)


def write_readme(stick: Path, said: str) -> None:
    """Write the commands for learners, for what is on the stick now."""
    text = README.render(
        wheels=sorted(file.name for file in (stick / "wheels").glob("torch-*.whl")),
        photos=next((file.name for file in (stick / "photos").glob("*.zip")), None),
        listed=" ".join(f"-r {file}" for file in REQUIREMENTS),
        lesson=LESSON,
        said=said,
    )
    with atomic_write(stick / "README.txt") as part:
        part.write_text(text, "utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Fill the stick; returns 1 if something is missing on it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "build/stick")
    stick = parser.parse_args(arguments).folder.absolute()
    try:
        brought, missing = fill(stick, PARTS)
        said = summary(brought, missing)
        write_readme(stick, said)
    except LessonError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("Interrupted. Parts that were complete are kept.")
    print(f"\n{stick}:\n{said}\nThe learners' commands: {stick / 'README.txt'}")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
