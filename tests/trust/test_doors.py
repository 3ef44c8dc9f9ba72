"""Who calls, how often, how much and how slowly is settled before a body is read (R-DOOR-06 to R-DOOR-09)."""

import asyncio
from collections.abc import AsyncIterator, Callable, MutableMapping
from typing import Any

import httpx
import orjson
import pytest
from builders import report
from fastapi import FastAPI
from tests_support import problem

from civicpulse.app import create_app
from civicpulse.base.doors import bodies
from civicpulse.base.doors.ratelimit import network_of
from civicpulse.base.logins import application_url
from civicpulse.settings import Settings
from conftest import City

BOUNDARY = b"--x\r\nContent-Disposition: form-data; name=file; filename=a\r\n\r\n"
PIECE = b"x" * 65_536
JSON = {"content-type": "application/json"}
MULTIPART = {"content-type": "multipart/form-data; boundary=x"}


class Sender:
    """A client that sends a body without end, piece by piece, and counts what is taken from it."""

    def __init__(self, app: FastAPI, tenant: str) -> None:
        self.app, self.tenant, self.taken = app, tenant, 0

    async def post(self, path: str, **headers: str) -> int:
        """The status that is answered."""
        sent = {"host": "city.test", "x-tenant": self.tenant} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        scope = {
            "type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in sent.items()], "client": ("192.0.2.7", 1),
            "server": ("city.test", 80), "scheme": "http", "http_version": "1.1", "asgi": {"version": "3.0"},
        }  # fmt: skip
        statuses: list[int] = []

        async def receive() -> dict[str, Any]:
            self.taken += len(PIECE)
            return {"type": "http.request", "body": BOUNDARY + PIECE, "more_body": True}

        async def send(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        await self.app(scope, receive, send)
        return statuses[0]


@pytest.fixture
def sender(city: City) -> Sender:
    return Sender(city.app, city.tenant.slug)


BODY_LIMIT, UPLOAD_LIMIT = Settings().body_limit_bytes, Settings().upload_limit_bytes


async def test_nothing_is_read_of_a_body_that_nobody_may_send(city: City, sender: Sender) -> None:
    agent = await city.token("agent")
    assert await sender.post("/requests", authorization="Bearer wrong", **JSON_HEADERS) == 401
    assert await sender.post("/agents", **JSON_HEADERS) == 401
    assert await sender.post("/agents", authorization=f"Bearer {agent}", **JSON_HEADERS) == 403
    assert await sender.post("/upload", **MULTIPART_HEADERS) == 401
    assert await sender.post("/requests", content_length=str(BODY_LIMIT + 1), **MULTIPART_HEADERS) == 413
    assert await sender.post("/nowhere", content_length=str(UPLOAD_LIMIT + 1), **MULTIPART_HEADERS) == 413
    assert sender.taken == 0


JSON_HEADERS = {name.replace("-", "_"): value for name, value in JSON.items()}
MULTIPART_HEADERS = {name.replace("-", "_"): value for name, value in MULTIPART.items()}


@pytest.mark.parametrize("headers", [JSON_HEADERS, MULTIPART_HEADERS, {}])
async def test_a_body_without_end_is_read_as_far_as_its_operation_takes(
    sender: Sender, headers: dict[str, str]
) -> None:
    """A form sent to an operation that takes JSON is held in memory, so the small limit holds for it."""
    assert await sender.post("/requests", **headers) == 413
    assert sender.taken <= BODY_LIMIT + 2 * len(PIECE)


async def test_only_an_upload_may_be_as_large_as_one(city: City, sender: Sender) -> None:
    number = (await (await city.client()).post("/requests", json=report())).json()["request_id"]
    assert await sender.post(f"/requests/{number}/evidence", **MULTIPART_HEADERS) == 413
    assert BODY_LIMIT < sender.taken <= UPLOAD_LIMIT + 2 * len(PIECE)


@pytest.mark.parametrize("grace", [-1, 0.01])
async def test_a_body_that_comes_too_slowly_is_given_up(
    city: City, monkeypatch: pytest.MonkeyPatch, grace: float
) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    monkeypatch.setattr(bodies, "GRACE_SECONDS", grace)
    monkeypatch.setattr(bodies, "BYTES_PER_SECOND", 1e9)
    answer = await (await city.client()).post("/requests", content=endless(), headers=JSON)
    problem(answer, 408, "too_slow")
    assert answer.headers["connection"] == "close"


# ------------------------------------------------------------------------------------------------------------- how it is made


async def test_so_many_faults_are_told_and_no_more(city: City) -> None:
    many = report() | {f"unknown_{n}": n for n in range(5_000)}
    answer = await (await city.client()).post("/requests", json=many)
    problem(answer, 422, "invalid")
    assert len(answer.json()["errors"]) == 100
    assert "100 of 5000" in answer.json()["detail"]
    assert len(answer.content) < 20_000
    long_named = await (await city.client()).post("/requests", json=report() | {"x" * 100_000: 1})
    problem(long_named, 422, "invalid")
    assert len(long_named.content) < 2_000


@pytest.mark.parametrize(
    "body",
    [
        orjson.dumps({f"k{n}": n for n in range(120_000)}),
        b'{"a":' * 61 + b"1" + b"}" * 61,
        b"[" * 100_000,
        b'{"a' + b"]" * 100_000 + b'":' + b"[" * 61 + b"]" * 61 + b"}",
    ],
)
async def test_what_is_too_wide_or_too_deep_is_not_looked_at(city: City, body: bytes) -> None:
    answer = await (await city.client()).post("/requests", content=body, headers=JSON)
    problem(answer, 400, "bad_request")
    assert len(answer.content) < 1_000


async def test_words_with_many_brackets_and_colons_are_words(city: City) -> None:
    words = '[[{{":' * 1_500
    answer = await (await city.client()).post("/requests", json=report(description=words))
    assert answer.status_code == 201, answer.text


# ----------------------------------------------------------------------------------------------------------------- how often


@pytest.fixture
async def strangers(city: City, database_url: str) -> AsyncIterator[Callable[[str], httpx.AsyncClient]]:
    """Makes clients by their address, of an app that takes three writes a minute from each."""
    limited = create_app(
        Settings(database_url=application_url(database_url), pool_size=4, anonymous_writes_per_minute=3)
    )

    def at(address: str, **headers: str) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app=limited, client=(address, 1234))
        sent = {"X-Tenant": city.tenant.slug} | headers
        return httpx.AsyncClient(transport=transport, base_url="http://city.test", headers=sent)

    async with limited.router.lifespan_context(limited):
        yield at


