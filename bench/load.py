"""A light HTTP load generator: raw asyncio protocols, keep-alive, one request in flight per connection.

It shares the machine with what it measures, so it parses no more of an answer than its status and its length.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import uvloop

HEAD_END = b"\r\n\r\n"
LENGTH = b"\r\ncontent-length: "


class LoadError(RuntimeError):
    """The server hung up or answered in a way that cannot be counted."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a run of requests gave. `latencies`: seconds, sorted, failures included; `cpu`: our own seconds of CPU."""

    count: int
    failures: int
    first_failure: str
    seconds: float
    cpu: float
    latencies: Sequence[float]
    last_body: bytes

    @property
    def per_second(self) -> float:
        """Answers that were not failures, per second."""
        return (self.count - self.failures) / self.seconds

    def percentile(self, share: float) -> float:
        """The latency in milliseconds below which `share` (0..1) of the answers stayed."""
        return self.latencies[min(len(self.latencies) - 1, int(share * len(self.latencies)))] * 1000

    @property
    def tail(self) -> str:
        """The percentiles in words, and the failures if there were any."""
        text = f"best {self.percentile(0):.1f} p50 {self.percentile(0.5):.1f} p95 {self.percentile(0.95):.1f} p99 {self.percentile(0.99):.1f} ms"
        return f"{text}; {self.failures} FAILED, first: {self.first_failure}" if self.failures else text


def http_request(method: str, path: str, *, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    """The bytes of one HTTP/1.1 request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: bench", *(f"{name}: {value}" for name, value in headers.items())]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode() + HEAD_END + body


class _Run:
    """What the connections of one run share."""

    def __init__(self, requests: Iterator[bytes]) -> None:
        self.requests = requests
        self.latencies: list[float] = []
        self.failures = 0
        self.first_failure = ""
        self.last_body = b""

    def fail(self, answer: bytes) -> None:
        self.failures += 1
        if not self.first_failure:
            head, _, body = answer.partition(HEAD_END)
            self.first_failure = (head.split(b"\r\n", 1)[0] + b" " + body[:300]).decode(errors="replace")


class _Connection(asyncio.Protocol):
    def __init__(self, run: _Run) -> None:
        self.run = run
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.parts: list[bytes] = []
        self.missing = -1  # bytes of the answer still to come; -1 while its head is not complete
        self.began = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is not a subclass
        self._next()

    def _next(self) -> None:
        request = next(self.run.requests, None)
        if request is None:
            self.done.set_result(None)
            self.transport.close()
            return
        self.began = time.perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.parts.append(data)
        if self.missing < 0:
            answer = b"".join(self.parts)
            self.parts = [answer]
            end = answer.find(HEAD_END)
            if end < 0:
                return
            try:
                self.missing = self._length(answer, end) - (len(answer) - end - 4)
            except LoadError as error:
                self.done.set_exception(error)
                self.transport.close()
                return
        else:
            self.missing -= len(data)
        if self.missing == 0:
            self._finished()

    def _length(self, answer: bytes, end: int) -> int:
        at = answer.find(LENGTH, 0, end)
        if at < 0:
            if answer[9:12] in (b"204", b"304"):
                return 0
            raise LoadError(f"an answer without a length: {answer[:200]!r}")
        at += len(LENGTH)
        stop = answer.find(b"\r", at)
        return int(answer[at:stop])

    def _finished(self) -> None:
        run = self.run
        run.latencies.append(time.perf_counter() - self.began)
        if self.parts[0][9:10] != b"2":
            run.fail(b"".join(self.parts))
        elif len(self.parts) > 1 or len(run.latencies) == 1:
            run.last_body = b"".join(self.parts).partition(HEAD_END)[2]
        self.parts, self.missing = [], -1
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(LoadError(f"the server hung up: {exc or 'closed'}"))


def run_load(port: int, requests: Sequence[bytes], *, connections: int) -> Load:
    """Sends every request once, `connections` at a time, and waits for the answers. Raises LoadError when cut off."""
    run = _Run(iter(requests))

    async def main() -> None:
        loop = asyncio.get_running_loop()
        opened = [await loop.create_connection(lambda: _Connection(run), "127.0.0.1", port) for _ in range(connections)]
        await asyncio.gather(*(protocol.done for _, protocol in opened))

    began, cpu = time.perf_counter(), time.process_time()
    uvloop.run(main())
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    return Load(len(run.latencies), run.failures, run.first_failure, seconds, cpu, sorted(run.latencies), run.last_body)
