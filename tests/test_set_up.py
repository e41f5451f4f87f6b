"""Setting up .venv: with uv where there is one, else with pip."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PIP = [
    "python -m pip install --upgrade pip",
    "python -m pip install -r tests/requirements.txt -e .",
]
UV = ["uv pip install --python .venv/bin/python -r tests/requirements.txt -e ."]
# Stands in for every program: notes its words and does nothing.
PROGRAM = """#!/bin/sh
[ "$1" != -c ] || exit {fails}
echo "$(basename "$0") $*" >> "{folder}/called"
case "$*" in venv*|*"-m venv"*)
  mkdir -p .venv/bin && cp "{folder}/programs/python3" .venv/bin/python;; esac
"""


@pytest.mark.skipif(
    not shutil.which("make")
    or any(Path(at, "uv").exists() for at in ("/usr/bin", "/bin")),
    reason="needs make, and a system without uv",
)
@pytest.mark.parametrize(
    ("programs", "too_old", "ran"),
    [
        (["uv"], [], ["uv venv --seed --python python3 .venv", *UV]),
        (["uv", ".venv"], [], UV),
        ([".venv"], [], PIP),
        ([".venv"], [".venv"], ["python3 -m venv .venv", *PIP]),
        ([], ["python3"], []),
    ],
    ids=["uv makes it", "uv keeps it", "pip keeps it", "an old one goes", "too old"],
)
def test_an_environment_is_made_or_kept(programs, too_old, ran, tmp_path):
    for name in ("requirements.txt", "pyproject.toml", "tests/requirements.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    shutil.copyfile(ROOT / "Makefile", tmp_path / "Makefile")
    for program in ("python3", *programs):
        there = [".venv/bin/python", ".venv/bin/pip"]
        for place in there if program == ".venv" else [f"programs/{program}"]:
            file, fails = tmp_path / place, int(program in too_old)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(PROGRAM.format(folder=tmp_path, fails=fails))
            file.chmod(0o755)
    env = os.environ | {"PATH": f"{tmp_path}/programs:/usr/bin:/bin"}
    done = subprocess.run(["make", ".venv/.ready"], cwd=tmp_path, env=env)
    called = tmp_path / "called"
    assert (called.read_text().splitlines() if called.exists() else []) == ran
    assert bool(done.returncode) == (not ran) != (tmp_path / ".venv").exists()
