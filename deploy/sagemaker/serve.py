"""Answer as SageMaker asks: POST a picture's bytes to /invocations, get JSON."""

import io

from fastapi import FastAPI, HTTPException, Request

from deploy.reply import as_json
from deploy.web import MAX_BYTES, PredictPool, Reply, make_app, problems, serve
from going_modular.app.model import Predictor

PORT = 8080  # where SageMaker asks
BYTES = "application/octet-stream"
HOW = (
    "Send the picture itself: "
    'curl -H "Content-Type: image/jpeg" --data-binary @plate.jpg'
)
# No picture comes under these names; under all others it may: SageMaker's clients say
# application/x-image, S3 says binary/octet-stream.
WRAPPED = ("multipart/", "text/", "application/json", "application/x-www-form")
BODY = {"schema": {"type": "string", "format": "binary"}}
KINDS = ("image/*", BYTES, "application/x-image")
TAKES = {
    "requestBody": {"required": True, "content": dict.fromkeys(KINDS, BODY)}
}  # for the OpenAPI page, which cannot tell it from `Request`


def make(predictor: Predictor) -> FastAPI:
    """The app around a model."""
    app = make_app(predictor, health="/ping", limit=MAX_BYTES, how=HOW)
    pool = PredictPool()

    @app.post(
        "/invocations",
        responses=problems(_415=HOW),
        response_model=Reply,
        openapi_extra=TAKES,
    )
    async def invoke(request: Request) -> dict:
        """Say what is on a picture, or why there is no answer."""
        kind = request.headers.get("content-type", BYTES).lower().strip()
        if kind.startswith(WRAPPED):
            raise HTTPException(415, HOW)
        picture = io.BytesIO(await request.body())
        return as_json(await pool.do(predictor.predict, picture))

    return app


if __name__ == "__main__":
    serve(make, __doc__, port=PORT)
