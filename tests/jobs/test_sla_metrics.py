"""SLA metrics (R-SLA-08): one figure a resolution, in step with the request's own verdict, at the cost of what is new."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from builders import PHOTO, create, move, walk_to
from fastapi import FastAPI
from insight_support import HOUR, NOON, add_row, change_row, random_columns
from tests_support import problem

from civicpulse.base import clock
from civicpulse.base.db import Tx
from civicpulse.insight.jobs import measure_tenant
from civicpulse.insight.scores import metric_queries
from civicpulse.insight.scores.measuring import measure_resolutions
from conftest import City, make_city

QUEUED = "SELECT count(*) FROM sla_unmeasured"


async def measure(city: City) -> int:
    return await measure_tenant(city.services, city.tenant)


async def listed(city: City, query: str = "", role: str = "dispatcher") -> list[dict[str, Any]]:
    answer = await (await city.client(role)).get(f"/sla-metrics{query}")
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def done(tx: Tx, *, took: float = 10, due: float | None = 24, **more: Any) -> UUID:
    columns: dict[str, Any] = {"status": "resolved", "resolved_at": NOON + took * HOUR}
    if due is not None:
        snapshot = (
            f'{{"policy_id": "X", "target_hours": {due}, "breach_threshold_hours": {due}, "escalation_steps": []}}'
        )
        columns |= {"sla": snapshot, "sla_due_at": NOON + due * HOUR, "sla_met": took <= due, "sla_state": "completed"}
    return await add_row(tx, **(columns | more))


async def test_a_request_resolved_over_http_is_measured_once(city: City) -> None:
    admin = await city.client("admin")
    made = await create(admin)
    await walk_to(admin, made["request_id"], "resolved")
    assert await listed(city) == []
    assert await measure(city) == 1
    assert await measure(city) == 0
    (figure,) = await listed(city)
    document = (await admin.get(f"/requests/{made['request_id']}")).json()
    assert (figure["request_id"], figure["category"], figure["severity"]) == (made["request_id"], "pothole", "medium")
    assert (figure["threshold_hours"], figure["met_sla"], figure["judged_by"]) == (72, True, "clock")
    assert figure["resolution_time_hours"] == pytest.approx(0, abs=0.1)
    assert figure["resolved_at"] == document["timestamps"]["resolved_at"]
    assert (figure["zone_id"], figure["superseded_at"]) == ("UNZONED", None)


async def test_the_figure_repeats_the_requests_own_verdict(city: City) -> None:
    """Working hours and pauses are in the verdict, not in the plain hours."""
    async with city.transaction() as tx:
        await done(tx, took=300, due=80, sla_due_at=NOON + 400 * HOUR, sla_met=True, category="a")
        await done(tx, took=10, due=24, category="b")
        await done(tx, took=25, due=24, category="c")
        await done(tx, took=10, due=None, category="pothole", priority="P1")
        await done(tx, took=5, due=None, category="pothole", priority="P1")
    await measure(city)
    found = {(row["category"], row["resolution_time_hours"]): row for row in await listed(city)}
    told = {key: (row["threshold_hours"], row["met_sla"], row["judged_by"]) for key, row in found.items()}
    assert told == {
        ("a", 300): (80, True, "clock"),
        ("b", 10): (24, True, "clock"),
        ("c", 25): (24, False, "clock"),
        ("pothole", 10): (8, False, "comparison"),  # the pack's policy for its category and priority
        ("pothole", 5): (8, True, "comparison"),
    }


async def test_where_nothing_is_promised_nothing_is_judged(app: FastAPI, database_url: str) -> None:
    home = await make_city(app, database_url, sla=[])
    async with home.transaction() as tx:
        await done(tx, due=None)
    await measure(home)
    (figure,) = await listed(home)
    assert (figure["threshold_hours"], figure["met_sla"], figure["judged_by"]) == (None, None, "none")


async def test_opened_again_a_figure_is_superseded_and_resolved_again_there_is_a_new_one(city: City) -> None:
    admin, citizen = await city.client("admin"), await city.client("citizen")
    number = (await create(citizen))["request_id"]
    began = datetime.now(UTC)
    await walk_to(admin, number, "resolved")
    await measure(city)
    await citizen.post(f"/requests/{number}/rating", json={"rating": 1, "dispute_flag": True})
    assert (await move(admin, number, "in_progress")).status_code == 200
    assert await measure(city) == 1
    assert await listed(city) == []
    with clock.at(began + timedelta(hours=100)):
        body = {"milestone": "resolution", "evidence": [PHOTO]}
        assert (await admin.patch(f"/requests/{number}/milestone", json=body)).status_code == 200
    assert await measure(city) == 1
    (current,) = await listed(city)
    assert current["resolution_time_hours"] == pytest.approx(100, abs=0.1)
    both = await listed(city, f"?superseded=true&request_id={number}")
    assert [row["superseded_at"] is None for row in both] == [True, False]
    assert both[1]["resolution_time_hours"] < 1
    async with city.transaction() as tx:
        verdict = await tx.value("SELECT sla_met FROM requests")
    assert current["met_sla"] == verdict


async def test_a_correction_replaces_the_figure_of_the_same_resolution(city: City) -> None:
    async with city.transaction() as tx:
        row = await done(tx)
    await measure(city)
    (before,) = await listed(city)
    async with city.transaction() as tx:
        await change_row(tx, row, category="graffiti", zone_id="Z9", priority="P1", sla_met=False)
    assert await measure(city) == 1
    (after,) = await listed(city, "?superseded=true")
    assert after["id"] == before["id"]
    assert (after["category"], after["zone_id"], after["severity"]) == ("graffiti", "Z9", "critical")
    assert (after["met_sla"], after["judged_by"]) == (False, "clock")


async def test_a_request_that_turns_out_a_duplicate_has_no_standing_figure(city: City) -> None:
    async with city.transaction() as tx:
        master, row = await add_row(tx), await done(tx)
    await measure(city)
    async with city.transaction() as tx:
        await change_row(tx, row, master_id=master)
    await measure(city)
    assert await listed(city) == []
    async with city.transaction() as tx:
        await change_row(tx, row, master_id=None)
    await measure(city)
    assert len(await listed(city, "?superseded=true")) == 1
    assert len(await listed(city)) == 1


async def test_what_no_figure_depends_on_queues_nothing(city: City) -> None:
    async with city.transaction() as tx:
        row = await done(tx)
        still_open = await add_row(tx)
    await measure(city)
    async with city.transaction() as tx:
        await change_row(tx, row, rating=5, status="closed", updated_at=NOON + HOUR)
        await change_row(tx, still_open, category="graffiti", sla_state="overdue", status="triaged")
        await add_row(tx, status="closed")
        assert await tx.value(QUEUED) == 0


@pytest.mark.parametrize("seed", range(3))
async def test_figures_equal_the_requests_after_any_changes(city: City, seed: int) -> None:
    dice = random.Random(seed)
    rows: list[Any] = []
    masters: list[Any] = []
    for _ in range(6):
        async with city.transaction() as tx:
            for _ in range(20):
                columns = random_columns(dice, masters)
                rows.append(await add_row(tx, at=columns.pop("created_at"), **columns))
                if columns["master_id"] is None:
                    masters.append(rows[-1])
            for row in dice.sample(rows, 10):
                changed = random_columns(dice, [])
                names = dice.sample(sorted(changed), dice.randrange(1, len(changed)))
                await change_row(tx, row, **{name: changed[name] for name in names})
        await measure(city)
        async with city.transaction() as tx:
            standing = await tx.rows(
                "SELECT id, category, priority, zone_id, resolved_at, sla_met FROM requests WHERE master_id IS NULL "
                "AND state_category IN ('resolved', 'closed') AND resolved_at >= created_at ORDER BY id"
            )
            figures = await tx.rows(
                "SELECT request_id AS id, category, priority, zone_id, resolved_at, "
                "CASE WHEN judged_by = 'clock' THEN met_sla END AS sla_met "
                "FROM sla_metrics WHERE superseded_at IS NULL ORDER BY request_id"
            )
            assert figures == standing
            assert await tx.value(QUEUED) == 0


async def test_side_by_side_each_is_measured_once_and_nobody_waits(city: City) -> None:
    async with city.transaction() as tx:
        for number in range(40):
            await done(tx, took=number)
    counts = await asyncio.gather(*(measure(city) for _ in range(6)))
    assert sum(counts) == 40
    assert len(await listed(city, "?limit=500")) == 40


async def test_a_request_that_is_being_changed_waits_for_the_next_look(city: City) -> None:
    async with city.transaction() as tx:
        busy, _ = await done(tx), await done(tx)
    async with city.transaction() as other:
        await change_row(other, busy, category="graffiti")
        assert await asyncio.wait_for(measure(city), 5) == 1
    assert await measure(city) == 1
    assert {row["category"] for row in await listed(city)} == {"pothole", "graffiti"}


async def test_a_look_that_fails_leaves_everything_as_it_was(city: City) -> None:
    async with city.transaction() as tx:
        await done(tx)

    async def fail() -> None:
        async with city.transaction() as tx:
            assert await measure_resolutions(tx) == 1
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    assert await listed(city) == []
    assert await measure(city) == 1


async def test_batches_go_on_until_nothing_waits(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("civicpulse.insight.jobs.MEASURE_AT_ONCE", 3)
    monkeypatch.setitem(measure_resolutions.__kwdefaults__ or {}, "limit", 3)
    async with city.transaction() as tx:
        for number in range(10):
            await done(tx, took=number)
    assert await measure(city) == 10


async def test_the_list_is_filtered_and_paged(city: City) -> None:
    async with city.transaction() as tx:
        for number in range(12):
            columns: dict[str, Any] = {
                "category": "ab"[number % 2],
                "zone_id": f"Z{number % 3}",
                "priority": f"P{1 + number % 4}",
            }
            await done(tx, took=number * 4, **columns)
    await measure(city)

    async def hours(query: str) -> list[float]:
        return [row["resolution_time_hours"] for row in await listed(city, query)]

    assert await hours("") == [number * 4 for number in reversed(range(12))]
    assert await hours("?category=a&zone=Z0") == [24, 0]
    assert await hours("?severity=critical,P2&met=false") == [36, 32]
    assert await hours("?met=true&limit=2") == [24, 20]
    assert await hours(f"?from={(NOON + 40 * HOUR).isoformat()[:-6]}Z") == [44, 40]
    assert await hours(f"?to={(NOON + 8 * HOUR).isoformat()[:-6]}Z") == [4, 0]
    (one, *_) = await listed(city)
    assert await hours(f"?request_id={one['request_id']}") == [one["resolution_time_hours"]]
    staff, walked, cursor = await city.client("dispatcher"), [], ""
    while cursor is not None:
        page = (await staff.get(f"/sla-metrics?limit=5{cursor and '&cursor=' + cursor}")).json()
        walked += [row["resolution_time_hours"] for row in page["items"]]
        cursor = page["next_cursor"]
    assert walked == await hours("")
    for bad in (
        "severity=huge",
        "met=perhaps",
        "limit=0",
        "cursor=x",
        "from=2026-03-02&to=2026-03-01",
        "category=a%00",
    ):
        problem(await staff.get(f"/sla-metrics?{bad}"), 422)


async def test_the_list_is_for_those_who_lead_and_of_the_own_tenant(city: City, other_city: City) -> None:
    async with city.transaction() as tx:
        await done(tx)
    await measure(city)
    for role in (None, "citizen", "agent"):
        problem(await (await city.client(role)).get("/sla-metrics"), 401 if role is None else 403)
    for role in ("dispatcher", "supervisor", "admin"):
        assert len(await listed(city, role=role)) == 1
    spy = await other_city.client("admin", **{"X-Tenant": city.tenant.slug})
    assert (await spy.get("/sla-metrics")).json()["items"] == []


MANY = """
WITH made AS (
    INSERT INTO requests (tenant_id, id, number, pack_version, category, description, status, state_category, priority,
        priority_score, created_at, resolved_at, updated_at)
    SELECT current_tenant(), gen_random_uuid(), 'M-' || n, 1, 'c' || n % 20, 'x', 'closed', 'closed', 'P3', 5, at, at + interval '1 day', at
    FROM generate_series(1, 3000) n CROSS JOIN LATERAL (SELECT now() - n * interval '4 hours' AS at) t
    RETURNING id
)
SELECT count(*) FROM made
"""


async def test_lists_and_looks_use_their_indexes(lone_city: City, own_database_url: str) -> None:
    city = lone_city
    async with city.transaction() as tx:
        await tx.run(MANY)
    await measure(city)
    async with city.transaction() as tx:
        await tx.run("INSERT INTO sla_unmeasured SELECT tenant_id, id FROM requests ORDER BY id LIMIT 5")
        await tx.run("UPDATE requests SET zone_id = 'ZONE-9' WHERE id = (SELECT max(id::text)::uuid FROM requests)")
    async with await psycopg.AsyncConnection.connect(own_database_url, autocommit=True) as owner:
        await owner.execute("ANALYZE requests, sla_metrics, sla_unmeasured")
    async with city.transaction() as tx:
        look = await tx.rows(f"EXPLAIN {metric_queries.TAKE}", {"tenant_id": tx.tenant_id, "limit": 1000})
        plan = "\n".join(row["QUERY PLAN"] for row in look)
        assert "Seq Scan on requests" not in plan, plan
    statements: list[Any] = []
    rows = Tx.rows

    async def kept(self: Tx, statement: Any, params: Any = None) -> Any:
        if "FROM sla_metrics" in statement.as_string(self.conn):
            statements.append((statement, params))
        return await rows(self, statement, params)

    await listed(city, "?category=pothole&zone=UNZONED")  # the pack and the zones are read once a process
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Tx, "rows", kept)
        for query in ("", "?category=pothole", "?zone=ZONE-9", "?limit=500"):
            await listed(city, query)
    assert len(statements) == 4
    async with city.transaction() as tx:
        for (statement, params), index in zip(
            statements, ("_resolved", "_category", "_zone", "_resolved"), strict=True
        ):
            plan = "\n".join(
                row["QUERY PLAN"] for row in await tx.rows(f"EXPLAIN {statement.as_string(tx.conn)}", params)
            )
            assert f"sla_metrics{index}" in plan, plan
