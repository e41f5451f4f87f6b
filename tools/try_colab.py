"""Run the lesson as Colab does: with its packages, and the notebook alone in a folder.

Google publishes what a runtime holds, as a list of `NAME==VERSION` (the repository
googlecolab/backend-info, pip-freeze.txt). Of it an environment is made in build/colab/,
for this Python, of 12 GB; what has no wheel is left out, by name. Then the lesson's
requirements go in by pip, which may replace nothing and print no error.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from packaging.utils import canonicalize_name

from going_modular.files import LessonError
from tools.course import (
    LESSON,
    ROOT,
    copy_course,
    offline_environment,
    run,
    with_address,
)

FOLDER = ROOT / "build" / "colab"
PUBLISHED = ROOT.parent / "shared" / "colab_packages.txt"
CLASHES = re.compile(r"^ERROR|incompatible", re.MULTILINE)  # pip prints these in red
NO_WHEEL = re.compile(r"Because (\S+)==\S+ has no ")


def read_list(file: Path) -> dict[str, str]:
    """The packages of a list that PyPI could have: a line of the list by name."""
    lines = [line.strip() for line in file.read_text("utf-8").splitlines()]
    # Those of CUDA belong to the build of PyTorch, and come with it.
    held = [line for line in lines if "==" in line and "nvidia" not in line]
    return {canonicalize_name(line.split("==")[0]): line for line in held}


def make_environment(held: dict[str, str]) -> Path:
    """Install a list; what has no wheel is taken out of it. Returns its Python."""
    run(sys.executable, "-m", "venv", FOLDER / "uv")  # uv tells what cannot be had
    uv, python = FOLDER / "uv" / "bin" / "uv", FOLDER / "env" / "bin" / "python"
    run(uv.with_name("pip"), "install", "-q", "uv")
    run(uv, "venv", "--clear", "--seed", FOLDER / "env", "--python", sys.executable)
    wheels = (uv, "pip", "install", "--python", python, "--no-build")
    file = FOLDER / "list.txt"
    while True:
        file.write_text("\n".join(held.values()), "utf-8")
        try:
            run(*wheels, "--no-deps", "-r", file)
        except LessonError as error:
            if (match := NO_WHEEL.search(str(error))) is None:
                raise
            print(f"no wheel: {held.pop(canonicalize_name(match[1]))}")
        else:
            run(*wheels, held["torch"], "-c", file)
            return python


def install(python: Path, held: dict[str, str]) -> None:
    """Install what the lesson asks for; something replaced is a LessonError."""
    report = FOLDER / "report.json"
    asked = ("-r", ROOT / "requirements.txt", "--report", report)
    said = run(python, "-m", "pip", "install", *asked, stderr=subprocess.STDOUT)
    items = [item["metadata"] for item in json.loads(report.read_text())["install"]]
    names = {canonicalize_name(item["name"]) for item in items}
    print(f"added to {len(held)} of Colab's: {', '.join(sorted(names - held.keys()))}")
    if (replaced := names & held.keys()) or CLASHES.search(said):
        raise LessonError(f"{said}\nreplaced: {replaced}")


def run_alone(python: Path) -> None:
    """Run the lesson in an empty folder, from a git address on this disk."""
    with tempfile.TemporaryDirectory() as scratch:
        course = copy_course(Path(scratch, "course"), as_repository=True)
        alone = Path(scratch, "content", LESSON)
        alone.parent.mkdir()
        alone.write_text(with_address(course.as_uri()), "utf-8")
        convert = ("nbconvert", "--to", "notebook", "--execute", "--inplace", LESSON)
        where = {"cwd": alone.parent, "env": offline_environment()}
        try:
            run(python, "-m", *convert, "--ExecutePreprocessor.timeout=1800", **where)
        finally:
            shutil.copy(alone, FOLDER)


def main() -> None:
    """Build, install, run; ends with an error if Colab would show one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("list", type=Path, nargs="?", default=PUBLISHED)
    held = read_list(parser.parse_args().list)
    try:
        python = make_environment(held)
        install(python, held)
        run_alone(python)
    except LessonError as error:
        sys.exit(str(error))
    print(f"The lesson ran to its end, alone in a folder: {FOLDER / LESSON}")


if __name__ == "__main__":
    main()
