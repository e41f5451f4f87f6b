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
pytestmark = pytest.mark.skipif(
    not shutil.which("make")
    or any(Path(at, "uv").exists() for at in ("/usr/bin", "/bin")),
    reason="needs make, and a system without uv",
)


@pytest.fixture
def set_up(tmp_path):
    """Runs the Makefile's set-up in a folder without a course; returns what ran.

    Every program that it calls is a stand-in, which notes its words and does nothing.
    """
    programs, called = tmp_path / "programs", tmp_path / "called"
    for name in ("requirements.txt", "pyproject.toml", "tests/requirements.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    shutil.copyfile(ROOT / "Makefile", tmp_path / "Makefile")

    def put(program: Path, checks: str) -> None:
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


@pytest.mark.parametrize(
    ("names", "there", "ran"),
    [
        (["uv"], "", ["uv venv --seed --python python3 .venv", *UV]),
        (["uv"], "exit 0", UV),
        ([], "exit 0", PIP),
        ([], "exit 1", ["python3 -m venv .venv", *PIP]),
    ],
    ids=["uv makes it", "uv keeps what is there", "pip does", "an old Python goes"],
)
def test_an_environment_is_made_or_kept(names, there, ran, set_up):
    assert set_up(*names, there=there) == ran


def test_an_older_python_is_refused_before_anything_is_made(set_up, tmp_path):
    with pytest.raises(subprocess.CalledProcessError):
        set_up(checks="exit 1")
    assert not (tmp_path / "called").exists() and not (tmp_path / ".venv").exists()
