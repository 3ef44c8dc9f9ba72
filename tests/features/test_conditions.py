"""What is said of requests in SQL is what the rules say of the same rows."""

import itertools
from datetime import timedelta
from typing import Any

import pytest
from builders import add_agent
from insight_support import HOUR, NOON, add_row
from psycopg import sql

from civicpulse.base import conditions
from civicpulse.base.db import Tx
from civicpulse.insight.map import geo_queries
from civicpulse.people.queries import open_loads
from civicpulse.rules.heat import heat
from civicpulse.rules.lifecycle import ENDED, OPEN_WORK, is_ended, stands_resolved
from conftest import City

# A request of each category, as master and as duplicate, resolved at no time and at times around its creation.
TIMES = (None, NOON - HOUR, NOON, NOON + timedelta(microseconds=1), NOON + 30 * HOUR)
KINDS = list(itertools.product((*OPEN_WORK, *ENDED), (False, True), TIMES))

READ = f"""
SELECT r.master_id, r.state_category, r.created_at, r.resolved_at, {conditions.is_open("r")} AS is_open,
       {conditions.has_ended("r")} AS has_ended, {conditions.is_open_master("r")} AS is_open_master,
       {conditions.stands_resolved("r")} AS stands_resolved, c.resolved = 1 AS in_ledger, c.backlog = 1 AS in_backlog, c.resolution_ms
FROM requests r JOIN kpi_contributions c ON c.tenant_id = r.tenant_id AND c.id = r.id
WHERE r.tenant_id = %(tenant_id)s AND r.number LIKE 'KIND-%%' ORDER BY r.number
"""


async def add_kinds(tx: Tx) -> list[dict[str, Any]]:
    master = await add_row(tx)
    for number, (category, is_duplicate, resolved_at) in enumerate(KINDS):
        facts: dict[str, Any] = {
            "state_category": category,
            "master_id": master if is_duplicate else None,
            "resolved_at": resolved_at,
        }
        await add_row(tx, number=f"KIND-{number:03}", **facts)
    rows = await tx.rows(READ, {"tenant_id": tx.tenant_id})
    assert len(rows) == len(KINDS) == 40
    return rows


def test_the_words_are_those_of_the_partial_indexes() -> None:
    assert conditions.is_open("r") == "r.state_category IN ('open', 'waiting')"
    assert conditions.has_ended("r") == "r.state_category IN ('resolved', 'closed')"


async def test_what_is_open_ended_and_resolved_is_the_same_in_rules_in_sql_and_in_the_ledger(city: City) -> None:
    async with city.transaction() as tx:
        rows = await add_kinds(tx)
    for row in rows:
        ended, is_master = is_ended(row["state_category"]), row["master_id"] is None
        assert (row["has_ended"], row["is_open"]) == (ended, not ended)
        assert row["is_open_master"] is row["in_backlog"] is (is_master and not ended)
        assert row["stands_resolved"] is stands_resolved(row)
        assert row["in_ledger"] is stands_resolved(row)
        if stands_resolved(row):
            assert row["resolution_ms"] == round((row["resolved_at"] - row["created_at"]) / timedelta(milliseconds=1))
    assert sum(map(stands_resolved, rows)) == 6


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        (open_loads(), "Index Only Scan using requests_agent_open "),
        (
            f"SELECT count(*) FROM requests r WHERE r.tenant_id = %(tenant_id)s AND {conditions.is_open_master('r')} AND r.cell > 0",
            "Index Only Scan using requests_open ",
        ),
    ],
)
async def test_open_work_is_read_from_the_partial_indexes_alone(lone_city: City, statement: str, index: str) -> None:
    async with lone_city.transaction() as tx:
        for way in ("seqscan", "bitmapscan", "sort"):
            await tx.run(f"SET LOCAL enable_{way} = off")
        found = await tx.rows(f"EXPLAIN {statement}", {"tenant_id": tx.tenant_id})
    plan = "\n".join(row["QUERY PLAN"] for row in found)
    assert index in plan, plan


async def test_an_end_before_the_beginning_is_in_no_figure_of_duration_or_speed(city: City) -> None:
    admin = await city.client("admin")
    agent = await add_agent(admin)
    async with city.transaction() as tx:
        for hours in (-5, 2, 4):
            facts = {"assigned_agent_id": agent["_id"], "assigned_at": NOON, "resolved_at": NOON + hours * HOUR}
            await add_row(tx, status="closed", **facts)
    params = {"from": "2026-03-01T00:00:00Z", "to": "2026-04-01T00:00:00Z"}
    told = (await admin.get("/analytics/agents", params=params)).json()["items"][0]
    assert (told["resolved"], told["avg_resolution_minutes"]) == (2, 180)


@pytest.mark.parametrize("age_hours", [-3.0, 0.0, 0.5, 24.0, 8760.0])
async def test_the_map_weighs_as_the_rule_does(city: City, age_hours: float) -> None:
    weights = {"P1": 8.0, "P2": 4.0, "P3": 2.0, "P4": 1.0}
    columns = [f"SELECT '{priority}'::text AS priority, %(at)s::timestamptz AS created_at" for priority in weights]
    statement = sql.SQL(f"SELECT r.priority, {geo_queries._WEIGHT} AS weight FROM ({' UNION ALL '.join(columns)}) AS r")
    async with city.transaction() as tx:
        values = geo_queries._weighing(weights, NOON) | {"at": NOON - age_hours * HOUR}
        found = {row["priority"]: row["weight"] for row in await tx.rows(sql.Composed([statement]), values)}
    assert found == pytest.approx({priority: heat(weight, age_hours) for priority, weight in weights.items()})


async def test_every_page_says_the_same_of_an_agents_load(city: City) -> None:
    admin = await city.client("admin")
    agent = await add_agent(admin)
    async with city.transaction() as tx:
        master = await add_row(tx, assigned_agent_id=agent["_id"], status="assigned")
        await add_row(tx, assigned_agent_id=agent["_id"], status="awaiting_citizen")
        await add_row(tx, assigned_agent_id=agent["_id"], status="assigned", master_id=master)
        await add_row(tx, assigned_agent_id=agent["_id"], status="closed")
    listed = (await admin.get("/agents")).json()["items"][0]
    read = (await admin.get(f"/agents/{agent['_id']}")).json()
    figures = (await admin.get("/analytics/agents")).json()["items"][0]
    assert listed["open_load"] == read["workload"]["open"] == figures["open"] == 2
