"""How Sphinx makes pages of the course's notebooks and texts, which lie beside this.

`tools.make_site` puts them there, and says what else the pages need.
"""

import os
import posixpath
from pathlib import Path

from docutils import nodes
from sphinx import addnodes

HERE = Path(__file__).parent
COURSE = Path(os.environ["COURSE"])
LESSON = "09_pytorch_model_deployment"
BESIDE = """<details class="beside"><summary>Try the page beside the text</summary>
<iframe class="pocket" title="FoodVision Pocket" loading="lazy"
src="../pocket/index.html#framed"></iframe></details>"""

repo = os.environ["COURSE_REPO"]
at_colab = repo.replace(
    "https://github.com", "https://colab.research.google.com/github"
)

project = html_title = "FoodVision, the deployment lesson"
extensions = ["myst_nb", "sphinx_copybutton", "sphinx.ext.githubpages"]
exclude_patterns = ["space.md"]  # what a Space is told
suppress_warnings = ["misc.highlighting_failure", "toc.not_included"]
nb_execution_mode = "off"
myst_heading_anchors = 4
myst_url_schemes = {
    "https": None,
    "http": None,
    "colab": f"{at_colab}/blob/main/{{{{path}}}}" if repo else "TEACHING.html",
}
html_theme = "furo"
html_favicon = "icon.svg"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_copy_source = html_show_sphinx = html_show_copyright = False
pygments_dark_style = "github-dark"
html_theme_options = {
    "top_of_page_buttons": [],
    "light_css_variables": {
        "color-brand-primary": "#bf431c",
        "color-brand-content": "#b03c17",
        "color-brand-visited": "#8f3358",
        "color-background-primary": "#fffdf9",
        "color-background-secondary": "#fbf5ec",
        "color-background-border": "#e9dac6",
    },
    "dark_css_variables": {
        "color-brand-primary": "#ff9c70",
        "color-brand-content": "#ff9c70",
        "color-brand-visited": "#f7a8bf",
        "color-background-primary": "#1a1411",
        "color-background-secondary": "#261e19",
        "color-background-border": "#43362c",
        "color-foreground-muted": "#b9a898",
    },
}


def to_repository(app, tree):
    """Lead links to files that are no pages to the repository; without one, nowhere."""
    folder = posixpath.dirname(app.env.docname)
    for link in list(tree.findall(addnodes.pending_xref)):
        path = posixpath.normpath(posixpath.join(folder, link["reftarget"]))
        if link["reftype"] == "myst" and (COURSE / path).exists():
            text, at = link.children, f"{repo}/blob/main/{path}"
            text = [nodes.reference("", "", *text, refuri=at)] if repo else text
            link.replace_self(text)


def add_live_parts(app, tree):
    """Put what is alive into pages: notebooks' links, the demo, the box of the gate."""
    name = app.env.docname
    top = "../" * name.count("/")
    if (HERE / f"{name}.ipynb").exists():
        own = f"{top}notebooks/{posixpath.basename(name)}.ipynb"
        links = f'<a href="{own}" download>Download this notebook</a>'
        if repo:
            there = f"{at_colab}/blob/main/{name}.ipynb"
            links = f'<a href="{there}">Open in Colab</a> {links}'
        section = next(tree.findall(nodes.section))
        section.insert(1, raw(f'<p class="links">{links}</p>'))
    if name.startswith(("companions/4", "companions/9")):
        tree.children[0].append(raw(BESIDE))
    for section in tree.findall(nodes.section):
        if name == LESSON and section.next_node(nodes.title).astext().startswith("5.1"):
            scores = (COURSE / "models/gate_scores.json").read_text()
            box = (HERE / "gate.html").read_text("utf-8")
            section.append(raw(box.replace("SCORES", scores)))


def say_levels(app, name, template, context, tree):
    """Headings in the navigation have a level, which Sphinx does not say."""
    said = 'role="heading" aria-level="2"'
    navigation = context["furo_navigation_tree"].replace('role="heading"', said)
    context["furo_navigation_tree"] = navigation


def raw(html):
    """HTML as it stands."""
    return nodes.raw("", html, format="html")


def setup(app):
    """What Sphinx calls."""
    app.connect("doctree-read", to_repository)
    app.connect("doctree-read", add_live_parts)
    app.connect("html-page-context", say_levels, priority=900)  # after Furo
