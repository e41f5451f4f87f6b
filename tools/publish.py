"""Give the notebooks the course's public address, for readers who open one alone.

    python -m tools.publish https://github.com/OWNER/NAME

Their first code cell then fetches the course from there. On GitHub, figures and links
lead there, too (to the branch `main`), and a badge opens the notebook in Colab. Run it
again, with the same address, after the notebooks have changed.
"""

import json
import re
import sys
from posixpath import dirname, join, normpath

from going_modular.files import atomic_write
from tools.course import ROOT

GITHUB = "https://github.com/"
COLAB = "https://colab.research.google.com/github/"
RAW = "https://raw.githubusercontent.com/"
# What a picture or a link leads to, if that is a file of the course.
TARGET = re.compile(r"(!\[[^\[\]]*)?\]\((?!https?:|mailto:|data:|#)([^)\s]+)\)")
BADGE = "[![A badge with two rings and the words Open in Colab]({})]({})\n"


def with_address(text: str, name: str, address: str) -> str:
    """A notebook's file with another address in it; `name` is its path in the course.

    Links and figures change where the address is at GitHub.
    """
    book, repo = json.loads(text), address.removeprefix(GITHUB).removesuffix(".git")

    def page(place: str) -> str:
        return f"{COLAB if '.ipynb' in place else GITHUB}{repo}/blob/main/{place}"

    def lead(match: re.Match) -> str:
        place = normpath(join(dirname(name), match[2]))
        if match[1]:
            return f"{match[1]}]({RAW}{repo}/main/{place})"
        return f"]({page(place)})"

    for cell in book["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code":
            named = f'COURSE_REPO = "{address}'
            source = re.sub(r'^COURSE_REPO = "[^"]*', named, source, flags=re.M)
        elif address.startswith(GITHUB):
            source = TARGET.sub(lead, source)
        cell["source"] = source.splitlines(keepends=True)
    title = book["cells"][0]["source"]
    if address.startswith(GITHUB) and page(name) not in "".join(title):
        picture = f"{RAW}{repo}/main/figures/open_in_colab.svg"
        title[1:1] = ["\n", BADGE.format(picture, page(name))]
    return json.dumps(book, indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    """Write the address into every notebook of this folder."""
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    for file in [*ROOT.glob("*.ipynb"), *ROOT.glob("companions/*.ipynb")]:
        text, name = file.read_text("utf-8"), file.relative_to(ROOT).as_posix()
        with atomic_write(file) as part:
            text = with_address(text, name, sys.argv[1].rstrip("/"))
            part.write_text(text, "utf-8", newline="\n")


if __name__ == "__main__":
    main()
