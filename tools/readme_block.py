"""Renew the parts of the README that are measured, between their markers."""

import re
from pathlib import Path

from going_modular.files import whole

README = Path(__file__).resolve().parents[1] / "README.md"


def block(name: str) -> re.Pattern:
    """Find what stands between `<!-- NAME: ... -->` and `<!-- end of NAME -->`."""
    return re.compile(
        rf"(?P<begin><!-- {name}:.*?-->\n)(?P<text>.*?)(?P<end><!-- end of {name} -->)",
        re.DOTALL,
    )


def read_block(name: str) -> str:
    """What the README says in a block.

    Raises:
        ValueError: If it has no such block.
    """
    found = block(name).search(README.read_text("utf-8"))
    if not found:
        raise ValueError(f"README.md has no block {name}")
    return found["text"].strip()


def renew_block(name: str, text: str) -> None:
    """Put a new text into a block."""
    page = README.read_text("utf-8")
    page = block(name).sub(lambda m: f"{m['begin']}\n{text}\n\n{m['end']}", page)
    with whole(README) as part:
        part.write_text(page, "utf-8")
