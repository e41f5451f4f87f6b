"""Make the site: the course's pages to read, and FoodVision Pocket alive on the first.

python -m tools.make_site    writes build/site/
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat

from going_modular.files import LessonError, staged_folder
from pocket.site import write_pocket
from tools.course import LESSON, ROOT
from tools.model_card import MODEL
from tools.serve_demo import drawn_examples

SITE = ROOT / "build" / "site"
SOURCES = ROOT / "site"
NOTEBOOKS = (LESSON, "companions/*.ipynb")
PAGES = ("*.md", "benchmarks/*.md", "data/*.md", "deploy/*.md", "deploy/*/*.md")
PAGES += ("models/*.md", "figures/*", *NOTEBOOKS)


def repository() -> str:
    """The course's public address, as its lesson says it, or nothing."""
    text = (ROOT / LESSON).read_text("utf-8")
    return re.search(r'COURSE_REPO = \\"(.*?)\\"', text)[1]


def lay_out(folder: Path) -> None:
    """Put together what Sphinx reads: pages as they are, and the lesson's glossary.

    What a published notebook leads to the repository stays inside the site.
    """
    name = re.escape(repository().removeprefix("https://github.com/") or "OWNER/NAME")
    there = rf"https://[a-z.]+\.com/(?:github/)?{name}/(?:blob/)?main/"
    shutil.copytree(SOURCES, folder, dirs_exist_ok=True)
    shutil.copyfile(ROOT / "pocket/icons/icon.svg", folder / "icon.svg")
    for file in (file for kind in PAGES for file in ROOT.glob(kind)):
        place = folder / file.relative_to(ROOT)
        place.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix in (".ipynb", ".md"):
            here = "../" * (len(place.relative_to(folder).parents) - 1)
            place.write_text(re.sub(there, here, file.read_text("utf-8")), "utf-8")
        else:
            shutil.copyfile(file, place)
    cells = nbformat.read(ROOT / LESSON, as_version=4).cells
    glossary = next(cell.source for cell in cells if cell.id == "glossary")
    (folder / "glossary.md").write_text(glossary.replace("##", "#", 1), "utf-8")


def make_site() -> Path:
    """Write the site, all or nothing, and return its folder.

    What Sphinx or npm refuses is a LessonError; what was there before stays then.
    """
    with staged_folder(SITE) as part, tempfile.TemporaryDirectory() as sources:
        lay_out(Path(sources))
        command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going"]
        env = os.environ | {"COURSE": str(ROOT), "COURSE_REPO": repository()}
        places = ["-d", f"{sources}/.doctrees", sources, part]
        if subprocess.run([*command, *places], env=env).returncode:
            raise LessonError("Sphinx found faults in the pages, named above.")
        write_pocket(MODEL, part / "pocket", examples=[*drawn_examples().values()])
        (part / "notebooks").mkdir()
        for file in (file for kind in NOTEBOOKS for file in ROOT.glob(kind)):
            shutil.copyfile(file, part / "notebooks" / file.name)
        shutil.copyfile(SOURCES / "space.md", part / "README.md")
        shutil.copyfile(part / "pocket/.gitattributes", part / ".gitattributes")
        shutil.rmtree(SITE, ignore_errors=True)  # pages that are no more
    return SITE


if __name__ == "__main__":
    try:
        print(f"The site: {make_site()}")
    except LessonError as error:
        sys.exit(str(error))
