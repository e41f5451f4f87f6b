"""Fill a folder, or a memory stick, with all that a classroom without internet needs.

`python -m tools.fill_stick FOLDER` fills a folder of your choice, else build/stick/.
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
from functools import partial
from pathlib import Path

import jinja2

from going_modular.data_setup import PHOTOS_NAME, photos_complaint
from going_modular.downloads import PHOTOS_URL, download, zip_complaint
from going_modular.files import LessonError, atomic_write, staged_folder
from going_modular.model_builder import CONTENDERS, Contender, weights_file
from pocket.runtimes import LITE_RT
from tools.course import LESSON, ROOT, run

GIT = ("git", "-C", ROOT)
LISTED = "-r requirements.txt -r tests/requirements.txt"
README = Path(__file__).with_name("stick_readme.txt.j2")

Put = Callable[[Path], str]  # fills a folder and says with what; a LessonError: why not


def put_course(folder: Path) -> str:
    """What git has committed."""
    archive = folder / "course.zip"
    run(*GIT, "archive", f"--output={archive}", "HEAD")
    shutil.unpack_archive(archive, folder)
    archive.unlink()
    changed = len(run(*GIT, "status", "--porcelain").splitlines())
    commit = run(*GIT, "rev-parse", "--short", "HEAD").strip()
    return f"commit {commit}; uncommitted changes left out: {changed}"


def put_wheels(folder: Path) -> str:
    """Wheels only: what is published as source is built here, not by a learner."""
    pip = (sys.executable, "-m", "pip", "wheel", "--wheel-dir", folder)
    run(*pip, *LISTED.split(), cwd=ROOT, stdout=None, stderr=None)  # pip tells itself
    number, version = len(list(folder.glob("*.whl"))), platform.python_version()
    return f"{number}, for Python {version}, {platform.system()} {platform.machine()}"


def put_photos(folder: Path) -> str:
    """The zip that FOODVISION_DATA names, or the published one."""
    given = os.environ.get("FOODVISION_DATA", "").strip()
    archive = Path(given or ROOT / "data" / f"{PHOTOS_NAME}.zip").expanduser()
    if not given:
        download(PHOTOS_URL, archive, verify=photos_complaint)
    elif not archive.is_file():
        raise LessonError(
            f"FOODVISION_DATA is {given!r}. A stick wants a zip on this disk: name "
            "one, or unset it to bring the published photos."
        )
    elif complaint := zip_complaint(archive):
        raise LessonError(f"{archive} was not copied: the file {complaint}.")
    shutil.copy(archive, folder)
    return archive.name


def put_weights(contender: Contender, folder: Path) -> str:
    """A network's published weights, from PyTorch's own place or the internet."""
    if not contender.build(2).pretrained:  # this fetches and checks them
        raise LessonError("They are not here. Run this again where there is internet.")
    return Path(shutil.copy(weights_file(contender.weights), folder)).name


def put_runtime(folder: Path) -> str:
    """What FoodVision Pocket runs on in a browser, where the lesson keeps it."""
    fetched = LITE_RT.fetch()
    shutil.copytree(fetched, folder / fetched.relative_to(ROOT))
    return LITE_RT.title


def parts() -> Iterator[tuple[str, str, Put]]:
    """Each part of a stick: its name, its folder, and what fills that."""
    yield "the course", "course", put_course
    yield "packages", "wheels", put_wheels
    yield "photos", "photos", put_photos
    for each in (contender for contender in CONTENDERS if contender.weights):
        put = partial(put_weights, each)
        yield f"weights of {each.name}", "weights/hub/checkpoints", put
    yield "the browser demo's runtime", "course", put_runtime


def main(arguments: list[str] | None = None) -> int:
    """Fill the stick, one failure leaving the other parts alone; returns 1 if any."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "build/stick")
    stick, said, failed = parser.parse_args(arguments).folder.absolute(), "", 0
    for name, folder, put in parts():
        print(f"Bringing {name} ...", flush=True)
        try:
            with staged_folder(stick / folder) as part:
                what = put(part)
                if put in (put_course, put_photos):  # of the others, earlier files stay
                    shutil.rmtree(stick / folder, ignore_errors=True)
            said += f"{name}: {what}\n"
        except LessonError as error:
            said, failed = f"{said}NOT BROUGHT, {name}: {error}\n", 1
    readme = jinja2.Template(README.read_text("utf-8"), trim_blocks=True).render(
        wheels=sorted(file.name for file in (stick / "wheels").glob("torch-*.whl")),
        photos=next((file.name for file in (stick / "photos").glob("*.zip")), None),
        listed=LISTED,
        lesson=LESSON,
        said=said,
    )
    try:
        with atomic_write(stick / "README.txt") as part:
            part.write_text(readme, "utf-8")
    except LessonError as error:
        sys.exit(str(error))
    print(f"\n{stick}:\n{said}The learners' commands: {stick / 'README.txt'}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
