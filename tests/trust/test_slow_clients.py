"""A client that dawdles loses its connection, and nobody else theirs (R-DOOR-11)."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from civicpulse.base.doors import slow
from civicpulse.base.doors.slow import PatientProtocol

HEAD = b"GET / HTTP/1.1\r\nHost: city.test\r\n"


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answers without a look at the body; /large with more than any buffer holds."""
    body = b"x" * 20_000_000 if scope["path"] == "/large" else b"hello"
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """A server that speaks our protocol."""
    config, state = uvicorn.Config(application, log_config=None), ServerState()
    config.load()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: PatientProtocol(config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )
    yield server.sockets[0].getsockname()[1]
    server.close()


async def answer_to(port: int, *pieces: bytes) -> bytes:
    """All that is answered until the server closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
    async with asyncio.timeout(30):
        found = await reader.read()
    writer.close()
    return found


@pytest.mark.parametrize("sent", [b"", b"\r\n", b"G", HEAD, HEAD + b"X-Half: "])
async def test_a_request_whose_head_does_not_come_is_given_up(
    port: int, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(slow, "HEAD_SECONDS", 0.05)
    many = await asyncio.gather(*(answer_to(port, sent) for _ in range(20)))
    assert all(answer.startswith(b"HTTP/1.1 408 ") for answer in many)


async def test_the_next_request_of_a_connection_has_the_same_time(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow, "HEAD_SECONDS", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(HEAD + b"\r\n")
    assert b"200 OK" in await reader.readuntil(b"hello")
    writer.write(HEAD)
    async with asyncio.timeout(30):
        assert (await reader.read()).startswith(b"HTTP/1.1 408 ")
    writer.close()


async def test_a_head_without_end_is_refused(port: int) -> None:
    head = HEAD + b"X-More: "
    longer = head + b"x" * (
        slow.HEAD_BYTES + 1 - len(head)
    )  # by one: nothing is left unread that would reset the connection
    assert (await answer_to(port, longer)).startswith(b"HTTP/1.1 431 ")


async def test_whoever_is_refused_early_hears_it_before_the_rest_of_the_body_is_dropped(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slow, "HEAD_SECONDS", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST / HTTP/1.1\r\nHost: city.test\r\nContent-Length: 9000000\r\n\r\n")
    assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200 ")
    writer.write(b"x" * 1_000)
    async with asyncio.timeout(30):
        assert await reader.read() == b"", "it was answered already, so there is no more to say"
    writer.close()


async def test_an_answer_that_nobody_takes_is_given_up(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow, "SEND_SECONDS", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1_000)
    writer.write(b"GET /large HTTP/1.1\r\nHost: city.test\r\n\r\n")
    aborted = asyncio.Event()
    original = PatientProtocol.connection_lost

    def lost(self: PatientProtocol, exc: Exception | None) -> None:
        original(self, exc)
        aborted.set()

    monkeypatch.setattr(PatientProtocol, "connection_lost", lost)
    async with asyncio.timeout(30):
        await aborted.wait()
    writer.close()
    del reader
