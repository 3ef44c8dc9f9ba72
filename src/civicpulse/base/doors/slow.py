"""Clients that dawdle: the head of a request, and what takes an answer away, have their time; uvicorn waits for both without end."""

import asyncio
from typing import Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

HEAD_SECONDS: Final = 10.0
HEAD_BYTES: Final = 64 * 1024
SEND_SECONDS: Final = 60.0


class PatientProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with timers: a connection whose request does not arrive, or whose answer is not taken, is closed.

    The body of a request is waited for in `bodies.Doorway`, the next request of a connection by uvicorn itself.
    """

    _head_timer: asyncio.TimerHandle | None = None
    _send_timer: asyncio.TimerHandle | None = None
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Begins to wait for the first request."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends the waiting."""
        self._stop_timers()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Counts what came of a head that is not whole, and waits no longer for it than for a whole one."""
        super().data_received(data)
        if self.transport.is_closing() or not self._is_between_requests():
            return
        if not self._is_answered_early():
            self._head_bytes += len(data)
        if self._head_bytes > HEAD_BYTES:
            self._refuse(431)
        elif self._head_timer is None:
            self._await_head()

    def on_headers_complete(self) -> None:
        """Goes on with a request whose head is whole."""
        if self._head_timer is not None:
            self._head_timer.cancel()
        self._head_timer, self._head_bytes = None, 0
        super().on_headers_complete()

    def pause_writing(self) -> None:
        """Begins to wait for the client to take what was sent."""
        super().pause_writing()
        if self._send_timer is None:
            self._send_timer = self.loop.call_later(SEND_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Goes on: the client has taken it."""
        super().resume_writing()
        if self._send_timer is not None:
            self._send_timer.cancel()
            self._send_timer = None

    def _is_between_requests(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _is_answered_early(self) -> bool:
        """Tells whether the rest of a body comes that nobody reads: it is dropped for a while, so that the answer gets through."""
        return self.cycle is not None and self.cycle.more_body

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._refuse, 408)

    def _refuse(self, status: int) -> None:
        self._stop_timers()
        if self.transport.is_closing():
            return
        if not self._is_answered_early():
            self.transport.write(STATUS_LINE[status] + b"connection: close\r\ncontent-length: 0\r\n\r\n")
        self.transport.close()

    def _stop_timers(self) -> None:
        for timer in (self._head_timer, self._send_timer):
            if timer is not None:
                timer.cancel()
        self._head_timer = self._send_timer = None
