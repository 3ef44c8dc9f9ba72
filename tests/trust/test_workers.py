"""A worker that dies keeps nothing back for long, and one that lives keeps what it holds (R-DOOR-01)."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from test_reports import send

from civicpulse.base import clock, leases
from civicpulse.reports import jobs
from civicpulse.reports.jobs import process_batch
from civicpulse.reports.queries import QUEUE
from conftest import City

TAKEN_UP_WITHIN = timedelta(seconds=20)
STATES = "SELECT state, attempts, due_at FROM reports WHERE tenant_id = %s ORDER BY id"


async def states(city: City) -> list[dict[str, Any]]:
    async with city.transaction() as tx:
        return await tx.rows(STATES, [tx.tenant_id])


async def test_what_a_dead_worker_held_is_taken_up_within_twenty_seconds(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await city.client()
    for _ in range(3):
        await send(client)
    at_work = asyncio.Event()

    async def endless(*_: Any) -> Any:
        at_work.set()
        await asyncio.Event().wait()

    with monkeypatch.context() as broken:
        broken.setattr(jobs, "analyse_each", endless)
        dying = asyncio.create_task(process_batch(city.services, city.tenant))
        await at_work.wait()
        dying.cancel()
        await asyncio.gather(dying, return_exceptions=True)
    assert await process_batch(city.services, city.tenant) == 0, "they are still the dead one's"
    assert max(row["due_at"] for row in await states(city)) <= clock.wall() + TAKEN_UP_WITHIN
    async with city.transaction() as tx:
        marked = await tx.value(
            "SELECT min(due_at) FROM due WHERE tenant_id = %s AND queue = 'reports'", [tx.tenant_id]
        )
        assert marked <= clock.wall() + TAKEN_UP_WITHIN, "and a worker looks there then"
        taken = await leases.take(tx, QUEUE, limit=10, seconds=1, now=clock.wall() + TAKEN_UP_WITHIN)
    assert [row["attempts"] for row in taken] == [2, 2, 2]


async def test_a_slow_batch_keeps_its_lease_and_leaves_what_is_settled_alone(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await city.client()
    for _ in range(4):
        await send(client)
    async with city.transaction() as tx:
        rows = await leases.take(tx, QUEUE, limit=4, seconds=leases.LEASE_SECONDS)
    settled, put_back, lost, held = rows
    ends = held["held_until"]
    async with city.transaction() as tx:
        await leases.park(tx, QUEUE, settled, "done with")
        await leases.retry_later(tx, QUEUE, put_back, "try again")
    async with city.transaction() as tx:
        await tx.run("UPDATE reports SET attempts = 2 WHERE tenant_id = %s AND id = %s", [tx.tenant_id, lost["id"]])
    before = {row["due_at"] for row in await states(city)}
    async with city.transaction() as tx:
        later = await leases.prolong(tx, QUEUE, rows, lasting=[ends], now=ends)
        moved = await tx.rows(
            "SELECT id, due_at FROM reports WHERE tenant_id = %s AND due_at = %s", [tx.tenant_id, later]
        )
    assert later == ends + timedelta(seconds=leases.LEASE_SECONDS)
    assert [row["id"] for row in moved] == [held["id"]]
    assert {row["due_at"] for row in await states(city)} - {later} <= before


async def until_held(city: City) -> None:
    """Returns once the first report is held beyond this moment: each look at the database lets the heart beat."""
    while (await states(city))[0]["due_at"] <= clock.wall():
        pass


async def test_the_heart_beats_while_the_block_works(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    await send(await city.client())
    monkeypatch.setattr(leases, "BEAT_SECONDS", 0)
    async with city.transaction() as tx:
        rows = await leases.take(tx, QUEUE, limit=1, seconds=0)
    async with leases.holding(city.services.db, city.tenant, QUEUE, rows), asyncio.timeout(20):
        await until_held(city)
        async with city.transaction() as tx:
            assert await leases.take(tx, QUEUE, limit=1) == [], "nobody else takes it"
