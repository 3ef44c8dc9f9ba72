"""The outermost doors: one path for each operation, and bodies that are neither too large, nor too slow, nor too deep."""

import asyncio
import re
import time
from typing import Final

from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from civicpulse.base.doors.json import ProblemJson
from civicpulse.base.errors import Problem

LIMIT: Final = "civicpulse.body_limit"  # of a scope: how many bytes of body this operation takes

GRACE_SECONDS: Final = 30.0
BYTES_PER_SECOND: Final = 8_000  # the slowest that a body may come after that

MAX_DEPTH: Final = 60
MAX_FIELDS: Final = 20_000
_STRINGS: Final = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKETS: Final = re.compile(rb"[\[\]{}]")


class TooLarge(Problem):
    """The body is larger than the operation takes."""

    status, code, title = 413, "too_large", "Too large"

    def __init__(self, limit: int) -> None:
        super().__init__(f"The body is larger than {limit} bytes.")


class Unreadable(Problem):
    """The body is not looked at in detail."""

    status, code, title = 400, "bad_request", "Unreadable"


class Doorway:
    """The outermost layer: `/api/x` and `/x/` are `/x`; a body is read no further than its operation takes and waits for.

    Until the operation says that it takes more (`raise_limit`), `body_limit_bytes` hold.
    """

    def __init__(self, app: ASGIApp, *, body_limit_bytes: int, upload_limit_bytes: int) -> None:
        self.app = app
        self.body_limit_bytes = body_limit_bytes
        self.upload_limit_bytes = max(body_limit_bytes, upload_limit_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        scope["path"] = _plain(scope["path"])
        scope[LIMIT] = self.body_limit_bytes
        if _declared(scope) > self.upload_limit_bytes:
            problem = TooLarge(self.upload_limit_bytes)
            await ProblemJson(problem.document(scope["path"]), status_code=413)(scope, receive, send)
            return
        await self.app(scope, _bounded(scope, receive), send)


def _declared(scope: Scope) -> int:
    declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    return int(declared) if declared.isdigit() else 0


def _bounded(scope: Scope, receive: Receive) -> Receive:
    began = time.monotonic()
    seen, is_whole = 0, False

    async def bounded() -> Message:
        nonlocal seen, is_whole
        if is_whole:  # what comes now is that the caller has hung up
            return await receive()
        patience = began + GRACE_SECONDS + seen / BYTES_PER_SECOND - time.monotonic()
        if patience < 0:
            raise _too_slow()
        try:
            async with asyncio.timeout(patience):
                message = await receive()
        except TimeoutError:
            raise _too_slow() from None
        seen += len(message.get("body", b""))
        is_whole = not message.get("more_body", False)
        if seen > scope[LIMIT]:
            raise HTTPException(413, f"The body is larger than {scope[LIMIT]} bytes.")
        return message

    return bounded


def _too_slow() -> HTTPException:
    return HTTPException(408, "The body comes too slowly: send it again, over a better line.")


def raise_limit(request: Request, limit: int) -> None:
    """Lets the body of this request be as large as `limit`: it is written to disk as it comes, not held in memory."""
    request.scope[LIMIT] = limit


def check_size(request: Request) -> None:
    """Raises TooLarge for a body that says of itself that it is larger than its operation takes."""
    if _declared(request.scope) > request.scope.get(LIMIT, 0):
        raise TooLarge(request.scope[LIMIT])


def check_shape(body: bytes) -> None:
    """Raises Unreadable for JSON that is nested too deeply, or has too many fields, to be looked at in detail."""
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH and _depth(body) > MAX_DEPTH:
        raise Unreadable(f"The body is nested more than {MAX_DEPTH} levels deep.")
    if body.count(b":") > MAX_FIELDS and _STRINGS.sub(b"", body).count(b":") > MAX_FIELDS:
        raise Unreadable(f"The body has more than {MAX_FIELDS} fields: send it in parts.")


def _depth(body: bytes) -> int:
    """Counts how deep the brackets go, no further than is allowed."""
    depth = deepest = 0
    for bracket in _BRACKETS.finditer(_STRINGS.sub(b"", body)):
        depth += 1 if bracket[0] in b"[{" else -1
        deepest = max(deepest, depth)
        if deepest > MAX_DEPTH:
            break
    return deepest


def _plain(path: str) -> str:
    if path == "/api" or path.startswith("/api/"):
        path = path[4:] or "/"
    return path.rstrip("/") or "/"
