"""The limits of a web app: how many requests it takes, how large, and for how long."""

import asyncio

from fastapi.responses import JSONResponse
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

    So no upload holds a thread, and none fills the disk. A body is read to its end also
    where it is not wanted, or its sender would see a broken connection in place of the
    answer; no more of it is kept than shows that it is longer than `limit` bytes.
    uvicorn's own `limit_concurrency` would count idle connections, refuse health checks
    when busy, and answer without JSON.
    """

    def __init__(self, app: ASGIApp, *, limit: int) -> None:
        self.app, self.limit, self.taken = app, limit, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            return await self.app(scope, receive, send)
        is_full, body = self.taken >= PLACES, bytearray()
        self.taken += not is_full
        try:
            status, sentence = await self.take_in(scope, receive, body, is_full)
            if status == 200:
                return await self.app(scope, handing_on(body, receive), send)
            headers = {"connection": "close", "retry-after": "1"}
            await JSONResponse(say(sentence), status, headers)(scope, receive, send)
        except ClientDisconnect:
            return None
        finally:
            self.taken -= not is_full

    async def take_in(
        self, scope: Scope, receive: Receive, body: bytearray, is_full: bool
    ) -> tuple[int, str]:
        """Read a body; return a status, and a sentence where it is refused."""
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


def handing_on(body: bytearray, receive: Receive) -> Receive:
    """Gives an app the body, then what else may come: that the visitor hangs up."""
    waiting = [{"type": "http.request", "body": bytes(body)}]

    async def hand_on() -> Message:
        return waiting.pop() if waiting else await receive()

    return hand_on
