"""From a request's body to a status and JSON, for servers that hand over bytes."""

import io
from typing import Any

from deploy.answers import MAX_BYTES, as_json
from going_modular.app.model import PictureError, Predictor

LARGE = f"That file is too large. Send at most {MAX_BYTES // 1_000_000} MB."
FORM = "Send the picture itself, not a form: curl --data-binary @plate.jpg"


def reply(
    predictor: Predictor, body: bytes | bytearray, kind: str = ""
) -> tuple[int, dict]:
    """Answer for a picture, or say what is wrong with it.

    Args:
        predictor: Which model answers.
        body: The request's. What it is is read from its first bytes.
        kind: The request's content type. Clients rarely set it right, so it matters
            only where it says that the picture is wrapped in a form.

    Returns:
        200 and the answer, or a status of the 400s and a sentence as "detail".
    """
    if kind.startswith("multipart/"):
        return 415, say(FORM)
    if len(body) > MAX_BYTES:
        return 413, say(LARGE)
    try:
        return 200, as_json(predictor.predict(io.BytesIO(body)))
    except PictureError as error:
        return 400, say(str(error))


def say(sentence: str) -> dict[str, Any]:
    """Put a sentence for whoever sent the request into the form of every server."""
    return {"detail": sentence}
