"""Answer as Vertex AI asks: POST pictures in base64 in JSON, get JSON."""

import base64
import io
import os

from fastapi import FastAPI
from pydantic import BaseModel, Field

from deploy.reply import MAX_BYTES, as_json
from deploy.web import Reply, make_app, serve
from going_modular.app.model import PictureError, Predictor

MOST = 16  # pictures in a request
EXAMPLE = "R0lGODlhAQABAAAAACwAAAAAAQABAAACAkQBADs="  # a GIF of one pixel
LIMIT = MAX_BYTES * 3 // 2  # in base64, four characters are three bytes; then lines
HOW = (
    'Send JSON, as application/json: {"instances": [{"b64": "..."}]}, with 1 to '
    f"{MOST} pictures, each in base64."
)


class Instance(BaseModel):
    """One picture."""

    b64: str = Field(description="a picture file in base64", examples=[EXAMPLE])


class Question(BaseModel):
    """What Vertex AI passes on; it may hold more, such as "parameters"."""

    instances: list[Instance] = Field(min_length=1, max_length=MOST)


class Predictions(BaseModel):
    """One answer an instance, in their order."""

    predictions: list[Reply]


def decode(text: str) -> bytes:
    """Bytes of base64 as clients write it: in lines, URL-safe, unpadded, a data URI."""
    plain = text.rpartition(",")[2].translate(str.maketrans("-_", "+/"))
    try:
        return base64.b64decode(plain + "==")
    except ValueError as error:
        raise PictureError("That is not base64.") from error


def make(predictor: Predictor) -> FastAPI:
    """The app around a model."""
    health = os.environ.get("AIP_HEALTH_ROUTE", "/health")
    app = make_app(predictor, health=health, limit=LIMIT, how=HOW)
    route = os.environ.get("AIP_PREDICT_ROUTE", "/predict")

    @app.post(route, response_model=Predictions)
    def predict(question: Question) -> dict:
        """Say what is on every picture, or of the first that cannot be used, why."""
        found = []
        for number, instance in enumerate(question.instances):
            try:
                picture = io.BytesIO(decode(instance.b64))
                found.append(as_json(predictor.predict(picture)))
            except PictureError as error:
                raise PictureError(f"instances[{number}]: {error}") from error
        return {"predictions": found}

    return app


if __name__ == "__main__":
    serve(make, __doc__, port=int(os.environ.get("AIP_HTTP_PORT", 8080)))
