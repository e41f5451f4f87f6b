"""Answer as SageMaker asks: POST a picture's bytes to /invocations, get JSON."""

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from deploy.reply import MAX_BYTES, reply
from deploy.web import Reply, make_app, serve
from going_modular.app.model import Predictor

HOW = "Send the picture itself: curl --data-binary @plate.jpg"
BODY = {"schema": {"type": "string", "format": "binary"}}
CONTENT = dict.fromkeys(("image/*", "application/octet-stream"), BODY)
TAKES = {"requestBody": {"required": True, "content": CONTENT}}  # for the OpenAPI page


def make(predictor: Predictor) -> FastAPI:
    """The app around a model."""
    app = make_app(predictor, health="/ping", limit=MAX_BYTES, how=HOW)

    @app.post("/invocations", response_model=Reply, openapi_extra=TAKES)
    async def invoke(request: Request) -> JSONResponse:
        """Say what is on a picture, or why there is no answer."""
        body, kind = await request.body(), request.headers.get("content-type", "")
        status, answer = await run_in_threadpool(reply, predictor, body, kind)
        return JSONResponse(answer, status)

    return app


if __name__ == "__main__":
    serve(make, __doc__, port=8080)  # where SageMaker asks
