"""Write the versions installed here into constraints.txt, for `pip install -c`."""

import subprocess
import sys
from pathlib import Path

from going_modular.files import atomic_write

FILE = Path(__file__).resolve().parents[1] / "constraints.txt"
HEAD = """\
# What CI and the committed outputs ran with; renewed by `make constraints`. Readers
# need none of it: requirements.txt asks for less. To have the same versions:
#     pip install -c constraints.txt -r requirements.txt
"""


def main() -> None:
    """Ask pip, and keep what has a plain version."""
    command = [sys.executable, "-m", "pip", "freeze", "--exclude-editable"]
    frozen = subprocess.run(
        command, check=True, capture_output=True, encoding="utf-8", errors="replace"
    ).stdout
    lines = [line for line in frozen.splitlines() if "==" in line]
    with atomic_write(FILE) as part:
        part.write_text(HEAD + "\n".join(lines) + "\n", "utf-8")
    print(f"{FILE.name}: {len(lines)} packages")


if __name__ == "__main__":
    main()
