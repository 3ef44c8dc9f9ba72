"""The SLA sweep (R-SLA-05): exact moments, each step once, whatever runs and dies."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from builders import create, move, walk_to
from psycopg import sql
from tests_support import sweep_city

from civicpulse.app import create_app
from civicpulse.base import clock
from civicpulse.base.logins import application_url
from civicpulse.base.outbox import drain
from civicpulse.requests.deadlines.sweep import SweepReport, sweep
from civicpulse.settings import Settings
from conftest import City, make_city, with_database

TICK = timedelta(microseconds=1)
ORIGIN = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


async def sweep_at(city: City, instant: datetime) -> SweepReport:
    """One sweep as if it were `instant`."""
    with clock.at(instant):
        return await sweep_city(city)


async def read(city: City, number: str) -> dict[str, Any]:
    """The document as staff sees it."""
    document: dict[str, Any] = (await (await city.client("admin")).get(f"/requests/{number}")).json()
    return document


async def trail(city: City, number: str) -> list[dict[str, Any]]:
    """The events about the clock."""
    events = (await (await city.client("admin")).get(f"/requests/{number}/events")).json()["items"]
    return [event for event in events if event["type"] in ("request.sla_changed", "request.escalated")]


async def test_each_state_and_step_comes_at_its_very_moment_and_not_before(city) -> None:
    with clock.at(ORIGIN):
        number = (await create(await city.client()))["request_id"]
    seen = []
    while (at := (await read(city, number))["sla"]["next_at"]) is not None:
        moment = datetime.fromisoformat(at)
        before = await read(city, number)
        await sweep_at(city, moment - TICK)
        assert await read(city, number) == before
        await sweep_at(city, moment)
        after = await read(city, number)
        assert after != before, "the sweep comes only when there is something to say"
        seen.append((moment - ORIGIN, after["sla"]["state"], after["sla"]["escalation_count"]))
    hour = timedelta(hours=1)
    assert seen == [
        (57.6 * hour, "at_risk", 0),
        (60 * hour, "at_risk", 1),
        (72 * hour, "at_risk", 2),
        (72 * hour + TICK, "overdue", 2),
        (120 * hour, "overdue", 3),
        (120 * hour + TICK, "breached", 3),
    ]
    events = await trail(city, number)
    assert [event["name"] for event in events] == [
        "sla_state", "sla_escalation", "sla_escalation", "sla_state", "sla_escalation", "sla_state",
    ]  # fmt: skip
    steps = [event["meta"] for event in events if event["type"] == "request.escalated"]
    assert [(step["step"], step["after_hours"], step["role"]) for step in steps] == [
        (0, 60, "dispatcher"), (1, 72, "supervisor"), (2, 120, "admin"),
    ]  # fmt: skip
    assert all(event["by"] == {"actor_type": "system", "actor_id": "civicpulse"} for event in events)
    assert (await read(city, number))["computed_kpis"]["breach_reason"] == "timeout"


async def test_a_late_sweep_fires_every_missed_step_once_and_a_second_one_nothing(city) -> None:
    with clock.at(ORIGIN):
        number = (await create(await city.client()))["request_id"]
    late = ORIGIN + timedelta(hours=500)
    await sweep_at(city, late)
    document = await read(city, number)
    assert (document["sla"]["state"], document["sla"]["escalation_count"]) == ("breached", 3)
    assert document["sla"]["next_at"] is None
    await sweep_at(city, late)
    await sweep_at(city, late + timedelta(hours=500))
    assert await read(city, number) == document


async def test_a_duplicate_has_its_masters_sla_state_and_its_trail_tells_nothing_of_the_clock(city) -> None:
    with clock.at(ORIGIN):
        master, follower = [(await create(await city.client()))["request_id"] for _ in range(2)]
    assert (await read(city, follower))["duplicates"]["master_request_id"] == master
    await sweep_at(city, datetime.fromisoformat((await read(city, master))["sla"]["next_at"]))
    states = [(await read(city, number))["sla"]["state"] for number in (master, follower)]
    assert states == ["at_risk", "at_risk"]
    assert await trail(city, follower) == []


async def test_work_that_is_done_is_never_hurried(city) -> None:
    admin = await city.client("admin")
    with clock.at(ORIGIN):
        number = (await create(admin))["request_id"]
        await walk_to(admin, number, "resolved")
    assert (await read(city, number))["sla"]["next_at"] is None
    await sweep_at(city, ORIGIN + timedelta(hours=500))
    document = await read(city, number)
    assert (document["sla"]["state"], document["sla"]["met"], document["sla"]["escalation_count"]) == (
        "completed",
        True,
        0,
    )


async def test_the_civic_clock_never_pauses_on_its_way(city) -> None:
    admin = await city.client("admin")
    with clock.at(ORIGIN):
        number = (await create(admin))["request_id"]
        due = (await read(city, number))["sla"]["due_at"]
    with clock.at(ORIGIN + timedelta(hours=10)):
        await walk_to(admin, number, "in_progress")
    told = (await admin.get(f"/requests/{number}/sla")).json()
    assert (told["paused"], told["due_at"]) == ([], due)


async def test_a_policy_that_comes_back_does_not_tell_its_steps_again(city) -> None:
    admin = await city.client("admin")
    with clock.at(ORIGIN):
        number = (await create(admin))["request_id"]
    await sweep_at(city, ORIGIN + timedelta(hours=61))
    with clock.at(ORIGIN + timedelta(hours=62)):
        assert (await move(admin, number, "triaged", priority="P1")).status_code == 200
    await sweep_at(city, ORIGIN + timedelta(hours=63))
    assert (await read(city, number))["sla"]["escalation_count"] == 4
    with clock.at(ORIGIN + timedelta(hours=64)):
        await admin.post(f"/requests/{number}/escalate", json={"reason": "by hand"})
        agent = {"agent_code": "AG-1", "name": "A", "schedule": {"timezone": "UTC"}}
        assert (await admin.post("/agents", json=agent)).status_code == 201
        back = await move(admin, number, "assigned", assigned_agent_id="AG-1", priority="P3")
        assert back.status_code == 200, back.text
    await sweep_at(city, ORIGIN + timedelta(hours=65))
    document = await read(city, number)
    assert (document["sla"]["state"], document["sla"]["escalation_count"]) == ("at_risk", 5)
    assert datetime.fromisoformat(document["sla"]["next_at"]) == ORIGIN + timedelta(hours=72)
    await sweep_at(city, ORIGIN + timedelta(hours=72))
    assert (await read(city, number))["sla"]["escalation_count"] == 6


async def test_a_tenant_whose_sweep_fails_does_not_hold_up_the_others(app, database_url) -> None:
    cities = [await make_city(app, database_url) for _ in range(3)]
    numbers = []
    for city in cities:
        with clock.at(ORIGIN):
            numbers.append((await create(await city.client()))["request_id"])
    async with cities[1].transaction() as tx:
        await tx.run("UPDATE requests SET sla = sla - 'target_hours' WHERE tenant_id = %s", [tx.tenant_id])
    # Every tenant of this worker's database is swept; tests of the trail may have left forged ones among them.
    with clock.at(ORIGIN + timedelta(hours=61)), pytest.raises(ExceptionGroup, match="the sweep failed for") as failed:
        await sweep(cities[0].services.db, cities[0].services.tenants)
    assert any(isinstance(error, KeyError) for error in failed.value.exceptions)
    async with cities[1].transaction() as tx:  # mended, for the sweeps of the tests that follow
        await tx.run("UPDATE requests SET sla = NULL, next_sla_at = NULL WHERE tenant_id = %s", [tx.tenant_id])
    for index in (0, 2):
        assert (await read(cities[index], numbers[index]))["sla"]["escalation_count"] == 1


# ------------------------------------------------------------------------------------------------------ crowds

# Copies of one request, each 61 hours old (at risk, its first step due) with its first event.
COPY = """
WITH copies AS (
    INSERT INTO requests (tenant_id, id, number, pack_version, category, description, status, state_category, priority,
        priority_score, lon, lat, cell, sla, sla_state, sla_due_at, next_sla_at, created_at, updated_at)
    SELECT tenant_id, gen_random_uuid(), 'COPY-' || n, pack_version, category, description, status, state_category, priority,
        priority_score, lon, lat, cell, sla, sla_state, sla_due_at, next_sla_at, created_at, updated_at
    FROM requests, generate_series(1, %(count)s) AS n WHERE tenant_id = %(tenant_id)s AND number = %(number)s
    RETURNING tenant_id, id, created_at
), told AS (
    INSERT INTO events (tenant_id, subject_id, seq, type, actor_type, at)
    SELECT tenant_id, id, 1, 'request.opened', 'citizen', created_at FROM copies RETURNING tenant_id, subject_id, seq, type
)
INSERT INTO outbox (tenant_id, subject_id, seq, type) SELECT tenant_id, subject_id, seq, type FROM told
"""

STATE = """
SELECT count(*) AS requests,
       count(*) FILTER (WHERE escalation_count = 1 AND sla_steps_fired = 1 AND sla_state = 'at_risk' AND event_seq = 3
                        AND next_sla_at > %(now)s) AS right_ones,
       (SELECT count(*) FROM escalations) AS escalations,
       (SELECT count(*) FROM events WHERE type = 'request.escalated') AS told,
       (SELECT count(*) FROM outbox) AS waiting