async def statuses(clients: list[httpx.AsyncClient], **sent: Any) -> list[int]:
    return [(await client.post("/requests", **sent)).status_code for client in clients]


async def test_a_network_of_ipv6_counts_as_one(strangers: Callable[..., httpx.AsyncClient]) -> None:
    house = [strangers(f"2001:db8:1:2::{n:x}") for n in range(1, 6)]
    assert await statuses(house, json=report()) == [201, 201, 201, 429, 429]
    assert await statuses([strangers("2001:db8:1:3::1")], json=report()) == [201]


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("testclient", "testclient"),
        ("", "unknown"),
    ],
)
def test_the_network_of_an_address(address: str, network: str) -> None:
    assert network_of(address) == network


async def test_unknown_tokens_and_broken_bodies_count(strangers: Callable[..., httpx.AsyncClient]) -> None:
    guessing = [strangers("192.0.2.1", Authorization=f"Bearer cpt_{n}") for n in range(5)]
    assert await statuses(guessing, json=report()) == [401, 401, 401, 429, 429]
    broken = [strangers("192.0.2.2")] * 5
    assert await statuses(broken, content=b"{", headers=JSON) == [400, 400, 400, 429, 429]
    misspelt = [strangers("192.0.2.3", Authorization="Basic x")] * 5
    assert await statuses(misspelt, json=report()) == [401, 401, 401, 429, 429]


async def test_a_key_of_two_strangers_is_two_keys(strangers: Callable[..., httpx.AsyncClient]) -> None:
    """The answer to a report holds what lets its reporter follow it: nobody else is given it again."""
    for path, body in (("/requests", report()), ("/reports", {"description": "A hole"})):
        key = {"Idempotency-Key": f"same-{path}"}
        ours, again, theirs = [
            await strangers(address, **key).post(path, json=body)
            for address in (f"192.0.2.{len(path)}", f"192.0.2.{len(path)}", "198.51.100.10")
        ]
        assert again.status_code == 200
        assert again.json() == ours.json()
        assert theirs.status_code == ours.status_code > 200
        assert theirs.json()["tracking_token"] != ours.json()["tracking_token"]
