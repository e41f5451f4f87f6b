"""FoodVision Big: a web page that says what is on the plate."""

from pathlib import Path

import gradio as gr
from model import Answer, PictureError, Predictor

HERE = Path(__file__).resolve().parent
# Of the fonts inside Gradio, some lack most letters: look before choosing another.
FONT = gr.themes.LocalFont("Source Sans Pro", weights=(400, 700))
INVITATION = "What is on your plate?\nAdd a picture and the answer appears here."
PRACTICE = "Practice model: it learned from drawings, so do not expect much of photos."
NO_PLATE = "No plate at hand? Try one of these"
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
    name, probability = next(iter(answer.probabilities.items()))
    sure = "more than 99%" if probability > 0.99 else f"{probability:.0%}"
    if answer.is_familiar:
        verdict = f"This looks like {name}.\nThe model is {sure} sure."
    else:
        names = join_names(predictor.class_names)
        verdict = f"This does not look like {names}.\nClosest guess: {name} ({sure})."
    return (
        f"{verdict}\nFamiliarity {answer.familiarity:.2f}, at least "
        f"{predictor.familiarity_threshold:.2f} expected. "
        f"Answered in {max(1, round(answer.seconds * 1000))} ms."
    )


def describe_model(predictor: Predictor) -> str:
    """Say where the answers come from and what happens to pictures."""
    correct, total = predictor.test_result["correct"], predictor.test_result["total"]
    return (
        f"{predictor.contender}, trained on {predictor.trained_on}: it got "
        f"**{correct} of {total}** test pictures right. "
        "Your picture is not kept: it is deleted within minutes."
    )


def make_demo(predictor: Predictor) -> gr.Blocks:
    """Build the page around a model, whose metadata fills in the texts."""

    def predict(picture: str | None) -> tuple[dict[str, float], str]:
        """Name the food in a picture, or say why there is no answer."""
        if picture is None:
            return {}, INVITATION
        try:
            answer = predictor.predict(picture)
        except PictureError as error:
            return {}, f"This picture did not work.\n{error}"
        return answer.probabilities, describe(answer, predictor)

    def uploaded_file(payload: gr.FileData | None) -> str | None:
        """Hand over the file as it came: gr.Image would decode it, and fail harshly."""
        if payload is None or payload.path is None:
            return None
        # A request can name any file of this machine: open uploads only.
        path = Path(payload.path).resolve()
        if not path.is_relative_to(Path(picture.GRADIO_CACHE).resolve()):
            raise gr.Error("Please upload a picture.", print_exception=False)
        return str(path)

    question = join_names(predictor.class_names).capitalize()
    examples = sorted(map(str, (HERE / "examples").glob("*.[jp][pn]g")))
    # delete_cache: look every 60 seconds, delete what is older than 300
    with gr.Blocks(
        title="FoodVision Big", analytics_enabled=False, delete_cache=(60, 300)
    ) as demo:
        gr.Markdown(f"# FoodVision Big\n{question}? Show me a plate.", elem_id="top")
        if predictor.is_practice:
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
        if examples:
            gr.Examples(examples, picture, label=NO_PLATE, elem_id="examples")
        gr.Markdown(describe_model(predictor), elem_id="about")
        picture.preprocess = uploaded_file
        picture.change(predict, picture, [scores, note], api_name="predict")
        demo.load(None, js=NAME_EXAMPLES)
    return demo.queue(max_size=32, default_concurrency_limit=2)


def main() -> None:
    """Serve the page; GRADIO_SERVER_NAME and GRADIO_SERVER_PORT say where."""
    predictor = Predictor(HERE / "foodvision_big.onnx", threads=2)
    make_demo(predictor).launch(
        theme=gr.themes.Ember(font=[FONT, "system-ui", "sans-serif"]),
        css_paths=HERE / "style.css",
        footer_links=["api"],
        ssr_mode=False,
        max_file_size="15mb",
        run_history=False,
        enable_monitoring=False,
    )


if __name__ == "__main__":
    main()
