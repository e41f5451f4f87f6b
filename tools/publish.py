"""Give the notebooks the course's public address, for readers who open one alone.

    python -m tools.publish https://github.com/OWNER/NAME

Their first code cell then fetches the course from there. On GitHub, figures and links
lead there, too (to the branch `main`), and a badge opens the notebook in Colab. Run it
again, with the same address, after the notebooks have changed.
"""

import argparse
import json
import posixpath
import re
from pathlib import Path

from going_modular.files import atomic_write

ROOT = Path(__file__).resolve().parents[1]
GITHUB = "https://github.com/"
COLAB = "https://colab.research.google.com/github/"
RAW = "https://raw.githubusercontent.com/"
TARGET = re.compile(r"(!?\[[^\[\]]*\]\()(?!https?:|mailto:|data:|#)([^)\s]+)\)")
BADGE = (
    "[![A badge with two rings and the words Open in Colab]({picture})]({notebook})\n"
)


def absolute(place: str, repo: str, *, is_picture: bool) -> str:
    """Where a file of the course can be seen on the web.

    Args:
        place: Its path in the course, with what follows a `#`.
        repo: "OWNER/NAME" at GitHub.
        is_picture: Whether the page shows it, and does not lead to it.
    """
    if is_picture:
        return f"{RAW}{repo}/main/{place}"
    host = COLAB if place.partition("#")[0].endswith(".ipynb") else GITHUB
    return f"{host}{repo}/blob/main/{place}"


def with_address(text: str, name: str, address: str) -> str:
    """A notebook's file with another address in it.

    Args:
        text: What the file holds.
        name: Its path in the course.
        address: Of the git repository; links change where it is at GitHub.
    """
    book = json.loads(text)
    repo = address.removeprefix(GITHUB).removesuffix(".git")

    def lead(match: re.Match) -> str:
        place = posixpath.normpath(posixpath.join(posixpath.dirname(name), match[2]))
        is_picture = match[1].startswith("!")
        return f"{match[1]}{absolute(place, repo, is_picture=is_picture)})"

    for cell in book["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code":
            source = re.sub(
                r'^(COURSE_REPO = ")[^"]*', rf"\g<1>{address}", source, flags=re.M
            )
        elif address.startswith(GITHUB):
            source = TARGET.sub(lead, source)
        cell["source"] = source.splitlines(keepends=True)
    title, opened = book["cells"][0]["source"], absolute(name, repo, is_picture=False)
    if address.startswith(GITHUB) and opened not in "".join(title):
        picture = absolute("figures/open_in_colab.svg", repo, is_picture=True)
        title[1:1] = ["\n", BADGE.format(picture=picture, notebook=opened)]
    return json.dumps(book, indent=1, ensure_ascii=False) + "\n"


def main(arguments: list[str] | None = None) -> None:
    """Write the address into every notebook of this folder."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("address", help="such as https://github.com/OWNER/NAME")
    address = parser.parse_args(arguments).address.rstrip("/")
    for file in [*ROOT.glob("*.ipynb"), *ROOT.glob("companions/*.ipynb")]:
        name = file.relative_to(ROOT).as_posix()
        with atomic_write(file) as part:
            part.write_text(
                with_address(file.read_text("utf-8"), name, address),
                "utf-8",
                newline="\n",
            )
        print(name)


if __name__ == "__main__":
    main()
