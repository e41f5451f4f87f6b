"""Change a file by a diff, a few lines at a time, as a commit shows it."""

import re
from pathlib import Path

from going_modular.files import LessonError, atomic_write


class PatchError(LessonError):
    """A diff does not fit the text that it is meant for."""


def patched(text: str, diff: str) -> str:
    """Apply a diff.

    Args:
        text: Lines, each with its line break.
        diff: Pieces with an empty line between them. In a piece, lines that begin with
            "-" go, lines with "+" come, and lines with a space stay and say where.

    Raises:
        PatchError: If a line begins otherwise, or the lines that go or stay are not in
            the text, one below the other, exactly once.
    """
    text = f"\n{text}"  # each line now has a break before it and one behind it
    for piece in re.split(r"\n{2,}", diff.strip("\n")):
        lines = piece.split("\n")
        if wrong := [line for line in lines if line[:1] not in ("-", "+", " ")]:
            raise PatchError(f"A line must begin with -, + or a space: {wrong[0]}")
        before, after = (
            "".join(f"\n{line[1:]}" for line in lines if line[0] in kept) + "\n"
            for kept in ("- ", "+ ")
        )
        if before == "\n":
            raise PatchError("Say where: name a line of the file, with a space before.")
        if (found := text.count(before)) != 1:
            raise PatchError(f"The file has these {found} times, not once:{before}")
        text = text.replace(before, after)
    return text[1:]


def patch_file(source: Path, diff: str, target: Path) -> Path:
    """Apply a diff to a file, into another file.

    Raises:
        PatchError: If it does not fit.
    """
    text = patched(Path(source).read_text("utf-8"), diff)
    with atomic_write(target) as part:
        part.write_text(text, "utf-8")
    return target
