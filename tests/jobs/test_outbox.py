"""The outbox (R-AUD-03): at least once, in nobody's way, never lost."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from builders import create, move

from civicpulse.base import outbox
from civicpulse.base.outbox import drain_batch
from conftest import City


async def drain(city: City, reactions: Mapping[str, Any]) -> None:
    """Works the city's outbox off."""
    taken = 1
    while taken:
        async with city.transaction() as tx:
            taken = await drain_batch(tx, reactions)


class Ear:
    """A reaction that remembers what it heard of one tenant, and fails for the subjects it is told to."""

    def __init__(self, city: City) -> None:
        self.city = city
        self.heard: list[tuple[str, str, int]] = []
        self.failing: set[str] = set()

    async def __call__(self, tx: Any, event: dict[str, Any]) -> None:
        """Hears one event."""
        if tx.tenant_id != self.city.tenant.tenant_id:
            return
        self.heard.append((event["type"], str(event["subject_id"]), event["seq"]))
        if str(event["subject_id"]) in self.failing:
            await tx.run("UPDATE requests SET breach_reason = 'half done' WHERE id = %s", [event["subject_id"]])
            await tx.value("SELECT 1 / 0")

    async def drain(self, times: int = 1) -> None:
        """Drains with this ear for every type of event."""
        reactions = dict.fromkeys(
            ("request.opened", "request.transitioned", "request.classified", "comment.added"), (self,)
        )
        await asyncio.gather(*(drain(self.city, reactions) for _ in range(times)))


async def waiting(city: City) -> list[dict[str, Any]]:
    """What still waits in the outbox."""
    async with city.transaction() as tx:
        return await tx.rows(
            "SELECT subject_id::text AS subject, seq, attempts, last_error, parked_at IS NOT NULL AS parked, "
            "extract(epoch FROM available_at - now())::float AS seconds FROM outbox WHERE tenant_id = %s",
            [tx.tenant_id],
        )


async def hurry(city: City) -> None:
    """Makes every row due now."""
    async with city.transaction() as tx:
        await tx.run("UPDATE outbox SET available_at = now() WHERE tenant_id = %s", [tx.tenant_id])


async def test_each_committed_event_is_reacted_to_once_and_in_its_order(city) -> None:
    admin, ear = await city.client("admin"), Ear(city)
    document = await create(admin)
    await move(admin, document["request_id"], "triaged", priority="P2")
    await ear.drain()
    assert ear.heard == [
        (type, document["_id"], seq)
        for seq, type in enumerate(("request.opened", "request.classified", "request.transitioned"), 1)
    ]
    assert await waiting(city) == []
    await ear.drain()
    assert len(ear.heard) == 3


async def test_eight_workers_share_the_work_without_meeting(city) -> None:
    anybody, ear = await city.client(), Ear(city)
    for index in range(60):
        await create(anybody, lat=40 + index / 10)
    await ear.drain(times=8)
    await ear.drain()
    assert len(ear.heard) == len(set(ear.heard)) == 60
    assert await waiting(city) == []


async def test_what_was_not_committed_is_never_heard_of(city) -> None:
    ear, number = Ear(city), (await create(await city.client()))["request_id"]
    await ear.drain()
    tx = await city.services.db.begin(city.tenant)
    await tx.run("INSERT INTO outbox SELECT tenant_id, subject_id, seq, type FROM events")
    await city.services.db.finish(tx, commit=False)
    await ear.drain()
    assert len(ear.heard) == 1, number


async def test_a_failing_reaction_is_undone_tried_again_later_and_then_parked(city, monkeypatch) -> None:
    monkeypatch.setattr(outbox, "QUEUE", replace(outbox.QUEUE, tries=(most := 4)))
    anybody, ear = await city.client(), Ear(city)
    bad, good = await create(anybody), await create(anybody, category="graffiti")
    ear.failing = {bad["_id"]}
    await ear.drain()
    assert {subject for _, subject, _ in ear.heard} == {bad["_id"], good["_id"]}
    pauses = []
    for attempt in range(1, most + 1):
        (row,) = await waiting(city)
        assert (row["subject"], row["attempts"], row["parked"]) == (bad["_id"], attempt, attempt == most)
        assert "DivisionByZero" in row["last_error"]
        if attempt < most:
            pauses.append(round(row["seconds"]))
        heard = len(ear.heard)
        await ear.drain()
        assert len(ear.heard) == heard, "not before its time"
        await hurry(city)
        await ear.drain()
        assert len(ear.heard) == heard + (attempt < most), "parked rows are left alone"
    assert all(most - 4 <= pause <= most for pause, most in zip(pauses, (5, 10, 20), strict=True)), pauses
    document = (await anybody.get(f"/requests/{bad['request_id']}")).json()
    assert document["computed_kpis"]["breach_reason"] is None, "what the failing reaction had written is undone"


async def test_a_reaction_that_recovers_is_heard_and_done(city) -> None:
    ear, document = Ear(city), await create(await city.client())
    ear.failing = {document["_id"]}
    await ear.drain()
    ear.failing = set()
    await hurry(city)
    await ear.drain()
    assert await waiting(city) == []


async def test_a_worker_cut_off_in_the_middle_leaves_its_batch_to_the_next(city) -> None:
    anybody, ear = await city.client(), Ear(city)
    for index in range(5):
        await create(anybody, lat=40 + index / 10)
    started = asyncio.Event()

    async def stuck(tx: Any, event: dict[str, Any]) -> None:
        if tx.tenant_id == city.tenant.tenant_id:
            started.set()
            await asyncio.sleep(60)

    worker = asyncio.create_task(drain(city, {"request.opened": (stuck,)}))
    await started.wait()
    await ear.drain()
    assert ear.heard == [], "held by the first worker"
    worker.cancel()
    with pytest.raises(asyncio.CancelledError):
        await worker
    await ear.drain()
    assert len(ear.heard) == 5
