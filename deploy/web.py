"""What the web apps of this folder share: one model, its answers, errors as sentences.

Each place adds the one route that it is asked at, in its own `serve.py`.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Literal

import uvicorn
from anyio import to_thread
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from deploy import server_options
from deploy.reply import say
from deploy.request_limits import FULL, RequestLimits
from going_modular.app import model


class Reply(BaseModel):
    """An answer for one picture, as `deploy.reply.as_json` puts it."""

    name: str = Field(alias="class", description="the likeliest dish")
    probability: float = Field(description="of that dish, from 0 to 1")
    probabilities: dict[str, float] = Field(description="of all, likeliest first")
    knn_similarity: float = Field(description="likeness to the training pictures")
    in_distribution_score: float = Field(description="likeness to its dishes, 0 to 1")
    verdict: Literal[model.DISH, model.OTHER, model.NO_PLATE]
    text: str = Field(description="what a person reads")


class Problem(BaseModel):
    """Why there is no answer."""

    detail: str = Field(description="a sentence for whoever sent the request")


PROBLEMS = {
    "4XX": {"model": Problem, "description": "not what can be answered"},
    503: {"model": Problem, "description": FULL},
}


@asynccontextmanager
async def one_thread_a_core(_: FastAPI) -> AsyncIterator[None]:
    """Let Starlette's pool, in which plain `def` routes run, have a thread a core.

    More would only share the cores and hold more pictures in memory. ONNX Runtime and
    Pillow's decoders let go of Python's lock while they work.
    """
    to_thread.current_default_thread_limiter().total_tokens = model.CPUS
    yield


def make_app(
    predictor: model.Predictor, *, health: str, limit: int, how: str
) -> FastAPI:
    """Make an app that says at `health` that it is up, and turns errors into sentences.

    `limit` is of bytes of a body, `how` what is told who sends something else.
    """
    about = {"title": predictor.about.title, "description": how, "redoc_url": None}
    app = FastAPI(**about, lifespan=one_thread_a_core, responses=PROBLEMS)
    app.add_middleware(RequestLimits, limit=limit)

    @app.exception_handler(model.PictureError)
    async def no_picture(_: Request, error: Exception) -> JSONResponse:
        return JSONResponse(say(str(error)), 400)

    @app.exception_handler(RequestValidationError)
    @app.exception_handler(400)  # a body that cannot be read
    async def no_such_request(_: Request, error: Exception) -> JSONResponse:
        return JSONResponse(say(how), getattr(error, "status_code", 422))

    @app.get(health)
    async def is_up() -> dict[str, str]:
        """Say that the model is loaded; not in the pool, which may be busy."""
        return {"status": "ok", "model": app.title}

    return app


def serve(
    make: Callable[[model.Predictor], FastAPI], description: str, *, port: int
) -> None:
    """Serve a place's app as the command line says, until Ctrl+C or SIGTERM."""
    parser = server_options(description, port)
    parser.add_argument("--host", default="127.0.0.1", help="default: %(default)s")
    args = parser.parse_args()
    try:
        predictor = model.Predictor(args.model, threads=1)
    except (OSError, ValueError) as error:
        raise SystemExit(str(error)) from error
    # A stalled upload must not keep a server from stopping.
    grace = {"timeout_graceful_shutdown": 5}
    uvicorn.run(make(predictor), host=args.host, port=args.port, **grace)
