"""Renew the parts of a page that are written by a command, between their markers."""

import re
from pathlib import Path

from going_modular.files import atomic_write

README = Path(__file__).resolve().parents[1] / "README.md"


def block(name: str) -> re.Pattern:
    """Find what stands between `<!-- NAME: ... -->` and `<!-- end of NAME -->`.

    What the first marker says after its name, and the colon with it, may be left out.
    """
    return re.compile(
        rf"(?P<begin><!-- {name}(?:: .*?)? -->\n)(?P<text>.*?)"
        rf"(?P<end><!-- end of {name} -->)",
        re.DOTALL,
    )


def get_block(page: str, name: str) -> str:
    """What a page says in a block.

    Raises:
        ValueError: If it has no such block.
    """
    found = block(name).search(page)
    if not found:
        raise ValueError(f"there is no block {name}, which is to be read or renewed")
    return found["text"].strip()


def put_block(page: str, name: str, text: str) -> str:
    """A page with a new text in a block.

    Raises:
        ValueError: If it has no such block.
    """
    get_block(page, name)
    inside = f"\n{text}\n\n"
    return block(name).sub(lambda m: m["begin"] + inside + m["end"], page, count=1)


def read_block(name: str) -> str:
    """What the README says in a block.

    Raises:
        ValueError: If it has no such block.
    """
    return get_block(README.read_text("utf-8"), name)


def renew_block(name: str, text: str) -> None:
    """Put a new text into a block of the README."""
    page = put_block(README.read_text("utf-8"), name, text)
    with atomic_write(README) as part:
        part.write_text(page, "utf-8")