FROM requests WHERE tenant_id = %(tenant_id)s
"""


async def crowd(city: City, count: int) -> None:
    """`count` requests that are due now."""
    with clock.at(datetime.now(UTC) - timedelta(hours=61)):
        number = (await create(await city.client()))["request_id"]
    async with city.transaction() as tx:
        await tx.run(COPY, {"tenant_id": tx.tenant_id, "number": number, "count": count - 1})


async def state_of(city: City) -> dict[str, Any]:
    """The crowd as it stands; `waiting` outbox rows of this tenant only."""
    async with city.transaction() as tx:
        row = await tx.row(STATE, {"tenant_id": tx.tenant_id, "now": datetime.now(UTC)})
        assert row is not None
        return row


async def test_two_sweeps_and_four_workers_at_once_fire_each_step_once(city) -> None:
    count = 1500
    await crowd(city, count)
    db, tenants = city.services.db, city.services.tenants
    reacted: list[tuple[Any, int]] = []

    async def note(tx: Any, event: dict[str, Any]) -> None:
        if tx.tenant_id == city.tenant.tenant_id:
            reacted.append((event["subject_id"], event["seq"]))

    reactions = dict.fromkeys(("request.opened", "request.sla_changed", "request.escalated"), (note,))
    sweeping = [asyncio.create_task(sweep(db, tenants)) for _ in range(2)]

    async def work() -> None:
        while not all(task.done() for task in sweeping) or await drain(db, tenants, reactions):
            await drain(db, tenants, reactions)

    await asyncio.gather(*sweeping, *(work() for _ in range(4)))
    expected = {"requests": count, "right_ones": count, "escalations": count, "told": count, "waiting": 0}
    assert await state_of(city) == expected
    assert len(reacted) == len(set(reacted)) == 3 * count


@pytest.fixture
async def own_city(server_url: str, database_url: str) -> Any:
    """A tenant in a database of its own, that worker processes can be let loose on."""
    url = with_database(server_url, f"crowd_{os.getpid()}")
    name = sql.Identifier(f"crowd_{os.getpid()}")
    async with await psycopg.AsyncConnection.connect(server_url, autocommit=True) as owner:
        await owner.execute(sql.SQL("CREATE DATABASE {} TEMPLATE civicpulse_template STRATEGY FILE_COPY").format(name))
        try:
            app = create_app(
                Settings(
                    database_url=application_url(url), migration_url=url, pool_size=8, anonymous_writes_per_minute=0
                )
            )
            async with app.router.lifespan_context(app):
                yield await make_city(app, url)
        finally:
            await owner.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


@contextmanager
def processes(url: str, *commands: list[str]) -> Iterator[list[subprocess.Popen[bytes]]]:
    """`civicpulse …` processes on that database, ended at the end of the block."""
    environment = os.environ | {"CIVICPULSE_DATABASE_URL": application_url(url), "CIVICPULSE_LOG_LEVEL": "ERROR"}
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "civicpulse.cli.main", *command], env=environment, stdout=subprocess.DEVNULL
        )
        for command in commands
    ]
    try:
        yield running
    finally:
        for process in running:
            if process.poll() is None:
                process.terminate()
        for process in running:
            process.wait(30)


async def until(city: City, seconds: float, is_there: Any) -> dict[str, Any]:
    """The crowd's state as soon as it `is_there`."""
    deadline = time.monotonic() + seconds
    while not is_there(state := await state_of(city)):
        assert time.monotonic() < deadline, state
        await asyncio.sleep(0.01)
    return state


@pytest.mark.server
async def test_workers_killed_in_the_middle_lose_nothing_and_repeat_nothing(own_city) -> None:
    city, count = own_city, 1100
    await crowd(city, count)
    url = city.services.settings.database_url
    with processes(url, ["worker"], ["sla", "sweep"], ["worker"]) as (worker, sweeping, other):
        await until(city, 40, lambda state: 0 < state["escalations"] < count)
        for process in (worker, sweeping):
            process.send_signal(signal.SIGKILL)
            assert process.wait(10) == -signal.SIGKILL
        middle = await state_of(city)
        assert middle["escalations"] < count or middle["waiting"] > 0
        # What the killed ones held was given back by the database; the next sweep and the other worker take it.
        await sweep(city.services.db, city.services.tenants)
        end = await until(city, 40, lambda state: state["waiting"] == 0)
        assert other.poll() is None
    assert end == {"requests": count, "right_ones": count, "escalations": count, "told": count, "waiting": 0}
    async with city.transaction() as tx:
        twice = await tx.rows(
            "SELECT subject_id, seq, recipient, channel FROM notifications GROUP BY 1, 2, 3, 4 HAVING count(*) > 1"
        )
    assert twice == []
