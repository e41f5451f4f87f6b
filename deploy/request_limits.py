"""The limits of a web app: which requests it takes, how large, and for how long."""

import asyncio

from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PLACES = 64  # requests at once, being uploaded, waiting or answered; more get a 503
SECONDS = 30  # for an upload: one that stalls must not hold its place
FULL = "Too many requests are waiting. Ask again in a moment."
STOPPING = "The server is stopping. Ask again in a moment."
SLOW = f"The upload took longer than {SECONDS} seconds. Send it again."


class RequestLimits:
    """ASGI middleware before everything that reads a request's body.

    Bodies are counted as they come, so that those without a Content-Length are bounded,
    too, and a form's parts never fill the disk.

    Args:
        app: What answers the requests that are let in.
        limit: Bytes of a body; longer ones get a 413.
        too_large: The sentence with it.
    """

    def __init__(self, app: ASGIApp, *, limit: int, too_large: str) -> None:
        self.app, self.limit, self.too_large = app, limit, too_large
        self.taken = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            return await self.app(scope, receive, send)
        visit = Visit(receive, send, self.limit, self.too_large)
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if self.taken >= PLACES:
            full = JSONResponse({"detail": FULL}, 503, {"Retry-After": "1"})
            await full(scope, visit.receive, visit.send)
        elif declared.isdigit() and float(declared) > self.limit:
            large = JSONResponse({"detail": self.too_large}, 413)
            await large(scope, visit.receive, visit.send)
        else:
            self.taken += 1
            try:
                await self.app(scope, visit.receive, visit.send)
            finally:
                self.taken -= 1
        await visit.leave()


class Visit:
    """One request on its way in, and its answer on its way out."""

    def __init__(
        self, receive: Receive, send: Send, limit: int, too_large: str
    ) -> None:
        self._receive, self._send = receive, send
        self.left, self.too_large = limit, too_large
        self.deadline = asyncio.get_running_loop().time() + SECONDS
        self.is_all_here = False
        self.last: Message | None = None

    async def receive(self) -> Message:
        """Pass on what comes, until it is too much or too late.

        Raises:
            HTTPException: With a 408, 413 or 503, which FastAPI turns into an answer.
        """
        if self.is_all_here:  # all that can come now is that the visitor hangs up
            return await self._receive()
        try:
            async with asyncio.timeout_at(self.deadline):
                message = await self._receive()
        except TimeoutError as error:
            raise HTTPException(408, SLOW) from error
        except asyncio.CancelledError as error:  # uvicorn stops, and waits no longer
            self.deadline = 0.0
            raise HTTPException(503, STOPPING) from error
        self.left -= len(message.get("body", b""))
        self.is_all_here = not message.get("more_body", False)
        if self.left < 0:
            raise HTTPException(413, self.too_large)
        return message

    async def send(self, message: Message) -> None:
        """Pass an answer on; where some of the body is still to come, not its end."""
        if not self.is_all_here:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"connection", b"close")]
            elif not message.get("more_body", False):
                self.last = message
                message = {**message, "more_body": True}
        await self._send(message)

    async def leave(self) -> None:
        """Throw the rest of the body away, and then end the answer.

        Who is cut off while sending sees a broken connection in place of the answer.
        """
        if self.last is None:
            return
        try:
            async with asyncio.timeout_at(self.deadline):
                while (await self._receive()).get("more_body", False):
                    pass
        except TimeoutError:
            pass
        await self._send({**self.last, "body": b""})
