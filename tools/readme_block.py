"""Parts of a page that a command writes, between their markers.

One stands between `<!-- NAME: ... -->`, or `<!-- NAME -->`, and `<!-- end of NAME -->`.
"""

import re
from pathlib import Path

from going_modular.files import atomic_write

README = Path(__file__).resolve().parents[1] / "README.md"


def block(name: str) -> re.Pattern:
    """Finds a block: its head, its text, its end."""
    head, end = rf"<!-- {name}(?:: .*?)? -->\n", f"<!-- end of {name} -->"
    return re.compile(f"({head})(.*?)({end})", re.DOTALL)


def read_block(name: str) -> str:
    """What the README says in a block."""
    return block(name).search(README.read_text("utf-8"))[2].strip()


def renew_block(name: str, text: str, file: Path = README) -> None:
    """Put a new text into a block of a page."""
    page = file.read_text("utf-8")
    page = block(name).sub(lambda found: f"{found[1]}\n{text}\n\n{found[3]}", page)
    with atomic_write(file) as part:
        part.write_text(page, "utf-8")
