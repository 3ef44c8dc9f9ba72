"""Runs of the pipeline: in the background, watched, resumed after any crash, retried, one at a time (R-CSV-07)."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import httpx
import pytest
from fastapi import FastAPI
from hostile import HOSTILE, lost_reading, spinning, stuck_looking, stuck_reading
from pipeline_support import broken_rules, events, loads, managers_of, real_files, small, table, ticket, upload
from tests_support import problem

from civicpulse.base import leases
from civicpulse.base.db import Tx
from civicpulse.base.turns import open_turns
from civicpulse.centre import (
    analyse,
    assign,
    attachments,
    geocode,
    incoming,
    ingest,
    parsing,
    run_queries,
    runner,
    start,
)
from civicpulse.centre.jobs import runs_line, work_off_runs
from civicpulse.centre.run import Run
from civicpulse.centre.watching import watch
from civicpulse.requests.assignment.bulk import assign_queued
from civicpulse.requests.visibility import EVERYTHING
from civicpulse.triage import apart
from civicpulse.triage.analyst import analyse_batch
from conftest import City, make_city

COMMITTED = """
SELECT r.external_id, r.category, r.status, r.priority_score, r.segment, r.geo_quality, a.name AS manager,
       (SELECT count(*) FROM analyses n WHERE n.tenant_id = r.tenant_id AND n.request_id = r.id)::int AS analyses,
       (SELECT count(*) FROM assignments s WHERE s.tenant_id = r.tenant_id AND s.request_id = r.id)::int AS assignments,
       (SELECT array_agg(e.type ORDER BY e.seq) FROM events e WHERE e.tenant_id = r.tenant_id AND e.subject_id = r.id) AS trail,
       (SELECT count(*) FROM outbox o WHERE o.tenant_id = r.tenant_id AND o.subject_id = r.id)::int AS outbox,
       (SELECT count(*) FROM evidence v WHERE v.tenant_id = r.tenant_id AND v.request_id = r.id)::int AS files
FROM requests r LEFT JOIN agents a ON a.tenant_id = r.tenant_id AND a.id = r.assigned_agent_id
WHERE r.tenant_id = %s ORDER BY r.created_at, r.id
"""


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Printing a traceback for people takes a second, and these tests make many."""
    monkeypatch.setattr(runner, "log", Mock())


@pytest.fixture
async def centre(app: FastAPI, database_url: str) -> City:
    return await make_city(app, database_url, pack="contact_centre")


@pytest.fixture
async def client(centre: City) -> httpx.AsyncClient:
    return await centre.client("dispatcher")


async def begin(client: httpx.AsyncClient, files: Any, **headers: str) -> dict[str, Any]:
    """POST /upload?async=true; the accepted run."""
    answer = await client.post("/upload", files=files, params={"async": True}, headers=headers)
    assert answer.status_code == 202, answer.text
    accepted: dict[str, Any] = answer.json()
    assert answer.headers["location"] == accepted["links"]["self"]
    return accepted


async def run_of(client: httpx.AsyncClient, accepted: dict[str, Any]) -> dict[str, Any]:
    """Where the run stands."""
    answer = await client.get(accepted["links"]["self"])
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def work(city: City, **how: Any) -> int:
    """One worker's turn for this tenant alone."""
    taken = await runner.run_next(city.services, city.app.state.storage, city.tenant, **how)
    return int(taken is not None)


async def hurry(city: City) -> None:
    """The lease of a dead worker ends now."""
    async with city.transaction() as tx:
        await tx.run(
            "UPDATE pipeline_runs SET due_at = now() WHERE tenant_id = %s AND due_at IS NOT NULL", [tx.tenant_id]
        )


async def committed(city: City) -> list[dict[str, Any]]:
    """All that a run has written, without ids and times."""
    async with city.transaction() as tx:
        return await tx.rows(COMMITTED, [tx.tenant_id])


# ------------------------------------------------------------------------------------------------- in the background


