"""Recurrence and desks over HTTP (R-KPI-02, R-KPI-03)."""

import itertools
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from builders import add_agent, create, walk_to
from insight_support import DAY, HOUR, NOON, add_row
from tests_support import problem

from civicpulse.base import clock
from civicpulse.base.db import Tx
from conftest import City

HERE, THERE = {"lon": -74.0, "lat": 40.7}, {"lon": -74.1, "lat": 40.8}
# NOON is the Sunday of 2026-W11.


async def cohorts(client: httpx.AsyncClient, **params: Any) -> dict[str, Any]:
    with clock.at(NOON):
        answer = await client.get("/analytics/cohorts", params=params)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def test_what_comes_back_within_the_window_is_a_repeat(city: City) -> None:
    async with city.transaction() as tx:
        first = await add_row(tx, at=NOON - 60 * DAY, **HERE)
        await add_row(tx, at=NOON - 56 * DAY, **HERE)
        await add_row(tx, at=NOON - 40 * DAY, **HERE)  # within 30 days of the one before it
        await add_row(tx, at=NOON - 5 * DAY, **HERE)  # too late: a first report again
        await add_row(tx, at=NOON - 60 * DAY, **THERE)
        await add_row(tx, at=NOON - 59 * DAY, **HERE, category="noise")  # another category
        await add_row(tx, at=NOON - 58 * DAY, **HERE, master_id=first)  # a duplicate
        await add_row(tx, at=NOON - 58 * DAY, lon=None)
    answer = await cohorts(await city.client())
    assert answer["totals"] == {"first_reports": 4, "repeated": 1, "repeats": 2, "recurrence_rate": 0.25}
    weeks = {row["week"]: row for row in answer["cohorts"]}
    assert weeks["2026-W03"] == {
        "week": "2026-W03",
        "start": "2026-01-12",
        "first_reports": 3,
        "repeated": 1,
        "recurrence_rate": 0.3333,
        "repeats": 2,
        "median_days_to_repeat": 4.0,
    }
    assert weeks["2026-W11"]["first_reports"] == 1
    worst = answer["worst_places"]
    assert [(row["category"], row["count"], row["repeats"]) for row in worst] == [("pothole", 3, 2)]
    assert (worst[0]["lon"], worst[0]["lat"]) == (pytest.approx(-74.0, abs=0.002), pytest.approx(40.7, abs=0.002))


async def test_days_and_filters_narrow_the_cohorts(city: City) -> None:
    async with city.transaction() as tx:
        for zone, place in (("Z1", HERE), ("Z2", THERE)):
            await add_row(tx, at=NOON - 20 * DAY, zone_id=zone, **place)
            await add_row(tx, at=NOON - 12 * DAY, zone_id=zone, **place)
    client = await city.client()
    assert (await cohorts(client))["totals"]["repeats"] == 2
    assert (await cohorts(client, days=7))["totals"] == {
        "first_reports": 4,
        "repeated": 0,
        "repeats": 0,
        "recurrence_rate": 0.0,
    }
    assert (await cohorts(client, zone="Z1"))["totals"]["repeats"] == 1
    assert (await cohorts(client, category="noise"))["totals"]["recurrence_rate"] is None
    # The first report was before the period: what follows belongs to it, not to the period.
    assert (await cohorts(client, **{"from": (NOON - 15 * DAY).isoformat()}))["totals"]["first_reports"] == 0
    # A repeat after the period still counts for the first report in it.
    assert (await cohorts(client, to=(NOON - 15 * DAY).isoformat()))["totals"]["repeats"] == 2


async def test_cohorts_equal_a_recount_in_plain_python(city: City) -> None:
    places = [{"lon": -74.0 + 0.01 * number, "lat": 40.7} for number in range(4)]
    steps = itertools.cycle([1, 9, 31, 3, 45, 2, 14])
    made: dict[tuple[int, str], list[Any]] = {}
    async with city.transaction() as tx:
        for (number, place), category in itertools.product(enumerate(places), ("pothole", "noise")):
            at = NOON - 170 * DAY
            for _ in range(9):
                await add_row(tx, at=at, category=category, **place)
                made.setdefault((number, category), []).append(at)
                at += DAY * next(steps) + HOUR
    firsts, repeated, repeats = 0, 0, 0
    for times in made.values():
        kept = [time for time in times if time < NOON + 30 * DAY]
        chains: list[list[Any]] = []
        for time in kept:
            if chains and time - chains[-1][-1] <= 30 * DAY:
                chains[-1].append(time)
            else:
                chains.append([time])
        mine = [chain for chain in chains if chain[0] < NOON]
        firsts += len(mine)
        repeated += sum(len(chain) > 1 for chain in mine)
        repeats += sum(len(chain) - 1 for chain in mine)
    totals = (await cohorts(await city.client()))["totals"]
    assert (totals["first_reports"], totals["repeated"], totals["repeats"]) == (firsts, repeated, repeats)
    assert 0 < repeated < firsts


async def test_cohorts_stay_inside_the_tenant_and_the_audience(city: City, other_city: City) -> None:
    async with city.transaction() as tx:
        await add_row(tx, at=NOON - DAY, is_public=False)
    assert (await cohorts(await city.client("agent")))["totals"]["first_reports"] == 1
    assert (await cohorts(await city.client()))["totals"]["first_reports"] == 0
    assert (await cohorts(await other_city.client("admin")))["totals"]["first_reports"] == 0


@pytest.mark.parametrize(
    "params",
    [
        {"days": 0},
        {"days": "many"},
        {"from": "2020-01-01", "to": "2026-01-01"},
        {"from": "2026-02-01", "to": "2026-01-01"},
    ],
)
async def test_bad_cohort_parameters_are_refused(city: City, params: dict[str, Any]) -> None:
    problem(await (await city.client()).get("/analytics/cohorts", params=params), 422)


