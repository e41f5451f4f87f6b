"""The limits of a web app: which requests it takes, how large, and for how long."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deploy.reply import LARGE, say

PLACES = 64  # requests at once, being uploaded, waiting or answered; more get a 503
SECONDS = 30  # for an upload: one that stalls must not hold its place
FULL = "Too many requests are waiting. Ask again in a moment."
STOPPING = "The server is stopping. Ask again in a moment."
SLOW = f"The upload took longer than {SECONDS} seconds. Send it again."


class RequestLimits:
    """ASGI middleware that takes a whole body in before the app is asked.

    So no upload holds a thread, and none fills the disk. Bodies are counted as they
    come, also without a Content-Length. uvicorn's own `limit_concurrency` would count
    idle connections, refuse health checks when busy, and answer without JSON.

    Args:
        app: What answers the requests that are let in.
        limit: Bytes of a body; longer ones get a 413.
    """

    def __init__(self, app: ASGIApp, *, limit: int) -> None:
        self.app, self.limit, self.taken = app, limit, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            return await self.app(scope, receive, send)
        request, end = Request(scope, receive), asyncio.get_running_loop().time()
        chunks, end = request.stream(), end + SECONDS
        self.taken += 1
        try:
            async with asyncio.timeout_at(end):
                coming = [await self.take_in(request, chunks)]
        except ClientDisconnect:
            return None
        except HTTPException as error:
            return await refuse(error, request, chunks, send, end)
        except TimeoutError:
            return await refuse(HTTPException(408, SLOW), request, chunks, send, end)
        except asyncio.CancelledError:  # uvicorn stops, and waits no longer
            return await refuse(HTTPException(503, STOPPING), request, chunks, send, 0)
        else:

            async def hand_on() -> Message:
                return coming.pop() if coming else await receive()

            return await self.app(scope, hand_on, send)
        finally:
            self.taken -= 1

    async def take_in(self, request: Request, chunks: AsyncIterator[bytes]) -> Message:
        """Take a body in, or raise an HTTPException that says why not."""
        if self.taken > PLACES:
            raise HTTPException(503, FULL, {"retry-after": "1"})
        declared, body = request.headers.get("content-length", ""), bytearray()
        if declared.isdecimal() and float(declared) > self.limit:
            raise HTTPException(413, LARGE)
        async for chunk in chunks:
            body += chunk
            if len(body) > self.limit:
                raise HTTPException(413, LARGE)
        return {"type": "http.request", "body": bytes(body)}


async def refuse(
    error: HTTPException,
    request: Request,
    rest: AsyncIterator[bytes],
    send: Send,
    end: float,
) -> None:
    """Answer, throw away the rest of the body, and only then end the answer.

    Who is cut off while sending sees a broken connection in place of the answer.
    """

    async def hold_open(message: Message) -> None:
        await send({**message, "more_body": True})

    headers = {"connection": "close", **(error.headers or {})}
    answer = JSONResponse(say(error.detail), error.status_code, headers)
    await answer(request.scope, request.receive, hold_open)
    with contextlib.suppress(TimeoutError, ClientDisconnect):
        async with asyncio.timeout_at(end):
            async for _ in rest:
                pass
    await send({"type": "http.response.body"})
