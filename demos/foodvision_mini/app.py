"""FoodVision Mini: a page that says what is on the plate."""

from pathlib import Path

import page  # first: it gives Gradio a folder of its own
import gradio as gr
from model import PictureError, Predictor, find_model, spoken
from safety import accept_only_uploads

HERE = Path(__file__).resolve().parent
predictor = Predictor(find_model(HERE), threads=2)
about = predictor.about  # what the model file says about itself


def predict(picture):
    """Name the food in a picture (in words with spaces), or say why not."""
    if picture is None:
        return {}, page.INVITATION
    try:
        answer = predictor.predict(picture)
    except PictureError as error:  # its message is written for visitors
        return {}, f"This picture did not work.\n{error}"
    bars = {spoken(name): value for name, value in answer.probabilities.items()}
    return bars, page.describe(answer, about)


# Every 30 seconds, pictures of visitors that are older than 60 seconds are deleted.
with gr.Blocks(
    title=about.title, analytics_enabled=False, delete_cache=(30, 60)
) as demo:
    gr.Markdown(page.heading(about), elem_id="top")
    if about.is_practice:
        gr.Markdown(page.PRACTICE, elem_id="banner")
    with gr.Row(equal_height=True):
        picture = gr.Image(type="filepath", **page.PICTURE)
        with gr.Column(elem_id="answer"):
            note = gr.HTML(page.INVITATION, **page.NOTE)
            scores = gr.Label(num_top_classes=5, **page.SCORES)
    if examples := page.list_examples(HERE / "examples"):
        gr.Examples(examples, picture, **page.EXAMPLES)
    gr.Markdown(page.describe_model(about), elem_id="about")

    accept_only_uploads(picture)
    picture.change(predict, picture, [scores, note], api_name="predict")
    demo.load(None, js=page.ON_LOAD)

# Two are answered at a time, 64 may wait. Who comes then reads that the app is busy.
demo.queue(max_size=64, default_concurrency_limit=2)

if __name__ == "__main__":
    # Without share=False, a hosted notebook gives the page a public address.
    demo.launch(share=False, max_file_size="15mb", **page.launch_options())
