"""The chain of a tenant over all its subjects: nothing is missed, nothing is in it twice, whoever builds it and whatever happens (R-AUD-05)."""

import asyncio
from datetime import UTC, datetime, timedelta

import psycopg
from audit_support import chain, verified
from builders import add_agent, create, move, walk_to

from civicpulse.audit.chain import CHAIN, extend
from civicpulse.base import clock, due
from civicpulse.requests.deadlines.sweep import sweep

PLACES = "SELECT sum(cardinality(seqs)) FROM chain_blocks"
EVENTS = "SELECT count(*) FROM events"


async def counted(city) -> tuple[int, int, int]:
    """Events, events in the chain, and rows that wait."""
    async with city.transaction() as tx:
        return (
            await tx.value(EVENTS),
            int(await tx.value(PLACES) or 0),
            await tx.value("SELECT count(*) FROM chain_waiting"),
        )


async def test_every_event_gets_one_place_whoever_writes_it(city) -> None:
    admin = await city.client("admin")
    number = (await create(admin))["request_id"]
    await walk_to(admin, number, "closed")
    await admin.post("/citizens", json={"full_name": "Ada", "contacts": {"email": "ada@example.org"}})
    assert await chain(city.services, city.tenant) > 8
    await create(admin, lat=41)
    assert await chain(city.services, city.tenant) == 1
    events, places, waiting = await counted(city)
    assert (places, waiting) == (events, 0)
    found = await verified(city.services, city.tenant)
    assert (found.faults, found.events, found.blocks) == ({}, events, 2)
    assert await chain(city.services, city.tenant) == 0


async def test_two_workers_at_once_chain_each_event_once(city) -> None:
    admin = await city.client("admin")
    for batch in range(4):
        for index in range(3):
            await create(admin, lat=40 + batch + index / 10)
        await asyncio.gather(*(chain(city.services, city.tenant) for _ in range(4)))
    events, places, waiting = await counted(city)
    assert (events, places, waiting) == (12, 12, 0)
    assert (await verified(city.services, city.tenant)).faults == {}


async def test_a_worker_that_dies_leaves_everything_as_it_was(city) -> None:
    await create(await city.client("admin"))
    tx = await city.services.db.begin(city.tenant)
    assert await extend(tx) == 1
    await city.services.db.finish(tx, commit=False)
    assert await counted(city) == (1, 0, 1)
    assert await chain(city.services, city.tenant) == 1
    assert await counted(city) == (1, 1, 0)


async def test_a_transaction_that_commits_late_is_not_missed(city) -> None:
    """It took its ids and its time before the events that the chain has already."""
    admin = await city.client("admin")
    number = (await create(admin))["request_id"]
    await chain(city.services, city.tenant)
    async with city.transaction() as late:
        await late.run(
            "INSERT INTO events (tenant_id, subject_id, seq, subject_type, type, actor_type, at, attests) "
            "VALUES (%s, %s, 1, 'tenant', 'tenant.noted', 'system', %s, '{}')",
            [late.tenant_id, late.tenant_id, datetime(2026, 1, 1, tzinfo=UTC)],
        )
        await move(admin, number, "triaged")
        assert await chain(city.services, city.tenant) == 1
        assert await counted(city) == (2, 2, 0)
    assert await chain(city.services, city.tenant) == 1
    assert await counted(city) == (3, 3, 0)
    assert (await verified(city.services, city.tenant)).faults == {}


async def test_the_directory_knows_of_events_that_wait(city) -> None:
    """Also of those that set off no reactions, and of a trail whose chain has not begun."""
    async with city.transaction() as tx:
        await due.renew(tx, CHAIN, now=clock.wall())
        assert await tx.value("SELECT count(*) FROM due WHERE queue = 'chain'") == 0
    await create(await city.client("admin"))
    async with city.transaction() as tx:
        await tx.run("DELETE FROM chain_waiting WHERE tenant_id = %s", [tx.tenant_id])
        await due.cover(tx, [CHAIN], now=clock.wall())
        assert await tx.value("SELECT count(*) FROM due WHERE queue = 'chain'") == 1
    assert await chain(city.services, city.tenant) == 1


async def test_rows_of_an_earlier_release_are_vouched_for_when_the_chain_begins(city, database_url) -> None:
    admin = await city.client("admin")
    number = (await create(admin))["request_id"]
    await walk_to(admin, number, "resolved")
    tenant = {"tenant": city.tenant.tenant_id}
    async with await psycopg.AsyncConnection.connect(database_url) as conn:
        await conn.execute("SET LOCAL session_replication_role = replica")
        await conn.execute("UPDATE events SET attests = NULL WHERE tenant_id = %(tenant)s", tenant)
        await conn.execute("DELETE FROM chain_waiting WHERE tenant_id = %(tenant)s", tenant)
    before = await verified(city.services, city.tenant)
    assert (before.faults, before.unvouched) == ({}, 1), "before there is a chain nothing is held against such a row"
    await chain(city.services, city.tenant)
    after = await verified(city.services, city.tenant)
    assert (after.faults, after.unvouched) == ({}, 0)
    assert (await move(admin, number, "closed")).status_code == 200
    await chain(city.services, city.tenant)
    assert (await verified(city.services, city.tenant)).faults == {}
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as conn:
        await conn.execute("UPDATE requests SET priority = 'P4' WHERE tenant_id = %(tenant)s", tenant)
    assert list((await verified(city.services, city.tenant)).faults) == ["request altered"]


async def test_no_event_is_before_its_predecessor_whatever_the_clocks_say(city) -> None:
    """A second machine is two days ahead, and back: its events stay in order and nothing lasts less than nothing."""
    admin = await city.client("admin")
    now = datetime.now(UTC)
    number = (await create(admin))["request_id"]
    agent = await add_agent(admin)
    with clock.at(now + timedelta(days=2)):
        assert (await move(admin, number, "triaged")).status_code == 200
    assert (await move(admin, number, "assigned", assigned_agent_id=agent["agent_code"])).status_code == 200
    await sweep(city.services.db, city.services.tenants, now=now)
    with clock.at(now - timedelta(days=2)):
        done = await admin.patch(f"/requests/{number}/milestone", json={"milestone": "work_started"})
        assert done.status_code == 200, done.text
    async with city.transaction() as tx:
        trail = await tx.rows(
            "SELECT e.seq, e.at FROM events e JOIN requests r ON r.id = e.subject_id WHERE r.number = %s ORDER BY e.seq",
            [number],
        )
        row = await tx.row(
            "SELECT created_at, triaged_at, assigned_at, in_progress_at, updated_at FROM requests WHERE number = %s",
            [number],
        )
    assert row is not None
    assert [one["at"] for one in trail] == sorted(one["at"] for one in trail)
    assert list(row.values()) == sorted(row.values())
    assert row["assigned_at"] == trail[-1]["at"]
    await chain(city.services, city.tenant)
    assert (await verified(city.services, city.tenant)).faults == {}
