"""Write the lesson as one page for any browser, build/lesson.html; nothing is run.

The page is the committed notebook with the outputs stored in it. Figures, colours and
all else are inside: it asks no other file and no host for anything, and needs no
JavaScript.
"""

import base64
import mimetypes
import re
import sys
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import nbformat
from bs4 import BeautifulSoup, Tag
from nbconvert import HTMLExporter
from pygments.formatters import HtmlFormatter
from traitlets.config import Config

from going_modular.files import LessonError, atomic_write

ROOT = Path(__file__).resolve().parents[1]
LESSON = ROOT / "09_pytorch_model_deployment.ipynb"
PAGE = ROOT / "build" / "lesson.html"
TEMPLATE, STYLE = ROOT / "tools" / "page.html.j2", ROOT / "tools" / "page.css"
SERVED = "A page that the lesson serves stood here. Run the lesson to see it."
DRAWN = "Drawn by the code above, in the section “{}”."
# Pygments' styles that keep enough contrast on the grounds of page.css.
LIGHT, DARK = "xcode", "github-dark"


def write_page(lesson: Path, page: Path) -> Path:
    """Write a notebook as a page, whole or not at all."""
    notebook = nbformat.read(lesson, as_version=4)
    html = page_of(notebook, lesson.parent)
    with atomic_write(page) as part:
        part.write_text(html, "utf-8")
    return page


def page_of(notebook: nbformat.NotebookNode, folder: Path) -> str:
    """A notebook as HTML.

    Args:
        folder: Where the paths of its figures begin.
    """
    exporter = HTMLExporter(
        template_file=str(TEMPLATE),
        exclude_anchor_links=True,
        config=Config({"CoalesceStreamsPreprocessor": {"enabled": True}}),
    )
    resources = {
        "title": title_of(notebook),
        "css": STYLE.read_text("utf-8") + code_colours(),
    }
    html, _ = exporter.from_notebook_node(notebook, resources)
    page = BeautifulSoup(html, "html.parser")
    calm_outputs(page)
    embed_figures(page, folder)
    add_contents(page)
    frame_what_is_wide(page)
    mend_links(page)
    return str(page)


def title_of(notebook: nbformat.NotebookNode) -> str:
    """The notebook's first heading."""
    sources = "\n".join(cell.source for cell in notebook.cells)
    return re.search(r"^# (.+)$", sources, re.MULTILINE)[1]


def code_colours() -> str:
    """Style rules for highlighted code, in the light and in the dark."""
    dark = ["@media (prefers-color-scheme: dark) {", *rules_of(DARK), "}"]
    plain = ".highlight .err { color: inherit; }"
    return "\n".join([*rules_of(LIGHT), *dark, plain, ""])


def rules_of(style: str) -> list[str]:
    """The rules of a Pygments style for words in the code, not for its ground."""
    rules = HtmlFormatter(style=style).get_style_defs(".highlight").splitlines()
    return [rule for rule in rules if rule.startswith(".highlight .")]


def calm_outputs(page: BeautifulSoup) -> None:
    """Drop what outputs bring to style or run, and say where a served page was."""
    for brought in page.select("main style, main script, main link"):
        brought.decompose()
    for frame in page.select("main iframe"):
        sentence = page.new_tag("p", attrs={"class": "note"})
        sentence.string = SERVED
        frame.replace_with(sentence)


def embed_figures(page: BeautifulSoup, folder: Path) -> None:
    """Put the files of figures into the page.

    nbconvert could do it as well, but then `<details>` no longer fold what they hold.
    """
    for picture in page.select("main img"):
        if not picture["src"].startswith("data:"):
            file = folder / unquote(picture["src"])
            kind, _ = mimetypes.guess_type(file.name)
            content = base64.b64encode(file.read_bytes()).decode("ascii")
            picture["src"] = f"data:{kind};base64,{content}"


def add_contents(page: BeautifulSoup) -> None:
    """Give each heading an address, as Jupyter does, and list them."""
    entries = page.new_tag("ol")
    for heading in page.select(".words :is(h1, h2, h3, h4)"):
        text = heading.get_text()
        heading["id"] = text.replace(" ", "-")
        address = "#" + quote(heading["id"])
        if heading.name in ("h2", "h3"):
            entry = page.new_tag("li", attrs={"class": heading.name})
            entry.append(link(page, text, address))
            entries.append(entry)
        anchor = link(page, "#", address)
        anchor["class"], anchor["aria-label"] = "anchor", f"Link to “{text}”"
        heading.append(anchor)
    for place in page.select(".contents"):
        place.append(BeautifulSoup(str(entries), "html.parser"))


def link(page: BeautifulSoup, text: str, address: str) -> Tag:
    """A link with a text."""
    made = page.new_tag("a", href=address)
    made.string = text
    return made


def frame_what_is_wide(page: BeautifulSoup) -> None:
    """Put tables and pictures into boxes that scroll, and let keys reach those."""
    for table in page.select("main table"):
        table.wrap(page.new_tag("div", attrs={"class": "wide"}))
    for picture in page.select("main img"):
        if not picture["alt"]:
            section = picture.find_previous(["h2", "h3"])
            picture["alt"] = DRAWN.format(section.contents[0] if section else "")
        if picture.parent.name != "a":  # a badge stays as small as it is
            frame = picture.wrap(page.new_tag("figure", attrs={"class": "wide"}))
            if frame.parent.name == "p":  # which may hold no figure
                frame.parent.unwrap()
    for box in page.select("main pre, main .wide"):
        box["tabindex"] = "0"


def mend_links(page: BeautifulSoup) -> None:
    """Turn links to the course's files into their names: this page travels alone."""
    for anchor in page.select("main a[href]"):
        address = urlsplit(anchor["href"])
        if address.scheme or not address.path:
            continue
        if not address.path.startswith(anchor.get_text()):
            anchor.append(f" ({address.path})")
        anchor.unwrap()


def main() -> None:
    """Write the page, or say what is in the way."""
    try:
        page = write_page(LESSON, PAGE)
    except LessonError as error:
        sys.exit(str(error))
    megabytes = page.stat().st_size / 1e6
    print(f"{page.relative_to(ROOT)}: {megabytes:.1f} MB, for any browser")


if __name__ == "__main__":
    main()
