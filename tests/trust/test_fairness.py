"""One tenant that takes whatever it can get, beside a calm one: the calm one is served (R-DOOR-12, R-DOOR-13)."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest
from builders import create, report
from fastapi import FastAPI
from tests_support import problem

from civicpulse.app import create_app
from civicpulse.base import db, due
from civicpulse.base.db import Patience, TenantBusy
from civicpulse.base.logins import application_url
from civicpulse.base.tenancy import Tenant
from civicpulse.base.turns import Line, Turns
from civicpulse.settings import Settings
from conftest import City, make_city

POOL = 4
LOCKED = "SELECT id FROM requests WHERE tenant_id = %s AND number = %s FOR UPDATE"
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


@pytest.fixture
async def small(own_database_url: str) -> AsyncIterator[tuple[City, City, str]]:
    """A hostile and a calm tenant of an app with few connections, and the URL of their database's owner."""
    settings = Settings(
        database_url=application_url(own_database_url),
        pool_size=POOL,
        lock_timeout_seconds=0,
        anonymous_writes_per_minute=0,
        anonymous_reads_per_minute=0,
    )
    app: FastAPI = create_app(settings)
    async with app.router.lifespan_context(app):
        yield await make_city(app, own_database_url), await make_city(app, own_database_url), own_database_url


async def until_waiting(owner: psycopg.AsyncConnection[Any], at_least: int) -> None:
    """Returns once so many sessions wait for a lock."""
    async with asyncio.timeout(60):
        while True:
            row = await (await owner.execute(WAITING)).fetchone()
            if row is not None and row[0] >= at_least:
                return


async def test_writes_on_a_locked_row_take_no_connection_from_another_tenant(small: tuple[City, City, str]) -> None:
    hostile, calm, url = small
    staff, neighbour = await hostile.client("dispatcher"), await calm.client("dispatcher")
    number = (await create(staff))["request_id"]
    async with (
        await psycopg.AsyncConnection.connect(url, autocommit=True) as owner,
        await psycopg.AsyncConnection.connect(url) as holding,
    ):
        await holding.execute(LOCKED, [hostile.tenant.tenant_id, number])
        path = f"/requests/{number}/transition"
        stuck = [asyncio.create_task(staff.patch(path, json={"to": "triaged"})) for _ in range(16)]
        await until_waiting(owner, POOL // 2)
        for n in range(5):
            served = await neighbour.post("/requests", json=report(lat=40.0 + n))
            assert served.status_code == 201, served.text
            assert (await neighbour.get("/requests")).status_code == 200
        assert not all(task.done() for task in stuck), "all of this while the others wait"
        await holding.rollback()
        answers = await asyncio.gather(*stuck)
    assert {answer.status_code for answer in answers} <= {200, 409, 503}
    for answer in answers:
        if answer.status_code == 503:
            assert answer.headers["retry-after"]
            assert answer.json()["code"] in ("unavailable", "tenant_busy")
    assert (await staff.patch(path, json={"to": "triaged"})).status_code in (200, 409), "nothing is left locked"


async def test_who_uses_up_their_share_is_told_when_to_come_again(
    small: tuple[City, City, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile, calm, _ = small
    staff, neighbour = await hostile.client(), await calm.client()
    assert (await staff.get("/requests")).status_code == 200
    monkeypatch.setattr(db, "WAIT_SECONDS", 0.01)
    async with hostile.transaction(), hostile.transaction():
        refused = await staff.get("/requests")
        problem(refused, 503, "tenant_busy")
        assert refused.headers["retry-after"] == "2"
        assert (await neighbour.get("/requests")).status_code == 200
    assert (await staff.get("/requests")).status_code == 200


async def test_a_queue_of_waiting_calls_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(db, "WAITING_FOR_EACH", 3)
    share = db.Share(1)
    await share.take()
    waiting = [asyncio.create_task(share.take()) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(TenantBusy):
        await share.take()
    assert db.is_outage(TenantBusy()), "no fault of the row that was to be written: nobody tries it row by row"
    for task in waiting:
        share.give_back()
        await task
    share.give_back()
    await share.take()


async def test_statements_locks_and_idle_transactions_have_their_time(city: City) -> None:
    names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
    async with city.transaction() as tx:
        told = [await tx.value(f"SELECT current_setting('{name}')") for name in names]
    settings = city.services.settings
    assert told == [
        f"{settings.statement_timeout_seconds / 60:g}min",
        f"{settings.lock_timeout_seconds / 60:g}min",
        f"{settings.idle_transaction_timeout_seconds / 60:g}min",
    ]
    assert Patience(0.5, 0, 2).settings == {
        "statement_timeout": "500",
        "lock_timeout": "0",
        "idle_in_transaction_session_timeout": "2000",
    }


async def test_a_row_that_stays_locked_is_told(own_database_url: str) -> None:
    app = create_app(Settings(database_url=application_url(own_database_url), pool_size=2, lock_timeout_seconds=0.05))
    async with app.router.lifespan_context(app):
        city = await make_city(app, own_database_url)
        staff = await city.client("dispatcher")
        number = (await create(staff))["request_id"]
        async with await psycopg.AsyncConnection.connect(own_database_url) as holding:
            await holding.execute(LOCKED, [city.tenant.tenant_id, number])
            answer = await staff.patch(f"/requests/{number}/transition", json={"to": "triaged"})
            await holding.rollback()
    problem(answer, 503, "unavailable")
    assert answer.headers["retry-after"] == "1"
    assert "Somebody else" in answer.json()["detail"]


async def test_a_statement_without_end_is_given_up_and_told(own_database_url: str) -> None:
    app = create_app(Settings(database_url=application_url(own_database_url), pool_size=2))

    async def endless() -> None:
        async with app.state.services.db.transaction(city.tenant) as tx:
            await tx.run("SET LOCAL statement_timeout = 50")
            await tx.run("SELECT pg_sleep(60)")

    app.add_api_route("/endless", endless)
    async with app.router.lifespan_context(app):
        city = await make_city(app, own_database_url)
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://city.test") as client:
            answer = await client.get("/endless")
    problem(answer, 503, "unavailable")
    assert "too long" in answer.json()["detail"]


async def test_a_tenant_with_work_without_end_gives_its_place_up(city: City, other_city: City) -> None:
    """The hostile one always has more; the calm one's single batch is done before the second turn of the other."""
    queue, served = "reports", Counter[UUID]()
    order: list[UUID] = []
    mine = {one.tenant.tenant_id for one in (city, other_city)}

    async def work(tenant: Tenant) -> int:
        if tenant.tenant_id not in mine:
            return 0
        served[tenant.tenant_id] += 1
        order.append(tenant.tenant_id)
        return int(tenant.tenant_id == city.tenant.tenant_id)

    async def waiting(*_: Any, **__: Any) -> list[tuple[str, UUID]]:
        return [(queue, one.tenant.tenant_id) for one in (city, other_city)]

    turns = Turns(city.services.db, city.services.tenants, [Line(queue, work, places=1, batches=5)])
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(due, "waiting", waiting)
        for _ in range(4):
            await turns.step()
            await asyncio.gather(*turns._at_work.values())
    await turns.close()
    hostile, calm = city.tenant.tenant_id, other_city.tenant.tenant_id
    assert order == [*[hostile] * 5, calm, *[hostile] * 5, calm]
