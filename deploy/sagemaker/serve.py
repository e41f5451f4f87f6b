"""Answer as SageMaker asks: POST a picture's bytes to /invocations, get JSON."""

from typing import Annotated

from fastapi import Depends, FastAPI, Header, Request
from fastapi.responses import JSONResponse

from deploy.reply import MAX_BYTES, reply
from deploy.web import Reply, make_app, serve
from going_modular.app.model import Predictor

HOW = "Send the picture itself: curl --data-binary @plate.jpg"
BODY = {"schema": {"type": "string", "format": "binary"}}
CONTENT = dict.fromkeys(("image/*", "application/octet-stream"), BODY)
TAKES = {"requestBody": {"required": True, "content": CONTENT}}  # for the OpenAPI page


async def read_body(request: Request) -> bytes:
    """The body as it is, whatever its content type says."""
    return await request.body()


def make(predictor: Predictor) -> FastAPI:
    """The app around a model."""
    app = make_app(predictor, health="/ping", limit=MAX_BYTES, how=HOW)

    @app.post("/invocations", response_model=Reply, openapi_extra=TAKES)
    def invoke(
        picture: Annotated[bytes, Depends(read_body)],
        content_type: Annotated[str, Header(include_in_schema=False)] = "",
    ) -> JSONResponse:
        """Say what is on a picture, or why there is no answer."""
        status, answer = reply(predictor, picture, content_type)
        return JSONResponse(answer, status)

    return app


if __name__ == "__main__":
    serve(make, __doc__, port=8080)  # where SageMaker asks
