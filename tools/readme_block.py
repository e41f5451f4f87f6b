"""Parts of the README that a command writes, between their markers.

One stands between `<!-- NAME: ... -->` and `<!-- end of NAME -->`.
"""

import re
from pathlib import Path

from going_modular.files import atomic_write

README = Path(__file__).resolve().parents[1] / "README.md"


def _split(name: str) -> tuple[str, str, str]:
    """The README before the text of a block, the text, and what is after it."""
    block = rf"^(.*<!-- {name}: .*? -->\n)(.*?)(<!-- end of {name} -->.*)$"
    found = re.match(block, README.read_text("utf-8"), re.DOTALL)
    if not found:
        raise ValueError(f"there is no block {name}, which is to be read or renewed")
    return found.groups()


def read_block(name: str) -> str:
    """What the README says in a block.

    Raises:
        ValueError: If it has no such block.
    """
    return _split(name)[1].strip()


def renew_block(name: str, text: str) -> None:
    """Put a new text into a block of the README.

    Raises:
        ValueError: If it has no such block.
    """
    before, _, after = _split(name)
    with atomic_write(README) as part:
        part.write_text(f"{before}\n{text}\n\n{after}", "utf-8")
