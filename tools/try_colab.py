"""Run the lesson as Colab does: with its packages, and the notebook alone in a folder.

Google publishes what a runtime holds, as a list of `NAME==VERSION` (the repository
googlecolab/backend-info, pip-freeze.txt). Of it an environment is made in build/colab/,
of 12 GB; what has no wheel is left out, by name. Then the lesson's requirements go in
by pip, which may replace nothing and print no error.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.drawn_outputs import LEFT_OUT, OFFLINE, copy_course

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "build" / "colab"
PUBLISHED = ROOT.parent / "shared" / "colab_packages.txt"
LESSON = "09_pytorch_model_deployment.ipynb"
PYTHON = "3.13"  # of Colab
CLASHES = re.compile(r"^ERROR|incompatible", re.MULTILINE)  # pip prints these in red
NO_WHEEL = re.compile(r"Because (\S+)==\S+ has no ")


def run(*command: str | Path, **how) -> subprocess.CompletedProcess:
    """Run a program to its end and keep what it prints."""
    return subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **how
    )


def plain(name: str) -> str:
    """A package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_list(file: Path) -> dict[str, str]:
    """The packages of a list that PyPI could have: a line of the list by name."""
    lines = [line.strip() for line in file.read_text("utf-8").splitlines()]
    pairs = {plain(line.split("==")[0]): line for line in lines if "==" in line}
    # Those of CUDA belong to the build of PyTorch, and come with it.
    return {name: line for name, line in pairs.items() if "nvidia" not in name}


def make_uv(folder: Path) -> Path:
    """A uv, which tells at once what cannot be had."""
    if not (uv := folder / "uv" / "bin" / "uv").exists():
        run(sys.executable, "-m", "venv", folder / "uv", check=True)
        run(uv.with_name("pip"), "install", "-q", "uv", check=True)
    return uv


def fill(uv: Path, python: Path, held: dict[str, str]) -> list[str]:
    """Install a list as it is; returns what has no wheel here."""
    wheels = [uv, "pip", "install", "--python", python, "--no-build"]
    left_out, file = [], python.parents[1] / "list.txt"
    while True:
        file.write_text("\n".join(held.values()), "utf-8")
        done = run(*wheels, "--no-deps", "-r", file)
        if not done.returncode:
            break
        if (match := NO_WHEEL.search(done.stdout)) is None:
            sys.exit(done.stdout)
        left_out.append(held.pop(plain(match[1])))
    run(*wheels, held["torch"], "-c", file, check=True)
    return left_out


def install(python: Path, held: dict[str, str]) -> tuple[list[str], list[str], str]:
    """Install what the lesson asks for: what is added, what replaced, pip's words."""
    pip = [python, "-m", "pip"]
    report = python.parents[1] / "report.json"
    asked = ["-r", ROOT / "requirements.txt"]
    done = run(*pip, "install", *asked, "--report", report)
    if done.returncode:
        sys.exit(done.stdout)
    items = [item["metadata"] for item in json.loads(report.read_text())["install"]]
    names = {plain(item["name"]): f"{item['name']} {item['version']}" for item in items}
    replaced = [text for name, text in names.items() if name in held]
    return sorted(set(names.values()) - set(replaced)), replaced, done.stdout


def run_alone(python: Path) -> str:
    """Run the lesson in an empty folder, from a git address on this disk."""
    with tempfile.TemporaryDirectory() as scratch:
        course, alone = copy_course(Path(scratch, "course")), Path(scratch, "content")
        for words in (
            "init -q",
            "add .",
            "-c user.name=a -c user.email=a@b commit -qm a",
        ):
            run("git", "-C", course, *words.split(), check=True)
        alone.mkdir()
        book = (course / LESSON).read_text("utf-8")
        book = book.replace('REPO = \\"', f'REPO = \\"{course.as_uri()}', 1)
        (alone / LESSON).write_text(book, "utf-8")
        env = {
            name: value for name, value in os.environ.items() if name not in LEFT_OUT
        }
        command = ["-m", "nbconvert", "--to", "notebook", "--execute", "--inplace"]
        limit = "--ExecutePreprocessor.timeout=1800"
        done = run(python, *command, limit, LESSON, cwd=alone, env=env | OFFLINE)
        shutil.copy(alone / LESSON, FOLDER)
    return done.stdout if done.returncode else ""


def main(arguments: list[str] | None = None) -> None:
    """Build, install, run; ends with an error if Colab would show one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("list", type=Path, nargs="?", default=PUBLISHED)
    parser.add_argument("--python", default=PYTHON, help="a version, or a program")
    asked = parser.parse_args(arguments)
    held = read_list(asked.list)
    FOLDER.mkdir(parents=True, exist_ok=True)
    uv, python = make_uv(FOLDER), FOLDER / "env" / "bin" / "python"
    make = [uv, "venv", "--clear", "--seed", python.parents[1], "--python"]
    if run(*make, asked.python).returncode:
        print(f"There is no Python {asked.python} here: another one stands in for it.")
        run(*make, sys.executable, check=True)
    left_out = fill(uv, python, held)
    print(f"{len(held)} of Colab's packages; no wheel: {', '.join(left_out)}")
    added, replaced, said = install(python, held)
    print(
        f"{len(added)} added: {', '.join(added)}\n{len(replaced)} replaced: {replaced}"
    )
    if replaced or CLASHES.search(said):
        sys.exit(said)
    if wrong := run_alone(python):
        sys.exit(wrong)
    print(f"The lesson ran to its end, alone in a folder: {FOLDER / LESSON}")


if __name__ == "__main__":
    main()
