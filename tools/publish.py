"""Write the course's address into it, and a badge that opens the lesson in Colab.

    python -m tools.publish https://github.com/OWNER/NAME
    python -m tools.publish --unset

Where the notebook stands alone, as in Colab, it clones the course from there. Any
public git address will do; the badge is for GitHub, from where Colab opens notebooks.
"""

import argparse
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, urlsplit

import nbformat

from going_modular.files import LessonError, atomic_write
from tools.readme_block import README, put_block

LESSON = README.with_name("09_pytorch_model_deployment.ipynb")
BADGE = "badge"  # the block in the README, and in the notebook's cell WELCOME
WELCOME, FIRST_CODE = "welcome", "find-root"
ADDRESS_LINE = re.compile(r'^COURSE_REPO = "[^"\n]*"', re.MULTILINE)
PICTURE = "figures/open_in_colab.svg"
ALT = "Open in Colab"
COLAB = "https://colab.research.google.com/github/{}/blob/{}/{}"
PLAIN = re.compile(r"[\w.~:/%+-]+")  # what can stand in the notebook's quotes as it is
GITHUB = ("github.com", "www.github.com")
WANTED = "Give the address of a public git repository: https://github.com/OWNER/NAME"


def checked(address: str) -> str:
    """The address as it is written into the notebook.

    Raises:
        LessonError: If a reader could not clone from it, or it holds a password.
    """
    address = address.strip().rstrip("/")
    parts = urlsplit(address)
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise LessonError(f"{address!r} is no web address. {WANTED}")
    if "@" in parts.netloc:
        raise LessonError(f"This address names a user, perhaps a password. {WANTED}")
    if not PLAIN.fullmatch(address) or not parts.path:
        raise LessonError(f"{address!r} does not lead to a repository. {WANTED}")
    name = github_name(address)
    return f"https://github.com/{name}" if name else address


def github_name(address: str) -> str | None:
    """OWNER/NAME of a repository on GitHub; None for an address elsewhere.

    Raises:
        LessonError: If it leads to another page of GitHub.
    """
    parts = urlsplit(address)
    if parts.hostname not in GITHUB:
        return None
    found = re.fullmatch(r"/([\w-]+/[\w.-]+?)(\.git)?", parts.path)
    if not found:
        raise LessonError(f"{address} is not a repository's front page. {WANTED}")
    return found[1]


def with_address(notebook: nbformat.NotebookNode, address: str) -> None:
    """Set COURSE_REPO in the notebook's first code cell.

    Args:
        notebook: The lesson, changed in place.
        address: Empty to unset it.

    Raises:
        LessonError: If that cell does not set COURSE_REPO.
    """
    cell = cell_of(notebook, FIRST_CODE)
    line = f'COURSE_REPO = "{address}"'
    cell.source, found = ADDRESS_LINE.subn(lambda _: line, cell.source)
    if found != 1:
        raise LessonError(
            f"Cell {FIRST_CODE} of {LESSON.name} sets COURSE_REPO {found} times. It "
            'should have the line COURSE_REPO = "" once.'
        )


def cell_of(notebook: nbformat.NotebookNode, name: str) -> nbformat.NotebookNode:
    """The cell with an id.

    Raises:
        LessonError: If there is none.
    """
    for cell in notebook.cells:
        if cell.id == name:
            return cell
    raise LessonError(f"{LESSON.name} has no cell with the id {name}.")


def with_badge(page: str, badge: str, name: str) -> str:
    """A page with a badge between its markers.

    Raises:
        LessonError: If it has no markers.
    """
    try:
        return put_block(page, BADGE, badge)
    except ValueError as error:
        raise LessonError(
            f"{name} has no place for the badge: lines <!-- {BADGE} --> and "
            f"<!-- end of {BADGE} --> under its title."
        ) from error


def publish(address: str, branch: str = "main") -> str | None:
    """Write an address into notebook and README, both or neither.

    Args:
        address: From `checked`; empty to take it and the badge out again.
        branch: Which the badge opens.

    Returns:
        Where the badge leads, or None if there is none.

    Raises:
        LessonError: If a file lacks the place for it, or cannot be written.
    """
    name, link = github_name(address), None
    if name:
        link = COLAB.format(name, quote(branch), LESSON.name)
    notebook = nbformat.read(LESSON, as_version=4)
    with_address(notebook, address)
    # Where the notebook stands alone, figures/ is missing: words take its place.
    welcome = cell_of(notebook, WELCOME)
    words = f"[{ALT}]({link})" if link else ""
    welcome.source = with_badge(welcome.source, words, LESSON.name)
    badge = f"[![{ALT}]({PICTURE})]({link})" if link else ""
    page = with_badge(README.read_text("utf-8"), badge, README.name)
    write_all({LESSON: nbformat.writes(notebook) + "\n", README: page})
    return link


def write_all(texts: Mapping[Path, str]) -> None:
    """Write some files, or leave all as they were.

    Raises:
        FileError: If writing fails.
    """
    before = {file: file.read_bytes() for file in texts}
    try:
        for file, text in texts.items():
            with atomic_write(file) as part:
                part.write_text(text, "utf-8", newline="\n")
    except BaseException:
        for file, content in before.items():
            if file.read_bytes() != content:
                with atomic_write(file) as part:
                    part.write_bytes(content)
        raise


def main(arguments: list[str] | None = None) -> None:
    """Read the command line, publish, say what was done."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("address", nargs="?", help="https://github.com/OWNER/NAME")
    opens = "that the badge opens, from GitHub; the notebook clones the default branch"
    parser.add_argument("--branch", default="main", help=opens)
    parser.add_argument("--unset", action="store_true", help="take both out again")
    args = parser.parse_args(arguments)
    if bool(args.address) == args.unset:
        parser.error("give an address, or --unset")
    try:
        address = "" if args.unset else checked(args.address)
        link = publish(address, args.branch)
    except LessonError as error:
        sys.exit(str(error))
    print(f"COURSE_REPO is {address}" if address else "Unset, and without a badge.")
    if link:
        print(f"The badge opens {link}")
    elif address:
        print("No badge: Colab opens notebooks from GitHub only.")


if __name__ == "__main__":
    main()
