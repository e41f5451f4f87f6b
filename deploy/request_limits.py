"""The limits of a web app: which requests it takes, how large, and for how long."""

import asyncio
import contextlib

from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

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
        too_large: The sentence with it.
    """

    def __init__(self, app: ASGIApp, *, limit: int, too_large: str) -> None:
        self.app, self.limit, self.too_large = app, limit, too_large
        self.taken = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            return await self.app(scope, receive, send)
        upload, end = Upload(receive), asyncio.get_running_loop().time() + SECONDS
        self.taken += 1
        try:
            async with asyncio.timeout_at(end):
                await self.take_in(upload, scope)
        except ClientDisconnect:
            return None
        except HTTPException as error:
            refusal = error
        except TimeoutError:
            refusal = HTTPException(408, SLOW)
        except asyncio.CancelledError:  # uvicorn stops, and waits no longer
            refusal, end = HTTPException(503, STOPPING), 0.0
        else:
            return await self.app(scope, upload.hand_on, send)
        finally:
            self.taken -= 1
        return await upload.refuse(refusal, scope, send, end)

    async def take_in(self, upload: "Upload", scope: Scope) -> None:
        """Take a body in, or raise an HTTPException that says why not."""
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if self.taken > PLACES:
            raise HTTPException(503, FULL, {"retry-after": "1"})
        if declared.isdigit() and float(declared) > self.limit:
            raise HTTPException(413, self.too_large)
        while upload.more:
            upload.body += await upload.next()
            if len(upload.body) > self.limit:
                raise HTTPException(413, self.too_large)


class Upload:
    """A request's body on its way in; `more` of it may be to come."""

    def __init__(self, receive: Receive) -> None:
        self.receive, self.more, self.body = receive, True, bytearray()

    async def next(self) -> bytes:
        """Wait for some of the body."""
        message = await self.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        self.more = message.get("more_body", False)
        return message.get("body", b"")

    async def hand_on(self) -> Message:
        """Give the app the body, then what else may come: that the visitor hangs up."""
        if self.body is None:
            return await self.receive()
        body, self.body = bytes(self.body), None
        return {"type": "http.request", "body": body}

    async def refuse(
        self, error: HTTPException, scope: Scope, send: Send, end: float
    ) -> None:
        """Answer, throw away the rest of the body, and only then end the answer.

        Who is cut off while sending sees a broken connection in place of the answer.
        """

        async def hold_open(message: Message) -> None:
            await send({**message, "more_body": True})

        headers = {"connection": "close", **(error.headers or {})}
        answer = JSONResponse({"detail": error.detail}, error.status_code, headers)
        await answer(scope, self.receive, hold_open)
        with contextlib.suppress(TimeoutError, ClientDisconnect):
            async with asyncio.timeout_at(end):
                while self.more:
                    await self.next()
        await send({"type": "http.response.body"})
