"""Whole files or none: write so that a failure harms nothing; the readers' errors.

Everything is made under a temporary name beside its target and renamed into place last,
so a failed run can simply be repeated, and two runs at once do not harm each other.
"""

import hashlib
import os
import re
import shutil
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tqdm import tqdm


class LessonError(RuntimeError):
    """Something that a reader can put right: what happened, and what to do next."""


class FileError(LessonError):
    """A file or folder could not be fetched, unpacked, changed or written."""


@contextmanager
def atomic_write(target: Path, what: str | None = None) -> Iterator[Path]:
    """Yield a name to write to; afterwards what is there becomes `target`, or nothing.

    A file replaces what was there before; a folder gives way to one that was finished
    first. A failure is a FileError; so is an interruption, if it is told `what` is
    going on.
    """
    target = Path(target)
    part = target.with_name(f".{target.name}.{uuid.uuid4().hex[:12]}.part")
    try:
        with saying_how_to_write(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            yield part
            if part.is_file():
                with part.open("rb+") as file:
                    os.fsync(file.fileno())  # a full disk may show only here
            try:
                os.replace(part, target)
            except OSError:
                if part.is_file() or not target.is_dir():
                    raise  # else another run finished first, and its folder is whole
    except KeyboardInterrupt:
        if what is None:
            raise
        told = "was interrupted. Nothing was kept. Run this again to start over."
        raise FileError(f"{what} {told}") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
        with suppress(OSError):  # what went wrong is already being told
            part.unlink(missing_ok=True)


@contextmanager
def staged_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder; afterwards its files move into `folder`, or none does.

    Files of the same names are replaced, others stay. A failure is a FileError.
    """
    folder = Path(folder)
    with saying_how_to_write(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = {"dir": folder.parent, "prefix": f".{folder.name}-"}
        with tempfile.TemporaryDirectory(**beside) as scratch:
            yield Path(scratch)
            for path in sorted(p for p in Path(scratch).rglob("*") if p.is_file()):
                target = folder / path.relative_to(scratch)
                target.parent.mkdir(parents=True, exist_ok=True)
                os.replace(path, target)


@contextmanager
def saying_how_to_write(target: Path) -> Iterator[None]:
    """Turn what a disk refuses into a FileError that says what to do."""
    try:
        yield
    except OSError as error:
        raise FileError(
            f"{target} could not be written: {error.strerror or error}. Nothing was "
            "kept of it, and what was there before is as it was. Make room on the "
            "disk, or make its folder writable, then run this again."
        ) from error


def patch_file(source: Path, diff: str, target: Path) -> Path:
    """Apply a diff to a file of lines, into another file; returns the other.

    The diff has pieces with an empty line between them. If the lines of a piece that go
    ("-") or stay (" ") are not there exactly once, it is a FileError.
    """
    # Each line now has a break before it and one behind it.
    text = "\n" + Path(source).read_text("utf-8")
    for piece in re.split(r"\n{2,}", diff.strip("\n")):
        lines = piece.split("\n")
        if wrong := [line for line in lines if line[:1] not in ("-", "+", " ")]:
            raise FileError(f"A line must begin with -, + or a space: {wrong[0]}")
        before, after = (
            "".join(f"\n{line[1:]}" for line in lines if line[0] in kept) + "\n"
            for kept in ("- ", "+ ")
        )
        if before == "\n":
            raise FileError("Say where: name a line of the file, with a space before.")
        if (found := text.count(before)) != 1:
            raise FileError(f"The file has these {found} times, not once:{before}")
        text = text.replace(before, after)
    with atomic_write(target) as part:
        part.write_text(text[1:], "utf-8")
    return target


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hex."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def progress_bar(what: str, total: int | None = None, **options) -> tqdm:
    """One line of plain text that says how far a long job is, in a notebook, too."""
    plain = {"file": sys.stdout, "ascii": " .:", "ncols": 79, "mininterval": 1.0}
    return tqdm(desc=what, total=total, **plain | options)
