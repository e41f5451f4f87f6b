"""Setting up .venv: with uv where there is one, else with pip."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.skipif(not shutil.which("make"), reason="needs make")


@pytest.fixture
def set_up(tmp_path):
    """Runs the Makefile's set-up in a folder without a course; returns what ran.

    Every program that it calls is a stand-in, which notes its words and does nothing.
    """
    programs, called = tmp_path / "programs", tmp_path / "called"
    programs.mkdir()
    for name in ("requirements.txt", "pyproject.toml", "tests/requirements.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    shutil.copyfile(ROOT / "Makefile", tmp_path / "Makefile")

    def put(program: Path) -> None:
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(f'#!/bin/sh\necho "{program.name} $*" >> "{called}"\n')
        program.chmod(0o755)

    def run(*names: str, has_venv: bool = True) -> list[str]:
        for name in names:
            put(programs / name)
        if has_venv:
            put(tmp_path / ".venv" / "bin" / "python")
        else:  # the stand-in makes none
            (tmp_path / ".venv").mkdir()
        env = os.environ | {"PATH": f"{programs}:/usr/bin:/bin"}
        subprocess.run(["make", ".venv/.ready"], cwd=tmp_path, env=env, check=True)
        return called.read_text().splitlines()

    return run


def test_uv_makes_an_environment_that_has_pip(set_up):
    made, installed = set_up("uv", "python3", has_venv=False)
    assert made == "uv venv --seed --python python3 .venv"
    assert installed.startswith("uv pip install --python .venv/bin/python -r")


def test_uv_keeps_an_environment_that_is_there(set_up):
    (installed,) = set_up("uv", "python3")
    assert installed.startswith("uv pip install")


@pytest.mark.skipif(
    any(Path(folder, "uv").exists() for folder in ("/usr/bin", "/bin")),
    reason="needs a system without uv",
)
def test_without_uv_pip_does_it(set_up):
    calls = set_up("python3")
    assert calls[0] == "python3 -m venv .venv"  # keeps what is there
    assert calls[1:] == [
        "python -m pip install --upgrade pip",
        "python -m pip install -r tests/requirements.txt -e .",
    ]