async def test_a_run_in_the_background(centre: City, client: httpx.AsyncClient, shared_data: Path) -> None:
    accepted = await begin(client, real_files(shared_data))
    waiting = await run_of(client, accepted)
    assert (waiting["state"], waiting["step"], waiting["result"]["tickets_loaded"]) == ("waiting", "ingest", 0)
    assert (await client.get("/tickets")).json()["items"] == []
    assert await work(centre) == 1
    done = await run_of(client, accepted)
    assert (done["state"], done["result"]["tickets_assigned"], done["error"]) == ("done", 31, None)
    assert "tickets" not in done["result"]
    assert [(one["step"], one["state"], one["done"], one["total"]) for one in done["progress"]] == [
        ("ingest", "done", 31, 31), ("attachments", "done", 2, 2), ("geocode", "done", 31, 31), ("analyse", "done", 31, 31),
        ("assign", "done", 31, 31),
    ]  # fmt: skip
    assert await work(centre) == 0
    listed = (await client.get("/tickets", params={"size": 100})).json()["items"][::-1]
    assert await broken_rules(centre, client, shared_data / "contact_centre_kz", listed) == []
    async with centre.transaction() as tx:
        left = await tx.value("SELECT count(*) FROM pipeline_tickets WHERE tenant_id = %s", [tx.tenant_id])
    assert left == 0, "what people wrote is kept once"


async def test_the_workers_job_finds_the_tenants_that_wait(centre: City, client: httpx.AsyncClient) -> None:
    accepted = await begin(client, small())
    assert await work_off_runs(centre.services, centre.app.state.storage) >= 1
    assert (await run_of(client, accepted))["state"] == "done"


async def test_a_worker_begins_with_each_tenant_and_ends_with_its_batches(
    centre: City, client: httpx.AsyncClient, app: FastAPI, database_url: str
) -> None:
    other = await make_city(app, database_url, pack="contact_centre")
    theirs = await other.client("dispatcher")
    runs = [(client, await begin(client, small())), (theirs, await begin(theirs, small()))]
    services, storage = centre.services, centre.app.state.storage
    async with open_turns(services.db, services.tenants, [runs_line(services, storage)]) as turns:
        assert await turns.step() >= 2
        assert await turns.step() == 0
    assert [(await run_of(who, run))["state"] for who, run in runs] == ["done", "done"]
    late = await begin(client, small())
    stopped = runs_line(services, storage, stopping=lambda: True)
    async with open_turns(services.db, services.tenants, [stopped]) as turns:
        await turns.step()
    assert (await run_of(client, late))["state"] == "waiting"
    await work(centre)


async def test_process_in_the_background(centre: City, client: httpx.AsyncClient) -> None:
    await upload(client, small(ticket("g-1"), ticket("g-2")))
    answer = await client.post("/process", params={"async": True, "all": True})
    assert answer.status_code == 202
    assert await work(centre) == 1
    done = await run_of(client, answer.json())
    assert (done["kind"], done["state"], done["result"]["tickets_assigned"]) == ("process", "done", 2)
    assert "attachments" not in [one["step"] for one in done["progress"]]


async def test_runs_are_listed_newest_first_page_by_page(client: httpx.AsyncClient) -> None:
    made = [(await upload(client, small()))["run_id"] for _ in range(3)]
    made.append((await begin(client, small()))["run_id"])
    seen, cursor = list[str](), None
    while cursor is not None or not seen:
        page = (
            await client.get("/pipeline-runs", params={"limit": 2, **({"cursor": cursor} if cursor else {})})
        ).json()
        seen += [one["run_id"] for one in page["items"]]
        cursor = page["next_cursor"]
    assert seen == made[::-1]
    waiting = (await client.get("/pipeline-runs", params={"state": "waiting"})).json()["items"]
    assert [one["run_id"] for one in waiting] == made[3:]
    problem(await client.get("/pipeline-runs", params={"cursor": "nonsense"}), 422)
    problem(await client.get("/pipeline-runs", params={"state": "lost"}), 422)
    problem(await client.get("/pipeline-runs/nonsense"), 422)
    problem(await client.get(f"/pipeline-runs/{centre_id()}"), 404, "run_not_found")


