"""What the page says and how it looks; app.py puts it together."""

import logging
import sys
from contextlib import suppress
from html import escape
from pathlib import Path

from model import CONTRACT, SHOWN, Answer, ModelMetadata, spoken
from surroundings import prepare

prepare()  # before Gradio is imported: it remembers where uploads go
import gradio as gr

with suppress(ImportError):
    import spaces  # where a Space has ZeroGPU hardware

    spaces.GPU(lambda: None)  # there one function must be marked, though none needs it

HERE = Path(__file__).resolve().parent
# Of the fonts inside Gradio, some lack most letters: look before choosing another.
FONT = gr.themes.LocalFont("Source Sans Pro", weights=(400, 700))
TITLES = gr.themes.LocalFont("Quicksand", weights=(700,))  # where style.css says so
LISTED = 8  # class names that the heading has room for

INVITATION = "What is on your plate?\nAdd a picture and the answer appears here."
PRACTICE = CONTRACT["practice"]
# How the note looks, by how it begins; what is not here looks like a "problem".
LOOKS = {
    says[0].partition("{")[0]: verdict.replace(" ", "-")
    for verdict, says in CONTRACT["verdicts"].items()
}
LOOKS[INVITATION] = "invitation"

# Settings of the page's parts. Labels that are not shown are read aloud.
PICTURE = {
    "label": "Your picture",
    "show_label": False,
    "sources": ["upload", "webcam", "clipboard"],
    "placeholder": "# Drop a picture here\nor tap to choose one",
    "buttons": [],
    "height": 380,
    "elem_id": "picture",
}
NOTE = {
    "label": "Answer in words",
    "looks": LOOKS,
    # One paragraph a line.
    "html_template": """<div class="${Object.entries(looks).find(
    ([start]) => value.startsWith(start))?.[1] ?? "problem"}">
${value.replace(/</g, "&lt;").split("\\n").map((line) => `<p>${line}</p>`).join("")}
</div>""",
    "js_on_load": "element.setAttribute('role', 'status')",  # changes are read aloud
    "elem_id": "note",
}
SCORES = {
    "label": "How likely each food is",
    "show_label": False,
    "show_heading": False,
    "elem_id": "scores",
}
EXAMPLES = {"label": "No plate at hand? Try one of these", "elem_id": "examples"}
# Examples get names that are read aloud. And where a system does not know that a HEIC
# file is a picture, Gradio's page would refuse it before the app sees it.
ON_LOAD = """() => {
  document.querySelectorAll("#examples button").forEach(
    (b, i) => b.setAttribute("aria-label", `Example picture ${i + 1}`));
  const named = (file) => file.type || !/[.](heic|heif|hif|avif)$/i.test(file.name)
    ? file : new File([file], file.name, { type: "image/heic" });
  document.addEventListener("error", ({ target }) => {
    if (!target.matches?.("#picture img")) return;
    Object.assign(target.style, { width: "100%", padding: "1rem" });
    target.alt = "Your browser cannot show this file.";
  }, true);
  const again = new WeakSet();
  for (const event of ["change", "drop"]) document.addEventListener(event, (e) => {
    const from = e.type === "drop" ? e.dataTransfer : e.target;
    const files = [...(from?.files ?? [])];
    if (again.has(e) || !files.some((file) => named(file) !== file)) return;
    e.stopImmediatePropagation();
    e.preventDefault();
    const data = new DataTransfer();
    files.map(named).forEach((file) => data.items.add(file));
    if (e.type === "change") e.target.files = data.files;
    const next = e.type === "change" ? new Event("change", { bubbles: true })
      : new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer: data });
    again.add(next);
    e.target.dispatchEvent(next);
  }, true);
}"""


def list_examples(folder: Path) -> list[str]:
    """The pictures in a folder that browsers show; names the others in the log."""
    files = sorted(file for file in folder.glob("[!.]*") if file.is_file())
    shown = [str(file) for file in files if file.suffix.lower() in SHOWN]
    if others := [file.name for file in files if str(file) not in shown]:
        logging.warning("Browsers do not show these examples: %s", ", ".join(others))
    return shown


def heading(about: ModelMetadata) -> str:
    """The page's name, and what it can tell apart: "Pizza, steak or sushi?"."""
    *names, last = map(spoken, about.class_names)
    listed = f"{', '.join(names)} or {last}"
    if len(names) >= LISTED:
        listed = f"any of the {len(about.class_names)} foods I know"
    question = escape(listed[0].upper() + listed[1:])
    return f"# {escape(about.title)}\n{question}? Show me a plate."


def describe(answer: Answer, about: ModelMetadata) -> str:
    """Say the answer in three lines: the verdict, how sure, and how it came about."""
    numbers = CONTRACT["numbers"].format(
        knn_similarity=f"{answer.knn_similarity:.2f}",
        knn_similarity_threshold=f"{about.knn_similarity_threshold:.2f}",
        in_distribution_score=f"{answer.in_distribution_score:.2f}",
        in_distribution_threshold=f"{about.in_distribution_threshold:.2f}",
        milliseconds=max(1, round(answer.seconds * 1000)),
    )
    return f"{answer.text}\n{numbers}"


def describe_model(about: ModelMetadata) -> str:
    """Say where the answers come from and what happens to pictures."""
    trained = escape(f"{about.contender}, trained on {about.trained_on}")
    right = "it got **{correct} of {total}** test pictures right."
    kept = "Your picture is not kept: it is deleted within two minutes."
    return f"{trained}: {right.format(**about.test_result)} {kept}"


def launch_options() -> dict:
    """How the page looks, and without which of Gradio's extras it starts."""
    sys.modules["matplotlib"] = None  # Gradio would load it, which writes files at home
    return {
        "theme": gr.themes.Ember(font=[FONT, "system-ui", "sans-serif", TITLES]),
        "css_paths": HERE / "style.css",
        "footer_links": ["api"],
        "ssr_mode": False,
        "state_session_capacity": 500,  # each keeps 20 kB; Gradio would keep 10,000
        "run_history": False,
        "enable_monitoring": False,
    }
