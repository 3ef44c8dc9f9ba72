"""The client of language models against a real local server: modes, repairs, retries, and a bound on time."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from llm_server import GOOD, LlmServer, refuse, running

from civicpulse.base import clock
from civicpulse.base.clients.llm import LlmCall, LlmClient, LlmFault, Question, close_llm_clients, json_in, llm_client
from civicpulse.base.seats import Seats
from civicpulse.base.tenancy import Tenant
from civicpulse.settings import Settings, SettingsError
from conftest import make_city


def check(said: str) -> str:
    found = json_in(said)
    if found["category"] not in ("pothole", "noise"):
        raise ValueError("category: must be one of pothole, noise")
    return str(found["category"])


QUESTION = Question("analysis", "You file reports.", "a hole", {"type": "object"}, check)


@pytest.fixture
async def server() -> AsyncIterator[LlmServer]:
    async with running() as kept:
        yield kept


@pytest.fixture
async def calls() -> list[LlmCall]:
    return []


@pytest.fixture
async def client(server: LlmServer) -> AsyncIterator[LlmClient]:
    made = LlmClient(server.url, "small", "key", timeout_seconds=2.0)
    yield made
    await made.close()


async def fault_of(client: LlmClient, calls: list[LlmCall]) -> str:
    with pytest.raises(LlmFault) as raised:
        await client.ask(QUESTION, record=calls.append)
    return raised.value.reason


async def test_an_answer_is_checked_counted_and_hashed(server, client, calls) -> None:
    assert await client.ask(QUESTION, record=calls.append) == "pothole"
    (call,) = calls
    assert (call.model, call.mode, call.tokens_in, call.tokens_out, call.outcome) == (
        "small-2026",
        "json_schema",
        100,
        20,
        "ok",
    )
    assert len(call.prompt_sha256) == 32
    assert server.bodies[0]["response_format"]["json_schema"]["strict"] is True


@pytest.mark.parametrize(
    ("refused", "used"), [(("json_schema",), "json_object"), (("json_schema", "json_object"), "plain")]
)
async def test_a_mode_that_the_server_refuses_is_not_tried_again(server, client, calls, refused, used) -> None:
    server.answer = refuse(*refused)
    assert await client.ask(QUESTION, record=calls.append) == "pothole"
    assert calls[-1].mode == used
    before = len(calls)
    await client.ask(QUESTION, record=calls.append)
    assert [call.mode for call in calls[before:]] == [used]


async def test_a_refused_mode_is_asked_for_again_after_a_while(server, client, calls, monkeypatch) -> None:
    """A rest of a minute, twice as long with each refusal in a row; an answer ends it."""
    now = [1000.0]
    monkeypatch.setattr("civicpulse.base.clients.llm.monotonic", lambda: now[0])
    server.answer = refuse("json_schema")
    for later, tried in ((0, True), (59, False), (2, True), (100, False), (30, True)):
        now[0] += later
        before = len(calls)
        await client.ask(QUESTION, record=calls.append)
        assert ("json_schema" in [call.mode for call in calls[before:]]) is tried, (now, tried)
    now[0] += 3600
    server.answer = refuse()
    for _ in range(2):
        await client.ask(QUESTION, record=calls.append)
        assert calls[-1].mode == "json_schema"


async def test_what_every_mode_refuses_is_no_fault_of_the_mode(server, client, calls) -> None:
    server.answer = refuse("json_schema", "json_object", "plain")
    with pytest.raises(LlmFault, match="http_400"):
        await client.ask(QUESTION, record=calls.append)
    server.answer = refuse()
    await client.ask(QUESTION, record=calls.append)
    assert calls[-1].mode == "json_schema"


@pytest.mark.parametrize(
    "said",
    [f"```json\n{json.dumps(GOOD)}\n```", f"Sure! Here it is:\n{json.dumps(GOOD, indent=1)}\nAnything else?"],
)
async def test_fences_and_prose_around_the_answer_are_read_over(server, client, calls, said) -> None:
    server.answer = lambda body, number: said
    assert await client.ask(QUESTION, record=calls.append) == "pothole"
    assert len(calls) == 1


async def test_a_bad_answer_is_sent_back_once_with_its_errors(server, client, calls) -> None:
    server.answer = lambda body, number: json.dumps(GOOD | {"category": "ufo"} if number == 1 else GOOD)
    assert await client.ask(QUESTION, record=calls.append) == "pothole"
    assert "must be one of pothole, noise" in server.bodies[1]["messages"][-1]["content"]


@pytest.mark.parametrize("said", ["no json at all", '{"category": ', json.dumps({"category": "ufo"})])
async def test_an_answer_that_stays_bad_is_a_fault_after_two_calls(server, client, calls, said) -> None:
    server.answer = lambda body, number: said
    assert await fault_of(client, calls) == "invalid_answer"
    assert len(calls) == 2


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_busy_server_is_tried_again(server, client, calls, status) -> None:
    server.answer = lambda body, number: (status, {"error": {"message": "busy"}}) if number < 3 else json.dumps(GOOD)
    assert await client.ask(QUESTION, record=calls.append) == "pothole"
    assert [call.outcome for call in calls] == [f"http_{status}"] * 2 + ["ok"]


@pytest.mark.parametrize(("status", "expected"), [(429, 3), (500, 3), (401, 1), (403, 1)])
async def test_a_server_that_stays_broken_is_a_fault(server, client, calls, status, expected) -> None:
    server.answer = lambda body, number: (status, {"error": {"message": "no"}})
    assert await fault_of(client, calls) == f"http_{status}"
    assert len(calls) == expected


@pytest.mark.parametrize(
    "body", [b"<html>proxy</html>", b"", b"[]", b"null", b'{"choices": []}', b'{"choices": [{}]}', b'"x"']
)
async def test_a_server_of_another_kind_is_a_fault_and_no_crash(server, client, calls, body) -> None:
    server.answer = lambda request, number: (200, body)
    assert await fault_of(client, calls) in ("unreadable_answer", "empty_answer", "unreachable")


async def test_a_hanging_server_costs_the_time_out_and_not_more(server, client, calls) -> None:
    server.answer = lambda body, number: None
    started = time.monotonic()
    assert await fault_of(client, calls) == "timeout"
    assert time.monotonic() - started < 15
    assert calls[-1].outcome == "timeout"
    assert calls[-1].tokens_in > 0  # what was sent is paid for, perhaps


async def test_retry_after_cannot_stretch_the_time_out(server, client, calls) -> None:
    server.answer = lambda body, number: (429, {"error": {"message": "later"}})
    server.headers = {"Retry-After": "600"}
    started = time.monotonic()
    assert await fault_of(client, calls) == "timeout"
    assert time.monotonic() - started < 15


async def test_an_unreachable_server_is_a_fault(calls) -> None:
    client = LlmClient("http://127.0.0.1:9/v1", "small", "", timeout_seconds=2.0)
    assert await fault_of(client, calls) == "unreachable"
    await client.close()


async def test_five_calls_at_once_and_no_more(server, client, calls) -> None:
    server.delay = 0.05
    await asyncio.gather(*(client.ask(QUESTION, record=calls.append) for _ in range(20)))
    assert server.most_at_once == 5


async def test_after_three_faults_it_rests_and_then_tries_again(server, client, calls, monkeypatch) -> None:
    server.answer = lambda body, number: None
    started = time.monotonic()
    faults = await asyncio.gather(
        *(client.ask(QUESTION, record=calls.append) for _ in range(100)), return_exceptions=True
    )
    assert time.monotonic() - started < 20, "a hundred texts wait hardly longer than one"
    assert {getattr(fault, "reason", fault) for fault in faults} == {"timeout", "paused_after_faults"}
    assert len(calls) <= 10
    monkeypatch.setattr(client._endpoint, "paused_until", 0.0)
    server.answer = lambda body, number: json.dumps(GOOD)
    assert await client.ask(QUESTION, record=calls.append) == "pothole"


async def test_without_a_url_and_key_there_is_no_client_and_a_model_is_asked_for() -> None:
    assert llm_client(Settings()) is None
    with pytest.raises(SettingsError, match="CIVICPULSE_LLM_MODEL"):
        llm_client(Settings(llm_key="secret"))
    settings = Settings(llm_url="http://127.0.0.1:9/v1", llm_model="small", llm_key="secret")
    assert llm_client(settings) is llm_client(settings)
    assert "secret" not in repr(settings)
    await close_llm_clients()


async def test_a_tenant_asks_five_at_once_over_all_processes(city, app, database_url, server, calls) -> None:
    """Clients of several processes share a tenant's places in the database; another tenant has its own (R-TXT-20)."""
    server.delay = 0.05
    other = await make_city(app, database_url)
    clients = [LlmClient(server.url, "small", "key", timeout_seconds=5.0) for _ in range(3)]

    async def ask(client: LlmClient, tenant: Tenant) -> None:
        await client.ask(QUESTION, record=calls.append, seats=client.seats_of(city.services.db, tenant))

    async with asyncio.TaskGroup() as group:
        for number in range(24):
            group.create_task(ask(clients[number % 3], city.tenant))
    assert len(calls) == 24
    assert 1 < server.most_at_once <= 5
    server.most_at_once = 0
    async with asyncio.TaskGroup() as group:
        for number in range(24):
            group.create_task(ask(clients[number % 3], (city, other)[number % 2].tenant))
    assert 1 < server.most_at_once <= 10
    for client in clients:
        await client.close()


async def test_a_place_that_a_dead_process_held_is_free_again_at_its_time(city) -> None:
    seats = Seats(city.services.db, city.tenant, "llm", 1, 20.0)
    holding = "UPDATE seats SET held_until = %(until)s WHERE tenant_id = %(tenant_id)s"

    async def held_for(minutes: int) -> None:
        async with city.transaction() as tx:
            until = clock.wall() + timedelta(minutes=minutes)
            await tx.run(holding, {"tenant_id": tx.tenant_id, "until": until})

    async def sit() -> None:
        async with seats.seat():
            pass

    await sit()
    await held_for(10)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(sit(), 0.5)
    await held_for(-1)
    await asyncio.wait_for(sit(), 20)
