"""Answer as Vertex AI asks: POST pictures in base64 in JSON, get JSON.

Vertex AI says in the environment at which port and routes it will ask.
"""

import base64
import io
import os
from typing import Annotated, Any
from urllib.parse import unquote

from fastapi import Depends, FastAPI, Header, HTTPException
from pydantic import BaseModel, Field, ValidationError

from deploy.reply import MAX_BYTES, as_json
from deploy.web import Reply, make_app, problems, read_body, serve
from going_modular.app.model import PictureError, Predictor

PORT, HEALTH, PREDICT = 8080, "/health", "/predict"  # where nothing else is said
MOST = 16  # pictures in a request
EXAMPLE = "R0lGODlhAQABAAAAACwAAAAAAQABAAACAkQBADs="  # a GIF of one pixel
LIMIT = MAX_BYTES * 3 // 2  # in base64, four characters are three bytes; then lines
URL_SAFE = str.maketrans("-_", "+/")
JSON = "application/json"
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


def schema() -> dict[str, Any]:
    """What the route takes, for the OpenAPI page, which cannot tell from the bytes."""
    question = Question.model_json_schema()
    question["properties"]["instances"]["items"] = question.pop("$defs")["Instance"]
    return {"requestBody": {"required": True, "content": {JSON: {"schema": question}}}}


def decode(text: str) -> bytes:
    """Bytes of base64 as clients write it: in lines, URL-safe, unpadded, a data URI.

    Raises:
        ValueError: If it is none of these.
    """
    start, comma, rest = text.strip().partition(",")
    if comma and start.lower().startswith("data:") and start.lower().endswith("base64"):
        text = unquote(rest)
    text = "".join(text.split()).rstrip("=").translate(URL_SAFE)
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)


def answer(predictor: Predictor, body: bytes) -> dict[str, list]:
    """Answer for every picture of a request, or for none.

    Raises:
        HTTPException: With a 400 and, where it is about one picture, its number:
            predictions for the others alone could not be told apart.
    """
    try:
        question = Question.model_validate_json(body)
    except ValidationError as error:
        raise HTTPException(400, HOW) from error
    found = []
    for number, instance in enumerate(question.instances):
        try:
            found.append(as_json(predictor.predict(io.BytesIO(decode(instance.b64)))))
        except ValueError as error:
            known = isinstance(error, PictureError)
            why = str(error) if known else "That is not base64."
            raise HTTPException(400, f"instances[{number}]: {why}") from error
    return {"predictions": found}


def make(predictor: Predictor) -> FastAPI:
    """The app around a model."""
    health = os.environ.get("AIP_HEALTH_ROUTE", HEALTH)
    route = os.environ.get("AIP_PREDICT_ROUTE", PREDICT)
    app = make_app(predictor, health=health, limit=LIMIT, how=HOW)
    told = {"responses": problems(415, HOW), "openapi_extra": schema()}

    @app.post(route, response_model=Predictions, **told)
    def predict(
        body: Annotated[bytes, Depends(read_body)],
        content_type: Annotated[str, Header(include_in_schema=False)] = JSON,
    ) -> dict:
        """Say what is on each picture, or why there is no answer."""
        if content_type.split(";")[0].strip().lower() != JSON:
            raise HTTPException(415, HOW)
        return answer(predictor, body)

    return app


if __name__ == "__main__":
    serve(make, __doc__, port=int(os.environ.get("AIP_HTTP_PORT", PORT)))
