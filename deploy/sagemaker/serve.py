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
BODY = {"schema": {"type": "string", "format": "binary"}}
TAKES = {
    "requestBody": {"required": True, "content": {"image/*": BODY, BYTES: BODY}}
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
        kind = request.headers.get("content-type", BYTES).lower()
        if not kind.startswith(("image/", BYTES)):
            raise HTTPException(415, HOW)
        picture = io.BytesIO(await request.body())
        return as_json(await pool.do(predictor.predict, picture))

    return app


if __name__ == "__main__":
    serve(make, __doc__, port=PORT)
