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
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import jinja2

from going_modular.data_setup import PHOTOS_NAME, photos_complaint
from going_modular.downloads import PHOTOS_URL, download, zip_complaint
from going_modular.files import LessonError, atomic_write, staged_folder
from going_modular.model_builder import CONTENDERS, Contender, weights_file
from pocket.runtimes import LITE_RT
from tools.course import LESSON, ROOT, git, run

REQUIREMENTS = ("requirements.txt", "tests/requirements.txt")
LISTED = [word for file in REQUIREMENTS for word in ("-r", file)]
README = Path(__file__).with_name("stick_readme.txt.j2")


def put_course(stick: Path) -> str:
    """Copy what git has committed."""
    with replaced(stick / "course") as part:
        archive = part / "course.zip"
        try:
            git(ROOT, "archive", f"--output={archive}", "HEAD")
        except LessonError as error:
            what = "has to be a git repository, cloned and not downloaded as a zip"
            raise LessonError(f"{error} The course {what}.") from error
        shutil.unpack_archive(archive, part)
        archive.unlink()
    changed = git(ROOT, "status", "--porcelain").splitlines()
    left_out = f"; uncommitted changes left out: {len(changed)}" if changed else ""
    return f"commit {git(ROOT, 'rev-parse', '--short', 'HEAD').strip()}{left_out}"


def put_wheels(stick: Path) -> str:
    """Bring every package that the requirements ask for, for this Python and system.

    Wheels only: what is published as source is built here, not on a learner's computer.
    """
    with staged_folder(stick / "wheels") as part:
        pip = (sys.executable, "-m", "pip", "wheel", "--wheel-dir", part, *LISTED)
        try:
            run(*pip, cwd=ROOT, stdout=None, stderr=None)
        except LessonError as error:
            raise LessonError(
                "pip could not bring the packages; its own words are above. Check the "
                "connection and the room on the disk, several GB, then run this again."
            ) from error
        sizes = [wheel.stat().st_size for wheel in part.glob("*.whl")]
    where = f"{platform.system()} {platform.machine()}"
    gigabytes, version = sum(sizes) / 1e9, platform.python_version()
    return f"{len(sizes)} packages, {gigabytes:.1f} GB, for Python {version}, {where}"


def put_photos(stick: Path) -> str:
    """Copy the zip that FOODVISION_DATA names, or the published one."""
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
        return copied(archive, part / archive.name)


def put_weights(contender: Contender, stick: Path) -> str:
    """Copy a network's published weights, from PyTorch's own place or the internet."""
    if not contender.build(2).pretrained:  # this fetches and checks them
        raise LessonError(
            "They are not on this computer, and there is no internet to fetch them "
            "from. Run this again where there is."
        )
    file = weights_file(contender.weights)
    with atomic_write(stick / "weights" / "hub" / "checkpoints" / file.name) as part:
        return copied(file, part)


def put_runtime(stick: Path) -> str:
    """Copy what FoodVision Pocket runs on in a browser to where the lesson keeps it."""
    fetched, course = LITE_RT.fetch(), stick / "course"
    if not course.is_dir():
        raise LessonError("There is no copy of the course to put it in.")
    with atomic_write(course / fetched.relative_to(ROOT)) as part:
        shutil.copytree(fetched, part)
    return LITE_RT.title


def copied(file: Path, target: Path) -> str:
    """Copy a file; returns its name and size."""
    shutil.copyfile(file, target)
    return f"{file.name}, {file.stat().st_size / 1e6:.1f} MB"


@contextmanager
def replaced(folder: Path) -> Iterator[Path]:
    """Yield an empty folder that takes the place of `folder` when it is filled."""
    with atomic_write(folder) as part:
        part.mkdir()
        yield part
        shutil.rmtree(folder, ignore_errors=True)


# Each puts its part on a stick and says what it brought; a LessonError says why not.
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


def write_readme(stick: Path, said: str) -> None:
    """Write the commands for learners, for what is on the stick now."""
    how = {"trim_blocks": True, "keep_trailing_newline": True}
    template = jinja2.Template(
        README.read_text("utf-8"), undefined=jinja2.StrictUndefined, **how
    )
    text = template.render(
        wheels=sorted(file.name for file in (stick / "wheels").glob("torch-*.whl")),
        photos=next((file.name for file in (stick / "photos").glob("*.zip")), None),
        listed=" ".join(LISTED),
        lesson=LESSON,
        said=said,
    )
    with atomic_write(stick / "README.txt") as part:
        part.write_text(text, "utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Fill the stick, one failure leaving the other parts alone; returns 1 if any."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "build/stick")
    stick, said, failed = parser.parse_args(arguments).folder.absolute(), "", 0
    try:
        for name, put in PARTS.items():
            print(f"Bringing {name} ...", flush=True)
            try:
                said += f"{name}: {put(stick)}\n"
            except LessonError as error:
                said, failed = f"{said}NOT BROUGHT, {name}: {error}\n", 1
        write_readme(stick, said)
    except LessonError as error:
        sys.exit(str(error))
    print(f"\n{stick}:\n{said}The learners' commands: {stick / 'README.txt'}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
