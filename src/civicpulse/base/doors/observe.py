"""Each request's id, its log line and its metrics."""

import logging
import re
import time

from prometheus_client import Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from civicpulse.base.ids import new_id
from civicpulse.base.log import bind, get_logger, unbind_all

log = get_logger("civicpulse.http")
ROOT = logging.getLogger()

REQUESTS = Counter("civicpulse_http_requests_total", "Answers by route and status", ["method", "route", "status"])
SECONDS = Histogram(
    "civicpulse_http_seconds",
    "Time from request to last byte",
    ["method", "route"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")


class Observe:
    """Middleware: takes or makes X-Request-Id, counts, and writes one log line an answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        unbind_all()
        given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
        request_id = given.decode() if ID.fullmatch(given) else str(new_id())
        bind(request=request_id)
        began, status = time.perf_counter(), 500

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            await self.app(scope, receive, noted)
        finally:
            self._note(scope, status, time.perf_counter() - began)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        # The route's pattern, not the path: a path per request would be a metric per request.
        route = getattr(scope.get("route"), "path", None) or "(none)"
        REQUESTS.labels(scope["method"], route, str(status)).inc()
        SECONDS.labels(scope["method"], route).observe(seconds)
        # What callers get wrong is told to them and counted; a line each would cost more than many a query.
        level = logging.DEBUG if status < 500 else logging.WARNING
        if ROOT.isEnabledFor(level):
            log.log(
                level, "http", method=scope["method"], path=scope["path"], status=status, ms=round(seconds * 1000, 2)
            )
