"""A web page that says what is on the plate."""

import os
import sys
from contextlib import suppress
from functools import partial
from html import escape
from pathlib import Path

import gradio as gr
from feedback import Feedback
from model import Answer, PictureError, Predictor, find_model
from safety import accept_only_uploads

with suppress(ImportError):
    import spaces  # where a Space has ZeroGPU hardware

    spaces.GPU(lambda: None)  # there one function must be marked, though none needs it

HERE = Path(__file__).resolve().parent
# Of the fonts inside Gradio, some lack most letters: look before choosing another.
FONT = gr.themes.LocalFont("Source Sans Pro", weights=(400, 700))
INVITATION = "What is on your plate?\nAdd a picture and the answer appears here."
PRACTICE = "Practice model: it learned from drawings, so do not expect much of photos."
NO_PLATE = "No plate at hand? Try one of these"
THANKS = "Thank you. Noted: the answer and your thumb, not your picture."
NO_THANKS = "That could not be noted just now. Thank you all the same."
# One paragraph a line; the first two words become the class that style.css looks for.
NOTE_HTML = """<div class="${value.toLowerCase().split(" ", 2).join("-")}">
${value.replace(/</g, "&lt;").split("\\n").map((line) => `<p>${line}</p>`).join("")}
</div>"""
READ_ALOUD = "element.setAttribute('role', 'status')"  # screen readers say changes
NAME_EXAMPLES = """() => document.querySelectorAll("#examples button").forEach(
    (b, i) => b.setAttribute("aria-label", `Example picture ${i + 1}`))"""


def join_names(names: list[str]) -> str:
    """Put class names into words: "pizza, steak or sushi"."""
    if len(names) > 5:
        return f"any of the {len(names)} foods it knows"
    return f"{', '.join(names[:-1])} or {names[-1]}"


def describe(answer: Answer, predictor: Predictor) -> str:
    """Say the answer in three lines: the verdict, how sure, and how it came about."""
    about = predictor.about
    return (
        f"{answer.text}\n"
        f"Familiarity {answer.knn_similarity:.2f} "
        f"({about.knn_similarity_threshold:.2f} needed), likeness to my dishes "
        f"{answer.in_distribution_score:.2f} "
        f"({about.in_distribution_threshold:.2f} needed). "
        f"Answered in {max(1, round(answer.seconds * 1000))} ms."
    )


def describe_model(predictor: Predictor, *, asks_thumbs: bool) -> str:
    """Say where the answers come from and what happens to pictures."""
    noted = "A thumb notes the answer, not the picture." if asks_thumbs else ""
    about, result = predictor.about, predictor.about.test_result
    trained = escape(f"{about.contender}, trained on {about.trained_on}")
    return (
        f"{trained}: it got **{result['correct']} of {result['total']}** test "
        "pictures right. "
        f"Your picture is not kept: it is deleted within two minutes. {noted}"
    )


def add_thumbs(feedback: Feedback) -> tuple[gr.State, gr.Row]:
    """Ask under an answer whether it was right, and note a click, once an answer.

    Returns:
        Where the latest answer goes, and what to show once it is there.
    """
    latest = gr.State()

    def note_thumb(answer: Answer | None, *, up: bool) -> tuple[None, gr.Row]:
        if answer is not None:
            gr.Info(THANKS if feedback.add(answer, up=up) else NO_THANKS)
        return None, gr.Row(visible=False)

    with gr.Row(visible=False, elem_id="thumbs") as thumbs:
        gr.Markdown("Was that right?")
        for label, up in (("Yes", True), ("No", False)):
            gr.Button(label, min_width=80).click(
                partial(note_thumb, up=up),
                latest,
                [latest, thumbs],
                api_visibility="private",
            )
    return latest, thumbs


def make_demo(predictor: Predictor, feedback: Feedback | None = None) -> gr.Blocks:
    """Build the page around a model, whose metadata fills in the texts.

    Args:
        predictor: Answers.
        feedback: Takes thumbs up and down; without it nobody is asked.
    """

    def answer_for(picture: str | None) -> tuple[dict[str, float], str, Answer | None]:
        if picture is None:
            return {}, INVITATION, None
        try:
            answer = predictor.predict(picture)
        except PictureError as error:
            return {}, f"This picture did not work.\n{error}", None
        return answer.probabilities, describe(answer, predictor), answer

    def predict(picture: str | None) -> tuple[dict[str, float], str]:
        """Name the food in a picture, or say why there is no answer."""
        return answer_for(picture)[:2]

    about = predictor.about
    title = escape(about.title)
    question = escape(join_names(about.class_names)).capitalize()
    examples = sorted(map(str, (HERE / "examples").glob("*.[jp][pn]g")))
    # delete_cache: look every 30 seconds, delete what is older than 60
    with gr.Blocks(
        title=about.title, analytics_enabled=False, delete_cache=(30, 60)
    ) as demo:
        gr.Markdown(f"# {title}\n{question}? Show me a plate.", elem_id="top")
        if about.is_practice:
            gr.Markdown(PRACTICE, elem_id="banner")
        with gr.Row(equal_height=True):
            picture = gr.Image(
                label="Your picture",
                show_label=False,
                type="filepath",
                sources=["upload", "webcam", "clipboard"],
                placeholder="# Drop a picture here\nor tap to choose one",
                buttons=[],
                height=380,
                elem_id="picture",
            )
            with gr.Column(elem_id="answer"):
                note = gr.HTML(
                    INVITATION,
                    label="Answer in words",
                    html_template=NOTE_HTML,
                    js_on_load=READ_ALOUD,
                    elem_id="note",
                )
                scores = gr.Label(
                    label="How likely each food is",
                    show_label=False,
                    show_heading=False,
                    num_top_classes=5,
                    elem_id="scores",
                )
                if feedback is not None:
                    latest, thumbs = add_thumbs(feedback)
        if examples:
            gr.Examples(examples, picture, label=NO_PLATE, elem_id="examples")
        origin = describe_model(predictor, asks_thumbs=feedback is not None)
        gr.Markdown(origin, elem_id="about")
        accept_only_uploads(picture)
        if feedback is None:
            picture.change(predict, picture, [scores, note], api_name="predict")
        else:
            picture.change(
                answer_for, picture, [scores, note, latest], api_name="predict"
            ).then(
                lambda answer: gr.Row(visible=answer is not None),
                latest,
                thumbs,
                api_visibility="private",
            )
        demo.load(None, js=NAME_EXAMPLES)
    return demo.queue(max_size=64, default_concurrency_limit=2)


def main() -> None:
    """Serve the page; GRADIO_SERVER_NAME and GRADIO_SERVER_PORT say where.

    FOODVISION_FEEDBACK names a SQLite file for thumbs; unset, nobody is asked.
    """
    sys.modules["matplotlib"] = None  # Gradio would load it, which writes files at home
    predictor = Predictor(find_model(HERE), threads=2)
    file = os.environ.get("FOODVISION_FEEDBACK")
    make_demo(predictor, Feedback(file) if file else None).launch(
        theme=gr.themes.Ember(font=[FONT, "system-ui", "sans-serif"]),
        css_paths=HERE / "style.css",
        footer_links=["api"],
        share=False,  # unset, a hosted notebook would get a public link
        ssr_mode=False,
        max_file_size="15mb",
        state_session_capacity=500,  # each keeps 20 kB; Gradio would keep 10,000
        run_history=False,
        enable_monitoring=False,
    )


if __name__ == "__main__":
    main()
