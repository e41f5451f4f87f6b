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

    def put(program: Path, checks: str = "exit 0") -> None:
        program.parent.mkdir(parents=True, exist_ok=True)
        makes = f'mkdir -p .venv/bin && cp "{programs}/python3" .venv/bin/python'
        program.write_text(f"""#!/bin/sh
[ "$1" != -c ] || {checks}
echo "$(basename "$0") $*" >> "{called}"
case "$*" in venv*|*"-m venv"*) {makes};; esac
""")
        program.chmod(0o755)

    def run(*names: str, there: str = "", checks: str = "exit 0") -> list[str]:
        for name in {"python3", *names}:
            put(programs / name, checks)
        for name in ("python", "pip") if there else ():
            put(tmp_path / ".venv" / "bin" / name, there)
        env = os.environ | {"PATH": f"{programs}:/usr/bin:/bin"}
        subprocess.run(["make", ".venv/.ready"], cwd=tmp_path, env=env, check=True)
        return called.read_text().splitlines()

    return run


PIP = [
    "python -m pip install --upgrade pip",
    "python -m pip install -r tests/requirements.txt -e .",
]
WITHOUT_UV = pytest.mark.skipif(
    any(Path(folder, "uv").exists() for folder in ("/usr/bin", "/bin")),
    reason="needs a system without uv",
)


@pytest.mark.parametrize(
    ("there", "made"), [("", ["uv venv --seed --python python3 .venv"]), ("exit 0", [])]
)
def test_uv_makes_an_environment_or_keeps_the_one_that_is_there(there, made, set_up):
    *before, installed = set_up("uv", there=there)
    assert before == made
    assert installed.startswith("uv pip install --python .venv/bin/python -r")


@WITHOUT_UV
@pytest.mark.parametrize(
    ("there", "made"), [("exit 0", []), ("exit 1", ["python3 -m venv .venv"])]
)
def test_without_uv_pip_does_it_and_an_older_python_is_replaced(there, made, set_up):
    assert set_up(there=there) == [*made, *PIP]


@WITHOUT_UV
def test_an_older_python_is_refused_before_anything_is_made(set_up, tmp_path):
    with pytest.raises(subprocess.CalledProcessError):
        set_up(checks="exit 1")
    assert not (tmp_path / "called").exists() and not (tmp_path / ".venv").exists()
