"""What three places' web apps share: all but the route that each is asked at."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Literal

import uvicorn
from anyio import to_thread
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deploy import server_options
from deploy.reply import LARGE, say
from going_modular.app.model import CPUS, DISH, NO_PLATE, OTHER, PictureError, Predictor

PLACES = 64  # requests at once, being uploaded, waiting or answered; more get a 503
SECONDS = 30  # for an upload: one that stalls must not hold its place
FULL = "Too many requests are waiting. Ask again in a moment."
STOPPING = "The server is stopping. Ask again in a moment."
SLOW = f"The upload took longer than {SECONDS} seconds. Send it again."


class Reply(BaseModel):
    """An answer for one picture, as `deploy.reply.as_json` puts it."""

    name: str = Field(alias="class", description="the likeliest dish")
    probability: float = Field(description="of that dish, from 0 to 1")
    probabilities: dict[str, float] = Field(description="of all, likeliest first")
    knn_similarity: float = Field(description="likeness to the training pictures")
    in_distribution_score: float = Field(description="likeness to its dishes, 0 to 1")
    verdict: Literal[DISH, OTHER, NO_PLATE]
    text: str = Field(description="what a person reads")


class Problem(BaseModel):
    """Why there is no answer."""

    detail: str = Field(description="a sentence for whoever sent the request")


PROBLEMS = {
    "4XX": {"model": Problem, "description": "not what can be answered"},
    503: {"model": Problem, "description": FULL},
}


class RequestLimits:
    """ASGI middleware: a whole body, of `limit` bytes at most, before the app is asked.

    So no upload holds a thread. What is refused is read, too, or its sender would see a
    broken connection. uvicorn's own `limit_concurrency` refuses health checks, too.
    """

    def __init__(self, app: ASGIApp, *, limit: int) -> None:
        self.app, self.limit, self.taken = app, limit, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            return await self.app(scope, receive, send)
        is_full, body, waiting = self.taken >= PLACES, bytearray(), []

        async def hand_on() -> Message:  # then what may come: that the visitor hangs up
            return waiting.pop() if waiting else await receive()

        self.taken += not is_full
        try:
            status, sentence = await self.take_in(scope, receive, body, is_full)
            if status == 200:
                waiting.append({"type": "http.request", "body": bytes(body)})
                return await self.app(scope, hand_on, send)
            headers = {"connection": "close", "retry-after": "1"}
            await JSONResponse(say(sentence), status, headers)(scope, receive, send)
        except ClientDisconnect:
            return None
        finally:
            self.taken -= not is_full

    async def take_in(self, scope: Scope, receive: Receive, body, is_full) -> tuple:
        try:
            async with asyncio.timeout(SECONDS):
                async for chunk in Request(scope, receive).stream():
                    if len(body) <= self.limit and not is_full:
                        body += chunk
        except TimeoutError:
            return 408, SLOW
        except asyncio.CancelledError:  # uvicorn stops, and waits no longer
            return 503, STOPPING
        if is_full:
            return 503, FULL
        return (413, LARGE) if len(body) > self.limit else (200, "")


@asynccontextmanager
async def one_thread_a_core(_: FastAPI) -> AsyncIterator[None]:
    """Let the pool of `def` routes have a thread a core; more would fill the memory."""
    to_thread.current_default_thread_limiter().total_tokens = CPUS
    yield


def make_app(predictor: Predictor, *, health: str, limit: int, how: str) -> FastAPI:
    """An app that says at `health` that it is up, and turns errors into sentences.

    `limit` is of bytes of a body; `how` is told to who sends something else.
    """
    about = {"title": predictor.about.title, "description": how, "redoc_url": None}
    app = FastAPI(**about, lifespan=one_thread_a_core, responses=PROBLEMS)
    app.add_middleware(RequestLimits, limit=limit)

    @app.exception_handler(PictureError)
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


def serve(make: Callable, description: str, *, port: int) -> None:
    """Serve a place's app as the command line says, until Ctrl+C or SIGTERM."""
    args = server_options(description, port).parse_args()
    try:
        predictor = Predictor(args.model, threads=1)
    except (OSError, ValueError) as error:
        raise SystemExit(str(error)) from error
    where = {"host": args.host, "port": args.port}
    # A stalled upload must not keep a server from stopping.
    uvicorn.run(make(predictor), **where, timeout_graceful_shutdown=5)
