"""Answer as SageMaker asks: POST a picture's bytes to /invocations, get JSON."""

import io
from typing import Annotated

from fastapi import Depends, FastAPI, Header, HTTPException

from deploy.reply import MAX_BYTES, as_json
from deploy.web import Reply, make_app, problems, read_body, serve
from going_modular.app.model import Predictor

BYTES = "application/octet-stream"
HOW = (
    "Send the picture itself: "
    'curl -H "Content-Type: image/jpeg" --data-binary @plate.jpg'
)
# No picture comes under these names; under all others it may: SageMaker's clients say
# application/x-image, S3 says binary/octet-stream.
WRAPPED = ("multipart/", "text/", "application/json", "application/x-www-form")
BODY = {"schema": {"type": "string", "format": "binary"}}
KINDS = dict.fromkeys(("image/*", BYTES, "application/x-image"), BODY)
TAKES = {"requestBody": {"required": True, "content": KINDS}}  # for the OpenAPI page


def make(predictor: Predictor) -> FastAPI:
    """The app around a model."""
    app = make_app(predictor, health="/ping", limit=MAX_BYTES, how=HOW)
    told = {"responses": problems(415, HOW), "openapi_extra": TAKES}

    @app.post("/invocations", response_model=Reply, **told)
    def invoke(
        picture: Annotated[bytes, Depends(read_body)],
        content_type: Annotated[str, Header(include_in_schema=False)] = BYTES,
    ) -> dict:
        """Say what is on a picture, or why there is no answer."""
        if content_type.lower().strip().startswith(WRAPPED):
            raise HTTPException(415, HOW)
        return as_json(predictor.predict(io.BytesIO(picture)))

    return app


if __name__ == "__main__":
    serve(make, __doc__, port=8080)  # where SageMaker asks
