"""Parts of a page that a command writes, between their markers.

One stands between `<!-- NAME: ... -->`, or `<!-- NAME -->`, and `<!-- end of NAME -->`.
"""

import re
from pathlib import Path

from going_modular.files import atomic_write

README = Path(__file__).resolve().parents[1] / "README.md"


def _split(page: str, name: str) -> tuple[str, str, str]:
    """A page before the text of a block, the text, and what is after it."""
    block = rf"^(.*<!-- {name}(?:: .*?)? -->\n)(.*?)(<!-- end of {name} -->.*)$"
    if not (found := re.match(block, page, re.DOTALL)):
        raise ValueError(f"there is no block {name}, which is to be read or renewed")
    return found.groups()


def read_block(name: str) -> str:
    """What the README says in a block; a ValueError if it has none."""
    return _split(README.read_text("utf-8"), name)[1].strip()


def put_block(page: str, name: str, text: str) -> str:
    """A page with a new text in a block; a ValueError if it has none."""
    before, _, after = _split(page, name)
    return f"{before}\n{text}\n\n{after}"


def renew_block(name: str, text: str) -> None:
    """Put a new text into a block of the README."""
    page = put_block(README.read_text("utf-8"), name, text)
    with atomic_write(README) as part:
        part.write_text(page, "utf-8")
