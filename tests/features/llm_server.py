"""A small server that speaks the OpenAI protocol over a real socket, and misbehaves on demand."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

GOOD: dict[str, Any] = {
    "category": "pothole",
    "priority": 6,
    "sentiment": "negative",
    "language": "en",
    "summary": "A deep hole in the road.",
    "recommendation": "Send a crew.",
    "confidence": 0.9,
}
Reply = tuple[int, Any] | str | None


@dataclass
class LlmServer:
    """`answer` gets each request's body and its number: a status with a body, a text to say, or None to hang."""

    answer: Callable[[dict[str, Any], int], Reply] = lambda body, number: json.dumps(GOOD)
    delay: float = 0.0
    drips: bool = False  # begins each answer and never ends it
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    at_once: int = 0
    most_at_once: int = 0
    url: str = ""
    connections: set[asyncio.Task[None]] = field(default_factory=set)

    def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Takes a connection."""
        self.connections.add(asyncio.ensure_future(self.serve(reader, writer)))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            while await self._exchange(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.transport.abort()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next(
            int(line.split(":")[1]) for line in head.split("\r\n") if line.lower().startswith("content-length")
        )
        body = json.loads(await reader.readexactly(length))
        self.bodies.append(body)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(self.delay)
            reply = self.answer(body, len(self.bodies))
            if reply is None:
                await asyncio.sleep(3600)
            if self.drips:
                await self._drip(writer)
        finally:
            self.at_once -= 1
        status, content = (200, _completion(body, reply)) if isinstance(reply, str) else reply  # type: ignore[misc]
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        extra = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        writer.write(
            f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n{extra}\r\n".encode()
            + data
        )
        await writer.drain()
        return True

    async def _drip(self, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 X\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.02)


def _completion(body: dict[str, Any], content: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": content}
    return {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": f"{body['model']}-2026",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120},
    }


def refuse(*modes: str) -> Callable[[dict[str, Any], int], Reply]:
    """A server that answers 400 to these response formats."""

    def answer(body: dict[str, Any], number: int) -> Reply:
        mode = body.get("response_format", {}).get("type", "plain")
        return (400, {"error": {"message": f"{mode} is not supported"}}) if mode in modes else json.dumps(GOOD)

    return answer


@asynccontextmanager
async def running() -> AsyncIterator[LlmServer]:
    """The server on a free port of this machine."""
    kept = LlmServer()
    server = await asyncio.start_server(kept.connect, "127.0.0.1", 0)
    kept.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield kept
    finally:
        for task in kept.connections:
            task.cancel()
        await asyncio.gather(*kept.connections, return_exceptions=True)
        server.close()
