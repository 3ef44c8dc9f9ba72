"""The sample city: lived through the product's own actions, so its figures must hang together like real ones."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
import shapely
from audit_support import verified
from fastapi import FastAPI
from shapely.geometry import shape
from structlog.testing import capture_logs

from civicpulse.accounts.tokens import TokenBook
from civicpulse.base.db import Row
from civicpulse.base.services import Services
from civicpulse.base.tenancy import Tenant
from civicpulse.sample.build import build_sample
from civicpulse.sample.city import City
from civicpulse.sample.demand import Load, Sighting
from civicpulse.sample.loader import read_sample

UNTIL = datetime(2025, 6, 30, 12, 0, tzinfo=UTC)
SINCE = UNTIL - timedelta(days=90)
SCALE = 0.1
TOLD = read_sample("city")


@dataclass(frozen=True)
class Sample:
    """The built sample and ways to look into it."""

    services: Services
    tenant: Tenant
    answer: dict[str, Any]
    refusals: list[Any]

    async def rows(self, statement: str) -> list[Row]:
        async with self.services.db.transaction(self.tenant) as tx:
            return await tx.rows(statement)

    async def counts(self, statement: str) -> dict[str, int]:
        return {row["key"]: row["n"] for row in await self.rows(statement)}


async def built(app: FastAPI, *, scale: float) -> Sample:
    services: Services = app.state.services
    with capture_logs() as said:
        answer = await build_sample(services, "city", scale=scale, until=UNTIL)
    refusals = [line for line in said if line["event"] == "sample_step_refused"]
    tenant = await services.tenants.by_slug("harbour-city")
    assert tenant is not None
    return Sample(services, tenant, answer, refusals)


async def put_aside(database_url: str, sample: Sample) -> None:
    """Frees the slug for the next one."""
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as owner:
        await owner.execute(
            "UPDATE tenants SET slug = 'aside-' || right(tenant_id::text, 12) WHERE slug = %s", [sample.tenant.slug]
        )
    await sample.services.tenants.refresh()


@pytest.fixture(scope="module")
async def sample(app: FastAPI, database_url: str) -> Sample:
    made = await built(app, scale=SCALE)
    await put_aside(database_url, made)
    return made


def test_zones_share_their_borders_and_downtown_holds_the_point_of_the_specification() -> None:
    polygons = {zone.properties.zone_id: shape(zone.geometry) for zone in TOLD.zones.features}
    whole = shapely.union_all(list(polygons.values()))
    assert len(polygons) == 8
    assert polygons["ZONE-DT-01"].covers(shapely.Point(-74.0, 40.71))
    assert all(polygon.is_valid and len(polygon.exterior.coords) > 20 for polygon in polygons.values())
    assert whole.geom_type == "Polygon"
    assert not whole.interiors
    assert sum(polygon.area for polygon in polygons.values()) == pytest.approx(whole.area)


def test_the_load_is_the_same_for_a_seed_and_lies_within_its_period() -> None:
    def load(seed: int) -> list[Sighting]:
        city, rng = City(TOLD.plan, TOLD.zones, Random(seed)), Random(seed)
        return Load(TOLD.demand, TOLD.kinds, city, ZoneInfo("America/New_York"), rng).sightings(
            many=200, since=SINCE, until=UNTIL
        )

    made = [load(seed) for seed in (1, 1, 2)]
    assert made[0] == made[1] != made[2]
    assert all(SINCE <= seen.at <= UNTIL for seen in made[0])


async def test_every_state_is_there_with_a_backlog_of_every_kind(sample: Sample) -> None:
    masters = "FROM requests WHERE master_id IS NULL GROUP BY 1"
    states = await sample.counts(f"SELECT status AS key, count(*) AS n {masters}")
    clocks = await sample.counts(f"SELECT sla_state AS key, count(*) AS n {masters}")
    assert set(states) == {"new", "triaged", "assigned", "in_progress", "resolved", "closed"}
    assert set(clocks) == {"on_time", "at_risk", "overdue", "breached", "completed"}
    total = sum(states.values())
    backlog = total - states["resolved"] - states["closed"]
    assert 0.05 < backlog / total < 0.2


async def test_all_that_pages_show_is_there(sample: Sample) -> None:
    events = await sample.counts("SELECT type AS key, count(*) AS n FROM events GROUP BY 1")
    assert 290 <= events["request.opened"] <= 310
    happened = {
        "request.merged",
        "request.transitioned",
        "request.classified",
        "comment.added",
        "request.rated",
        "request.escalated",
        "request.assignment_failed",
    }
    assert happened <= events.keys()
    (figures,) = await sample.rows(
        "SELECT (SELECT count(*) FROM duplicate_links WHERE origin = 'intake') AS attached,"
        " (SELECT count(*) FROM duplicate_links WHERE origin = 'staff') AS merged,"
        " (SELECT count(*) FROM escalations) AS escalations, (SELECT count(*) FROM evidence) AS evidence,"
        " (SELECT count(*) FROM feedback WHERE dispute_flag) AS disputes,"
        " (SELECT count(*) FROM comments WHERE is_internal) AS internal,"
        " (SELECT count(*) FROM comments WHERE parent_id IS NOT NULL) AS threads,"
        " (SELECT count(DISTINCT category) FROM requests) AS categories,"
        " (SELECT count(DISTINCT zone_id) FROM requests) AS zones,"
        " (SELECT count(*) FROM requests WHERE NOT is_public) AS hidden,"
        " (SELECT count(*) FROM requests WHERE tags <> '{}') AS tagged,"
        " (SELECT count(*) FROM notifications) AS notifications"
    )
    assert {name: count for name, count in figures.items() if count < 1} == {}
    assert figures["categories"] >= 24
    assert figures["zones"] >= 8
    assert 0.1 < figures["attached"] / events["request.opened"] < 0.25


async def test_what_was_resolved_is_measured_and_scores_have_something_to_be_compared_with(sample: Sample) -> None:
    (figures,) = await sample.rows(
        "SELECT (SELECT count(*) FROM sla_unmeasured) AS waiting, (SELECT count(*) FROM sla_metrics WHERE superseded_at IS NULL)"
        " - (SELECT count(*) FROM requests WHERE resolved_at IS NOT NULL AND master_id IS NULL) AS unmeasured,"
        " (SELECT count(DISTINCT hour) FROM performance_scores) AS hours,"
        " (SELECT score FROM performance_scores WHERE zone_id = '' AND NOT public_only ORDER BY hour DESC LIMIT 1) AS score"
    )
    assert (figures["waiting"], figures["unmeasured"], figures["hours"]) == (0, 0, 3)
    assert 30 < figures["score"] < 100


async def test_the_product_refuses_nothing_that_the_city_does(sample: Sample) -> None:
    assert sample.refusals == []


async def test_the_trail_is_whole(sample: Sample) -> None:
    found = await verified(sample.services, sample.tenant)
    assert (found.faults, found.events > 2000, found.unvouched) == ({}, True, 0)


async def test_time_runs_forward_and_ends_now(sample: Sample) -> None:
    assert await sample.rows(f"SELECT type, at FROM events WHERE at > '{UNTIL.isoformat()}'") == []
    backwards = (
        "SELECT subject_id FROM (SELECT subject_id, at < lag(at) OVER (PARTITION BY subject_id ORDER BY seq) AS back"
        " FROM events) e WHERE back"
    )
    assert await sample.rows(backwards) == []
    disordered = (
        "SELECT number FROM requests WHERE master_id IS NULL AND (created_at > triaged_at OR triaged_at > assigned_at"
        " OR assigned_at > in_progress_at OR in_progress_at > resolved_at OR coalesce(resolved_at, triaged_at) > closed_at)"
    )
    assert await sample.rows(disordered) == []


async def test_escalations_fired_soon_after_they_fell_due(sample: Sample) -> None:
    """But for those of clocks that began late: unmerged, reopened, or given a shorter target in triage."""
    (fired,) = await sample.rows(
        "SELECT count(*) AS steps, count(*) FILTER (WHERE fired_at < due_at) AS early,"
        " count(*) FILTER (WHERE fired_at > due_at + interval '3 hours') AS late FROM escalations"
    )
    assert fired["steps"] > 100
    assert fired["early"] == 0
    assert fired["late"] < 0.05 * fired["steps"]


async def test_nothing_is_left_for_the_worker_to_send(sample: Sample) -> None:
    (left,) = await sample.rows(
        "SELECT (SELECT count(*) FROM outbox) AS outbox, (SELECT count(*) FROM notifications WHERE channel <> 'inapp') AS mails,"
        f" (SELECT count(*) FROM requests WHERE next_sla_at <= '{(UNTIL - timedelta(hours=3)).isoformat()}') AS due"
    )
    assert left == {"outbox": 0, "mails": 0, "due": 0}


async def test_the_log_ins_work_for_each_role(sample: Sample) -> None:
    book = TokenBook(sample.services.db)
    owners = {login["role"]: await book.owner(login["token"]) for login in sample.answer["tokens"]}
    assert set(owners) == {"admin", "supervisor", "dispatcher", "agent", "citizen"}
    assert all(owner and owner.role == role and owner.actor_id for role, owner in owners.items())
    agent, citizen = owners["agent"], owners["citizen"]
    assert agent
    assert citizen
    (seen,) = await sample.rows(
        f"SELECT (SELECT count(*) FROM requests WHERE assigned_agent_id = '{agent.actor_id}') AS work,"
        f" (SELECT count(*) FROM citizens WHERE id = '{citizen.actor_id}') AS profile"
    )
    assert seen["work"] > 0
    assert seen["profile"] == 1


async def test_the_same_seed_makes_the_same_city(app: FastAPI, database_url: str) -> None:
    figures = []
    for _ in range(2):
        made = await built(app, scale=0.02)
        await put_aside(database_url, made)
        figures.append(await made.counts("SELECT type AS key, count(*) AS n FROM events GROUP BY 1"))
        figures[-1] |= await made.counts("SELECT number || status AS key, escalation_count AS n FROM requests")
    assert figures[0] == figures[1]