def centre_id() -> str:
    return "01900000-0000-7000-8000-000000000000"


# --------------------------------------------------------------------------------------------------- the same key


async def test_the_same_key_and_files_are_the_same_run(client: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": "night-1"}
    first = await client.post("/upload", files=small(), headers=key)
    again = await client.post("/upload", files=small(), headers=key)
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == first.json()
    assert len((await client.get("/pipeline-runs")).json()["items"]) == 1
    problem(await client.post("/upload", files=small(ticket("g-9")), headers=key), 422, "idempotency_key_reused")
    accepted = await begin(client, small(), **key)
    assert accepted["run_id"] == first.json()["run_id"]


async def test_the_same_key_at_once_is_one_run(client: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(
        *(client.post("/upload", files=small(), headers={"Idempotency-Key": "k"}) for _ in range(4))
    )
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["run_id"] for answer in answers}) == 1


# -------------------------------------------------------------------------------------------------------- watching


def told_events(text: str) -> list[tuple[str, dict[str, Any]]]:
    """(event, data) of a stream of Server-Sent Events."""
    found = []
    for block in text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line and not line.startswith(":"))
        if "event" in lines:
            found.append((lines["event"], json.loads(lines["data"])))
    return found


async def test_a_run_is_watched_to_its_end(
    centre: City, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from civicpulse.centre import watching

    monkeypatch.setattr(watching, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(ingest, "BATCH", 5)
    accepted = await begin(client, small(*[ticket(f"g-{n}") for n in range(40)]))
    watched = asyncio.create_task(client.get(accepted["links"]["events"]))
    await asyncio.sleep(0.1)
    await work(centre)
    answer = await watched
    assert answer.headers["content-type"].startswith("text/event-stream")
    told = told_events(answer.text)
    assert [name for name, _ in told[:1]] == ["progress"]
    assert told[-1][0] == "done"
    assert {name for name, _ in told[:-1]} == {"progress"}
    assert told[-1][1]["result"]["tickets_assigned"] == 40
    over = told_events((await client.get(accepted["links"]["events"])).text)
    assert [name for name, _ in over] == ["done"]


async def test_no_connection_is_held_between_two_looks(centre: City, client: httpx.AsyncClient) -> None:
    accepted = await begin(client, small())
    from uuid import UUID

    stream = watch(centre.services, centre.tenant, UUID(accepted["run_id"]), EVERYTHING)
    assert (await anext(stream)).startswith(b"retry:")
    assert (await anext(stream)).startswith(b"event: progress")
    looking = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0.1)
    stats = centre.services.db._pool.get_stats()
    assert stats["pool_available"] == stats["pool_size"]
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)
    await work(centre)


