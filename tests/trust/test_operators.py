"""What operators see: figures of every queue, heartbeats, and a readiness that fails when writes do (R-OPS-20, R-OPS-21)."""

import asyncio
import socket
import urllib.request
from typing import Any

import httpx
import psycopg
import pytest
from builders import create
from prometheus_client.parser import text_string_to_metric_families
from psycopg import sql
from test_reports import send

from civicpulse import worker
from civicpulse.base import gauges, leases
from civicpulse.base.doors.health import Health, Recent
from civicpulse.base.heartbeat import Heart
from civicpulse.reports.queries import QUEUE as REPORTS
from civicpulse.settings import Settings
from conftest import City, started_app

QUEUES = {"outbox", "reports", "runs", "opinions", "notifications", "clocks", "chain"}
DISK_FULL = """
CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$;
CREATE TRIGGER no_room BEFORE INSERT ON processes EXECUTE FUNCTION no_room();
"""


def samples(text: str) -> dict[tuple[str, ...], float]:
    """Each figure by its name and the values of its labels."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def read(city: City) -> dict[tuple[str, ...], float]:
    """The figures as they are now: nothing kept."""
    health = Health(city.services.db, keep=0, limit=60)
    try:
        return samples((await health.figures()).decode())
    finally:
        await health.close()


async def ready(city: City) -> httpx.Response:
    """What is answered to who asks; on a slow machine, too."""
    city.app.state.health = Health(city.services.db, limit=60)
    return await (await city.client()).get("/health/ready")


async def test_each_queue_says_how_much_is_due_since_when_and_what_was_given_up(lone_city: City) -> None:
    before = await read(lone_city)
    assert {name[1] for name in before if name[0] == "civicpulse_queue_depth"} >= QUEUES
    assert all(before["civicpulse_queue_parked", queue] == 0 for queue in QUEUES)
    client = await lone_city.client()
    for _ in range(3):
        await send(client)
    await create(client)
    async with lone_city.transaction() as tx:
        (row,) = await leases.take(tx, REPORTS, limit=1, seconds=60)
        await leases.park(tx, REPORTS, row, "cannot be read")
    after = await read(lone_city)
    assert after["civicpulse_queue_depth", "reports"] == 2
    assert after["civicpulse_queue_parked", "reports"] == 1
    assert after["civicpulse_queue_depth", "outbox"] == 1
    async with lone_city.transaction() as tx:
        await tx.run("UPDATE reports SET due_at = due_at - interval '1 hour' WHERE tenant_id = %s", [tx.tenant_id])
    later = await read(lone_city)
    assert 3600 <= later["civicpulse_queue_oldest_seconds", "reports"] < 7200


async def test_depth_is_counted_so_far_and_no_further(lone_city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    client = await lone_city.client()
    for _ in range(3):
        await send(client)
    monkeypatch.setattr(gauges, "COUNTED", 2)
    assert (await read(lone_city))["civicpulse_queue_depth", "reports"] == 2


async def test_processes_that_live_are_counted_and_one_that_ends_says_so(lone_city: City) -> None:
    first, second = Heart(lone_city.services.db, "worker"), Heart(lone_city.services.db, "worker")
    assert (await read(lone_city))["civicpulse_processes", "worker"] == 0
    for heart in (first, second, first):
        await heart.beat()
    assert (await read(lone_city))["civicpulse_processes", "worker"] == 2
    await second.leave()
    seen = await read(lone_city)
    assert seen["civicpulse_processes", "worker"] == 1
    assert seen["civicpulse_heartbeat_age_seconds", "worker"] < 60
    assert seen["civicpulse_processes", "api"] >= 1, "who is asked whether it is ready, lives"


async def test_the_worker_beats_and_leaves(lone_city: City, own_database_url: str) -> None:
    stop = asyncio.Event()
    working = asyncio.create_task(worker.run_worker(lone_city.services.settings, stop=stop))
    async with await psycopg.AsyncConnection.connect(own_database_url, autocommit=True) as owner:

        async def workers() -> Any:
            cursor = await owner.execute("SELECT count(*) FROM processes WHERE kind = 'worker'")
            row = await cursor.fetchone()
            return row and row[0]

        while not await workers() and not working.done():
            pass
        stop.set()
        await working
        assert await workers() == 0


async def test_a_worker_serves_its_counts_where_a_port_is_set() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    async with worker._figures(port):
        answer = await asyncio.to_thread(urllib.request.urlopen, f"http://127.0.0.1:{port}/metrics", timeout=10)
        with answer:
            assert b"civicpulse_messages_total" in answer.read()
    assert Settings().worker_metrics_port == 0


async def test_the_pool_tells_its_connections_and_who_waits(lone_city: City) -> None:
    seen = await read(lone_city)
    assert seen["civicpulse_database_pool", "most"] == 4
    async with lone_city.transaction(), lone_city.transaction():
        used = lone_city.services.db.usage()
        waiting = asyncio.create_task(lone_city.services.db.begin(lone_city.tenant))
        await asyncio.sleep(0)
        assert used["used"] >= 2
        assert lone_city.services.db.usage()["waiting"] == 1
    await lone_city.services.db.finish(await waiting, commit=False)
    assert lone_city.services.db.usage()["waiting"] == 0


async def test_a_database_that_takes_writes_is_ready(lone_city: City) -> None:
    answer = await ready(lone_city)
    assert (answer.status_code, answer.json()) == (200, {"status": "ready"})


async def test_a_read_only_database_is_not_ready(own_database_url: str) -> None:
    name = own_database_url.split("?")[0].rpartition("/")[2]
    async with await psycopg.AsyncConnection.connect(own_database_url, autocommit=True) as owner:
        await owner.execute(
            sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = on").format(sql.Identifier(name))
        )
    async with started_app(own_database_url, pool_size=2) as app:
        app.state.health = Health(app.state.services.db, limit=60)
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://city.test")
        answer = await client.get("/health/ready")
        assert answer.status_code == 503
        assert "read-only" in answer.json()["reason"]
        assert samples((await client.get("/metrics")).text)["civicpulse_ready",] == 0


async def test_a_full_disk_is_not_ready(lone_city: City, own_database_url: str) -> None:
    async with await psycopg.AsyncConnection.connect(own_database_url, autocommit=True) as owner:
        await owner.execute(DISK_FULL)
    answer = await ready(lone_city)
    assert answer.status_code == 503
    assert "No space left" in answer.json()["reason"]


async def test_a_write_that_hangs_is_not_ready_and_is_waited_for_once(lone_city: City, own_database_url: str) -> None:
    health = Health(lone_city.services.db, keep=0, limit=0.05)
    async with await psycopg.AsyncConnection.connect(own_database_url) as owner:
        await owner.execute("LOCK TABLE processes")
        for _ in range(5):
            assert await health.fault() == "The database does not answer in time."
        assert lone_city.services.db.usage()["used"] == 1, "one look is under way, however many ask"
        await owner.rollback()
    await health.close()


async def test_what_was_found_is_kept_for_a_moment_and_looked_for_by_one() -> None:
    looks = 0

    async def look() -> int:
        nonlocal looks
        looks += 1
        await asyncio.sleep(0)
        return looks

    kept, fresh = Recent(look, keep=3600), Recent(look, keep=0)
    assert await asyncio.gather(*(kept.get() for _ in range(20))) == [1] * 20
    assert await kept.get() == 1
    assert [await fresh.get(), await fresh.get()] == [2, 3]
    await kept.close()
