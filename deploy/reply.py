"""The one form in which every server answers, and the way from a body to it."""

import io

from going_modular.app.model import Answer, PictureError, Predictor

MAX_BYTES = 15_000_000  # a picture's, as in the Gradio app
LARGE = f"That file is too large. Send at most {MAX_BYTES // 1_000_000} MB."
FORM = "Send the picture itself, not a form: curl --data-binary @plate.jpg"


def as_json(answer: Answer) -> dict[str, object]:
    """Put an answer into words and numbers that JSON knows, likeliest class first."""
    name, probability = answer.best
    return {
        "class": name,
        "probability": probability,
        "probabilities": answer.probabilities,
        "knn_similarity": answer.knn_similarity,
        "in_distribution_score": answer.in_distribution_score,
        "verdict": answer.verdict,
        "text": answer.text,
    }


def reply(predictor: Predictor, body: bytes | bytearray, kind="") -> tuple[int, dict]:
    """200 and the answer for a picture, or a status of the 400s and a sentence.

    Clients rarely set the content type `kind` right, so it matters only where it says
    that the picture is wrapped in a form.
    """
    if kind.strip().lower().startswith("multipart/"):
        return 415, say(FORM)
    if len(body) > MAX_BYTES:
        return 413, say(LARGE)
    try:
        return 200, as_json(predictor.predict(io.BytesIO(body)))
    except PictureError as error:
        return 400, say(str(error))


def say(sentence: str) -> dict[str, object]:
    """Put a sentence for whoever sent the request into the form of every server."""
    return {"detail": sentence}