async def test_a_stream_says_that_it_lives(
    centre: City, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from civicpulse.centre import watching

    monkeypatch.setattr(watching, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(watching, "HEARTBEAT_SECONDS", 0.05)
    monkeypatch.setattr(watching, "LONGEST_SECONDS", 0.5)
    accepted = await begin(client, small())
    text = (await client.get(accepted["links"]["events"])).text
    assert text.count(": still here") >= 2
    assert [name for name, _ in told_events(text)] == ["progress"], "the browser connects again by itself"
    await work(centre)


# --------------------------------------------------------------------------------------------------------- crashes


class Killed(BaseException):
    """The process is gone."""


async def test_a_run_that_is_killed_at_every_batch_ends_as_one_that_is_not(
    centre: City,
    client: httpx.AsyncClient,
    app: FastAPI,
    database_url: str,
    shared_data: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each batch is once undone by a crash and once committed just before one."""
    files = [*real_files(shared_data).items(), ("attachments", ("order_error.png", b"\x89PNG", "image/png"))]
    other = await make_city(app, database_url, pack="contact_centre")
    undisturbed = await upload(await other.client("dispatcher"), files)
    for module in (ingest, geocode, analyse, assign, attachments):
        monkeypatch.setattr(module, "BATCH", 8)
    accepted = await begin(client, files)
    original, calls = Run.batch, 0

    @asynccontextmanager
    async def deadly(self: Run) -> AsyncIterator[Tx]:
        nonlocal calls
        calls += 1
        is_last = self.step == "assign" and self.progress["done"] == self.progress["total"]
        async with original(self) as tx:
            yield tx
            if calls % 2 and not is_last:
                raise Killed
        if not is_last:
            raise Killed

    monkeypatch.setattr(Run, "batch", deadly)
    monkeypatch.setattr(run_queries, "QUEUE", replace(run_queries.QUEUE, tries=1_000))
    deaths = 0
    while (await run_of(client, accepted))["state"] != "done":
        try:
            await work(centre)
        except Killed:
            deaths += 1
            assert await work(centre) == 0, "nobody takes it while the lease runs"
        await hurry(centre)
    assert deaths > 40
    assert await committed(centre) == await committed(other)
    done = await run_of(client, accepted)
    expected = {name: undisturbed[name] for name in done["result"]} | {"run_id": done["run_id"]}
    assert done["result"] == expected


async def test_a_worker_that_lost_its_lease_writes_nothing_more(
    centre: City, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    accepted = await begin(client, small(*[ticket(f"g-{n}") for n in range(20)]))
    monkeypatch.setattr(assign, "BATCH", 5)
    original = assign_queued
    halted, go_on = asyncio.Event(), asyncio.Event()

    async def slow(*given: Any) -> Any:
        if not halted.is_set():
            halted.set()
            await go_on.wait()
        return await original(*given)

    monkeypatch.setattr(assign, "assign_queued", slow)
    first = asyncio.create_task(work(centre))
    await halted.wait()
    await hurry(centre)
    assert await work(centre) == 1
    go_on.set()
    await first
    done = await run_of(client, accepted)
    assert (done["state"], done["result"]["tickets_assigned"]) == ("done", 20)
    assert {row["assignments"] for row in await committed(centre)} == {1}


async def test_a_batch_that_takes_long_keeps_its_lease(
    centre: City, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    accepted = await begin(client, small())
    monkeypatch.setattr(leases, "BEAT_SECONDS", 0.02)
    original = analyse_batch

    async def slow(*given: Any) -> Any:
        await hurry(centre)
        await asyncio.sleep(0.3)
        assert await work(centre) == 0, "nobody else takes it"
        return await original(*given)

    monkeypatch.setattr(analyse, "analyse_batch", slow)
    await work(centre)
    assert (await run_of(client, accepted))["state"] == "done"


async def test_a_run_that_kills_its_worker_again_and_again_is_given_up_and_visible(
    centre: City, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def deadly(*_: Any, **__: Any) -> None:
        raise Killed

    accepted = await begin(client, small())
    monkeypatch.setattr(geocode, "place_offices", deadly)
    for _ in range(run_queries.QUEUE.tries):
        with pytest.raises(Killed):
            await work(centre)
        await hurry(centre)
    await work(centre)
    failed = await run_of(client, accepted)
    assert (failed["state"], failed["step"]) == ("failed", "geocode")
    assert "Given up" in failed["error"]


async def test_a_failed_run_says_why_and_goes_on_where_it_failed(
    centre: City, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    accepted = await begin(client, small(*[ticket(f"g-{n}") for n in range(6)]))
    problem(await client.post(f"{accepted['links']['self']}/retry"), 409, "not_failed")

    async def broken(*_: Any) -> None:
        raise ValueError("a fault \x00 of the analysis")

    with monkeypatch.context() as patched:
        patched.setattr(analyse, "analyse_batch", broken)
        await work(centre)
    failed = await run_of(client, accepted)
    assert (failed["state"], failed["step"], failed["result"]["tickets_loaded"]) == ("failed", "analyse", 6)
    assert "a fault" in failed["error"]
    assert failed["result"]["errors"][-1]["message"] == failed["error"]
    assert [one["state"] for one in failed["progress"]] == ["done", "done", "done", "failed", "waiting"]
    ((name, _),) = told_events((await client.get(failed["links"]["events"])).text)
    assert name == "failed"
    again = await client.post(failed["links"]["retry"])
    assert (again.status_code, again.json()["state"]) == (202, "waiting")
    await work(centre)
    done = await run_of(client, accepted)
    assert (done["state"], done["error"], done["result"]["tickets_assigned"]) == ("done", None, 6)


async def test_a_text_that_never_ends_costs_its_ticket_alone(
    centre: City, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await upload(client, small())  # its text model is there
    monkeypatch.setattr(apart, "analyse_now", spinning)
    monkeypatch.setattr(apart, "TEXT_SECONDS", 1.0)
    result = await upload(client, small(ticket("h-1"), ticket("h-2", text=HOSTILE), ticket("h-3")))
    assert result["tickets_analyzed"] == 3
    (told,) = [one for one in result["errors"] if "слишком долго анализируется" in one["message"]]
    assert (told["line"], told["severity"]) == (3, "warning")
    tickets = {one["client_guid"]: one for one in (await client.get("/tickets")).json()["items"]}
    assert [tickets[guid]["needs_person"] for guid in ("h-1", "h-2", "h-3")] == [False, True, False]


@pytest.mark.parametrize("reading", [stuck_reading, lost_reading])
async def test_a_file_that_cannot_be_read_in_time_fails_its_run_and_nothing_of_it_is_written(
    centre: City, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, reading: Any
) -> None:
    accepted = await begin(client, small(ticket("h-1", text=HOSTILE)))
    with monkeypatch.context() as patch:
        patch.setattr(parsing, "read_rows", reading)
        patch.setattr(incoming, "READ_SECONDS", 1.0)
        assert await work(centre) == 1
    failed = await run_of(client, accepted)
    assert (failed["state"], failed["step"]) == ("failed", "ingest")
    assert failed["error"].startswith(
        "tickets.csv cannot be read. Reading it takes too much time or memory: send it in"
    )
    for path in ("/tickets", "/managers", "/business-units"):
        assert (await client.get(path)).json()["items"] == []
    assert (await client.post(failed["links"]["retry"])).status_code == 202
    assert await work(centre) == 1
    done = await run_of(client, accepted)
    assert (done["state"], done["error"], done["result"]["tickets_assigned"]) == ("done", None, 1)


async def test_a_run_whose_file_never_ends_holds_up_no_other_tenant(
    centre: City, client: httpx.AsyncClient, app: FastAPI, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calm = await make_city(app, database_url, pack="contact_centre")
    theirs, hostile = await calm.client("dispatcher"), small(ticket("h-1", text=HOSTILE))
    theirs_begun, begun = await begin(theirs, small(ticket("c-1"))), await begin(client, hostile)
    with monkeypatch.context() as patch:
        patch.setattr(parsing, "read_rows", stuck_reading)
        patch.setattr(incoming, "look_at", stuck_looking)
        patch.setattr(incoming, "READ_SECONDS", 600.0)
        running = asyncio.create_task(work(centre))
        sending = [asyncio.create_task(client.post("/upload", files=hostile)) for _ in range(2)]
        assert await work(calm) == 1
        assert (await run_of(theirs, theirs_begun))["state"] == "done"
        assert (await upload(theirs, small(ticket("c-2"))))["tickets_assigned"] == 1
        assert not any(task.done() for task in (running, *sending))
        for task in (running, *sending):
            task.cancel()
        await asyncio.gather(running, *sending, return_exceptions=True)
    await hurry(centre)
    assert await work(centre) == 1
    (listed,) = (await client.get("/pipeline-runs")).json()["items"]
    assert (listed["run_id"], listed["state"]) == (begun["run_id"], "done"), "of what was not read nothing is begun"


async def test_a_file_of_more_offices_than_a_company_has_is_not_taken_in(
    centre: City, client: httpx.AsyncClient
) -> None:
    offices = [(f"Офис {number}", "Достык, 16") for number in range(parsing.MAX_STAFF + 1)]
    accepted = await begin(client, small(offices=offices))
    assert await work(centre) == 1
    failed = await run_of(client, accepted)
    assert failed["error"] == "business_units.csv has more than 50000 rows: send it in parts."
    assert (await client.get("/business-units")).json()["items"] == []


async def test_a_caller_who_waits_is_told_of_the_failure(
    centre: City, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any) -> None:
        raise ValueError("no")

    monkeypatch.setattr(analyse, "analyse_batch", broken)
    document = problem(await client.post("/upload", files=small()), 500, "run_failed")
    assert (await run_of(client, document))["state"] == "failed"
    assert document["links"]["retry"].endswith("/retry")


async def test_a_worker_that_ends_gives_the_run_back(centre: City, client: httpx.AsyncClient) -> None:
    accepted = await begin(client, small(*[ticket(f"g-{n}") for n in range(6)]))
    looks = iter([False, False, False])
    await work(centre, stopping=lambda: next(looks, True))
    waiting = await run_of(client, accepted)
    assert waiting["state"] == "waiting"
    await work(centre)
    assert (await run_of(client, accepted))["result"]["tickets_assigned"] == 6


# ----------------------------------------------------------------------------------------------- beside one another


# The trail of a request that was given to a manager.
GIVEN = ("request.opened", "request.assigned", "request.transitioned")


async def test_runs_of_a_tenant_take_turns(centre: City, client: httpx.AsyncClient) -> None:
    rows = [[ticket(f"g-{n}-{m}") for m in range(10)] for n in range(4)]
    results = await asyncio.gather(*(upload(client, small(*some)) for some in rows))
    assert [result["tickets_assigned"] for result in results] == [10] * 4
    found = await committed(centre)
    assert len(found) == 40
    assert {(row["assignments"], tuple(row["trail"])) for row in found} == {(1, GIVEN)}
    assert (await loads(client))["Оспанов Ерлан"] == 43


async def test_a_caller_waits_only_so_long_for_another_run(
    centre: City, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start, "PATIENCE_SECONDS", 0.3)
    other = await begin(client, small())
    async with centre.transaction() as tx:  # somebody is at work on it
        await run_queries.take(tx, run_id=None, seconds=60)
    answer = await client.post("/upload", files=small(ticket("g-2")))
    assert answer.status_code == 202
    await hurry(centre)
    assert [await work(centre) for _ in range(3)] == [1, 1, 0]
    assert {(await run_of(client, one))["state"] for one in (other, answer.json())} == {"done"}


async def test_assignments_by_hand_meanwhile_never_see_a_stale_load(centre: City, client: httpx.AsyncClient) -> None:
    await upload(client, small(ticket("g-0")))
    numbers = []
    for _ in range(6):
        body = {"category": "consultation", "description": "Здравствуйте", "location": {"coordinates": [71.36, 42.9]}}
        numbers.append((await client.post("/requests", json=body)).json()["request_id"])
    by_hand = [client.post(f"/requests/{number}/auto-assign") for number in numbers]
    night = upload(client, {"tickets": table("tickets", [ticket(f"n-{n}") for n in range(30)])})
    result, *answers = await asyncio.gather(night, *by_hand)
    assert all(answer.status_code in (200, 409) for answer in answers)
    assert set(managers_of(result).values()) == {"Оспанов Ерлан"}
    async with centre.transaction() as tx:
        seen = await tx.rows(
            "SELECT (candidates -> 0 ->> 'open_load')::int AS load FROM assignments WHERE tenant_id = %s ORDER BY 1",
            [tx.tenant_id],
        )
    assert [row["load"] for row in seen] == list(range(3, 40))
    assert tuple(event["type"] for event in await events(client, numbers[0])) == GIVEN
