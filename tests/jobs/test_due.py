"""The directory of what is due: no committed work is ever without a mark, and nobody waits for anybody to leave one."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from builders import create
from test_reports import send

from civicpulse.base import clock, due, leases, outbox
from civicpulse.base.turns import Line, look_around, next_time, open_turns, timer
from civicpulse.reports.queries import QUEUE as REPORTS
from conftest import City

MARKS = "SELECT due_at FROM due WHERE tenant_id = %s AND queue = %s ORDER BY due_at"


async def marks(city: City, queue: str) -> list[datetime]:
    """When to look at the queue."""
    async with city.transaction() as tx:
        return [row["due_at"] for row in await tx.rows(MARKS, [tx.tenant_id, queue])]


async def is_found(city: City, queue: str) -> bool:
    """Whether a worker is told to look there now."""
    return (queue, city.tenant.tenant_id) in await due.waiting(city.services.db, now=clock.wall())


async def test_whatever_is_written_is_found_and_a_queue_that_is_empty_is_not(city: City) -> None:
    assert not await is_found(city, "outbox")
    await create(await city.client())
    await send(await city.client())
    assert await is_found(city, "outbox")
    assert await is_found(city, "reports")
    async with city.transaction() as tx:
        assert await outbox.drain_batch(tx, {}) == 1
        (report,) = await leases.take(tx, REPORTS, limit=10, seconds=60)
    assert not await is_found(city, "outbox")
    assert await marks(city, "outbox") == []
    assert not await is_found(city, "reports")
    (look_again,) = await marks(city, "reports")
    assert timedelta(seconds=50) < look_again - clock.wall() <= timedelta(seconds=60), "when the lease ends"
    async with city.transaction() as tx:
        await leases.give_back(tx, REPORTS, report)
    assert await is_found(city, "reports")


async def test_writers_and_workers_at_once_leave_no_event_without_a_mark(city: City) -> None:
    """Writers commit some time after they have written, workers look and take marks away all the while."""
    written, done, chance = 0, 0, random.Random(7)
    writing = True

    async def write() -> None:
        nonlocal written
        for _ in range(25):
            async with city.transaction() as tx:
                await tx.run(
                    "INSERT INTO outbox (tenant_id, subject_id, seq, type) SELECT %s, gen_random_uuid(), 1, 'nothing'",
                    [tx.tenant_id],
                )
                await asyncio.sleep(chance.random() * 0.02)
            written += 1

    async def work() -> None:
        nonlocal done
        while writing or await is_found(city, "outbox"):
            if await is_found(city, "outbox"):
                async with city.transaction() as tx:
                    taken = await tx.rows(
                        "DELETE FROM outbox WHERE tenant_id = %s AND ctid = ANY (ARRAY(SELECT ctid FROM outbox "
                        "WHERE tenant_id = %s LIMIT 5 FOR UPDATE SKIP LOCKED)) RETURNING 1 AS one",
                        [tx.tenant_id, tx.tenant_id],
                    )
                    await due.renew(tx, outbox.QUEUE.source, now=clock.wall())
                    await asyncio.sleep(chance.random() * 0.01)
                    if chance.random() < 0.2:  # a worker dies
                        await tx.conn.rollback()
                        taken = []
                done += len(taken)
            await asyncio.sleep(0.001)

    workers = [asyncio.create_task(work()) for _ in range(3)]
    await asyncio.gather(*(write() for _ in range(8)))
    writing = False
    await asyncio.gather(*workers)
    assert (written, done) == (200, 200)


async def test_nobody_waits_for_anybody_to_leave_a_mark(city: City) -> None:
    async with city.transaction() as first, city.transaction() as second, city.transaction() as worker:
        for tx in (first, second):
            await due.mark(tx, "outbox", at=clock.wall())
        async with asyncio.timeout(2):
            await due.renew(worker, outbox.QUEUE.source, now=clock.wall())
            await due.renew(second, outbox.QUEUE.source, now=clock.wall())


async def test_a_lease_that_was_lost_changes_nothing_more(city: City) -> None:
    await send(await city.client())
    async with city.transaction() as tx:
        (slow,) = await leases.take(tx, REPORTS, limit=1)
        (quick,) = await leases.take(tx, REPORTS, limit=1, seconds=60)
    async with city.transaction() as tx:
        assert not await leases.heartbeat(tx, REPORTS, slow, seconds=60)
        await leases.park(tx, REPORTS, slow, "too late")
        await leases.give_back(tx, REPORTS, slow)
        assert await leases.heartbeat(tx, REPORTS, quick, seconds=60)
        state = await tx.row("SELECT state, attempts, last_error FROM reports WHERE tenant_id = %s", [tx.tenant_id])
    assert state == {"state": "waiting", "attempts": 2, "last_error": None}


async def test_rows_without_a_mark_are_found_by_looking_around(city: City) -> None:
    await send(await city.client())
    async with city.transaction() as tx:
        await tx.run("DELETE FROM due WHERE tenant_id = %s", [tx.tenant_id])
    assert not await is_found(city, "reports")

    async def nothing(tenant: Any) -> None:
        raise AssertionError(tenant)

    hourly = timer(city.services.db, f"hourly-{city.tenant.slug}", nothing, every=timedelta(hours=1))
    for _ in range(2):
        await look_around(city.services.db, city.services.tenants, [REPORTS.source], [hourly])
    assert await is_found(city, "reports")
    assert len(await marks(city, "reports")) == len(await marks(city, hourly.queue)) == 1


async def test_a_tenant_with_a_million_rows_does_not_hold_up_one_with_a_single_one(
    city: City, other_city: City
) -> None:
    heard: list[str] = []

    async def work(tenant: Any) -> int:
        heard.append(tenant.slug)
        await asyncio.sleep(0.002)
        is_busy = tenant.slug == city.tenant.slug
        if not is_busy:
            async with other_city.transaction() as tx:
                await tx.run("DELETE FROM due WHERE tenant_id = %s AND queue = 'busy'", [tx.tenant_id])
        return int(is_busy)

    for home in (city, other_city):
        async with home.transaction() as tx:
            await due.mark(tx, "busy", at=clock.wall())
    services = city.services
    async with open_turns(services.db, services.tenants, [Line("busy", work, places=1, batches=5)]) as turns:
        while other_city.tenant.slug not in heard:
            await turns.step()
            await asyncio.wait_for(turns.more.wait(), 5)
    assert heard.count(city.tenant.slug) <= 10


async def test_one_tenants_fault_costs_the_others_nothing(city: City, other_city: City) -> None:
    heard = asyncio.Event()

    async def work(tenant: Any) -> int:
        if tenant.slug == city.tenant.slug:
            raise RuntimeError("this one cannot be worked for")
        heard.set()
        return 0

    for home in (city, other_city):
        async with home.transaction() as tx:
            await due.mark(tx, "faulty", at=clock.wall())
    services = city.services
    async with open_turns(services.db, services.tenants, [Line("faulty", work)]) as turns:
        await turns.step()
        await asyncio.wait_for(heard.wait(), 5)


async def test_a_timer_runs_once_in_its_period_however_many_workers_ask(city: City) -> None:
    ran = 0

    async def job(tenant: Any) -> None:
        nonlocal ran
        ran += 1
        await asyncio.sleep(0.05)

    async with city.transaction() as tx:
        await due.mark(tx, "often", at=clock.wall())
    line = timer(city.services.db, "often", job, every=timedelta(hours=1))
    await asyncio.gather(*(line.work(city.tenant) for _ in range(4)))
    await line.work(city.tenant)
    assert ran == 1
    (at,) = await marks(city, "often")
    assert at == next_time(clock.wall(), timedelta(hours=1), timedelta())


async def test_a_timer_whose_worker_died_runs_again(city: City) -> None:
    async def deadly(tenant: Any) -> None:
        raise RuntimeError("gone")

    async with city.transaction() as tx:
        await due.mark(tx, "deadly", at=clock.wall())
    with pytest.raises(RuntimeError):
        await timer(city.services.db, "deadly", deadly, every=timedelta(days=1)).work(city.tenant)
    (at,) = await marks(city, "deadly")
    assert timedelta(minutes=19) < at - clock.wall() <= timedelta(minutes=20)


@pytest.mark.parametrize(
    ("now", "after", "expected"),
    [("05:06", 7, "05:07"), ("05:07", 7, "06:07"), ("05:59", 0, "06:00"), ("23:59", 7, "00:07")],
)
def test_the_next_time_lies_after_the_beginning_of_the_hour(now: str, after: int, expected: str) -> None:
    at = datetime.fromisoformat(f"2026-03-02T{now}").replace(tzinfo=UTC)
    found = next_time(at, timedelta(hours=1), timedelta(minutes=after))
    assert found.strftime("%H:%M") == expected
    assert timedelta() < found - at <= timedelta(hours=1)