async def insert_agent(tx: Tx, code: str) -> UUID:
    row = await tx.row(
        "INSERT INTO agents (tenant_id, id, agent_code, name, timezone, created_at, updated_at) "
        "VALUES (%s, gen_random_uuid(), %s, 'Somebody', 'UTC', now(), now()) RETURNING id",
        [tx.tenant_id, code],
    )
    assert row is not None
    agent_id: UUID = row["id"]
    return agent_id


async def test_a_desk_shows_workload_now_and_work_of_the_period(city: City) -> None:
    async with city.transaction() as tx:
        agent = await insert_agent(tx, "AG-1")
        await insert_agent(tx, "AG-2")
        mine: dict[str, Any] = {"assigned_agent_id": agent}
        master = await add_row(
            tx, **mine, status="in_progress", sla_state="overdue", assigned_at=NOON - DAY, escalation_count=2
        )
        await add_row(tx, **mine, status="assigned", assigned_at=NOON - 50 * DAY, escalation_count=5)
        await add_row(tx, **mine, status="assigned", assigned_at=NOON - DAY, master_id=master)
        done: dict[str, Any] = {**mine, "status": "closed", "at": NOON - 3 * DAY, "assigned_at": NOON - 3 * DAY}
        await add_row(tx, **done, resolved_at=NOON - 3 * DAY + HOUR, sla_met=True, rating=5)
        await add_row(tx, **done, resolved_at=NOON - 3 * DAY + 3 * HOUR, sla_met=False, rating=2)
        old: dict[str, Any] = {**done, "at": NOON - 90 * DAY, "assigned_at": NOON - 90 * DAY}
        await add_row(tx, **old, resolved_at=NOON - 80 * DAY, sla_met=False, rating=1)
    client = await city.client("dispatcher")
    with clock.at(NOON):
        answer = (await client.get("/analytics/agents")).json()
    first, second = answer["items"]
    assert first == {
        "agent_id": str(agent),
        "agent_code": "AG-1",
        "name": "Somebody",
        "department": "",
        "active": True,
        "open": 2,
        "in_progress": 1,
        "overdue": 1,
        "breached": 0,
        "assigned": 3,
        "resolved": 2,
        "avg_resolution_minutes": 120.0,
        "sla_met_pct": 50.0,
        "avg_rating": 3.5,
        "ratings": 2,
        "escalations": 2,
    }
    assert (second["open"], second["resolved"], second["avg_resolution_minutes"], second["sla_met_pct"]) == (
        0,
        0,
        None,
        None,
    )
    with clock.at(NOON):
        whole = (await client.get("/analytics/agents", params={"from": "2025-01-01"})).json()["items"][0]
    assert (whole["assigned"], whole["resolved"], whole["escalations"], whole["ratings"]) == (5, 3, 7, 3)


async def test_agents_are_paged_by_code(city: City) -> None:
    async with city.transaction() as tx:
        for number in range(7):
            await insert_agent(tx, f"AG-{number}")
    client = await city.client("admin")
    seen, cursor = [], None
    for _ in range(4):
        page = (
            await client.get("/analytics/agents", params={"limit": 2} | ({"cursor": cursor} if cursor else {}))
        ).json()
        seen += [item["agent_code"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert seen == [f"AG-{number}" for number in range(7)]
    assert cursor is None


async def test_a_desk_follows_work_done_over_http(city: City) -> None:
    admin = await city.client("admin")
    made = await create(admin)
    await walk_to(admin, made["request_id"], "resolved")
    item = next(item for item in (await admin.get("/analytics/agents")).json()["items"] if item["resolved"])
    assert (item["agent_code"], item["assigned"], item["open"]) == (f"AG-{made['request_id']}", 1, 0)


async def test_desks_are_for_those_who_lead(city: City, other_city: City) -> None:
    await add_agent(await city.client("admin"))
    for role in ("dispatcher", "supervisor", "admin"):
        assert len((await (await city.client(role)).get("/analytics/agents")).json()["items"]) == 1
    assert (await (await other_city.client("admin")).get("/analytics/agents")).json()["items"] == []
    for role in ("citizen", "agent"):
        problem(await (await city.client(role)).get("/analytics/agents"), 403)
    problem(await (await city.client()).get("/analytics/agents"), 401)


async def test_pages_cost_the_same_whatever_the_number_of_agents(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    admin = await city.client("admin")
    counts: list[int] = []
    rows = Tx.rows

    async def counted(self: Tx, *args: Any) -> Any:
        counts[-1] += 1
        return await rows(self, *args)

    for size in (1, 20):
        async with city.transaction() as tx:
            for number in range(size):
                await insert_agent(tx, f"AG-{size}-{number}")
        with monkeypatch.context() as patch:
            patch.setattr(Tx, "rows", counted)
            counts.append(0)
            assert (await admin.get("/analytics/agents")).status_code == 200
    assert counts == [1, 1]


@pytest.mark.parametrize("params", [{"limit": 0}, {"limit": 501}, {"cursor": "nonsense"}, {"from": "soon"}])
async def test_bad_agent_parameters_are_refused(city: City, params: dict[str, Any]) -> None:
    problem(await (await city.client("admin")).get("/analytics/agents", params=params), 422)


def test_the_week_of_the_tests_is_the_one_they_think() -> None:
    assert (NOON.isocalendar().week, NOON.isocalendar().weekday) == (11, 7)
    assert (NOON - 60 * DAY).isocalendar().week == 3
    assert timedelta(days=1) == DAY
