"""The lesson's two commands that put the browser demo on a static Space."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[1]
HF = Path(sys.executable).with_name("hf")


def test_both_commands_are_understood_as_far_as_the_hub(tmp_path):
    cells = nbformat.read(ROOT / "companions" / "4_in_the_browser.ipynb", 4).cells
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    create, upload = re.findall(
        r"^\.venv/bin/hf (.*foodvision_pocket.*)$", text, re.MULTILINE
    )
    assert "--space-sdk static" in create, "another kind costs money"
    (tmp_path / "build" / "pocket").mkdir(parents=True)
    offline = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "home")}
    for words in (create, upload):
        command = [HF, *shlex.split(words.replace("USER", "me"))]
        done = subprocess.run(
            command, cwd=tmp_path, env=offline, capture_output=True, text=True
        )
        assert "offline mode is enabled" in done.stderr, done.stdout + done.stderr
