"""Performance scores over HTTP (R-KPI-05): right, in step with the KPIs, ranked, with a trend."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from builders import create, walk_to
from explaining import Explaining, fill
from fastapi import FastAPI
from insight_support import DAY, HOUR, add_row
from pipeline_support import small, ticket, upload
from tests_support import problem
from typer.testing import CliRunner

from civicpulse.base import clock, due
from civicpulse.base.db import Tx
from civicpulse.base.logins import application_url
from civicpulse.cli.main import app as cli
from civicpulse.insight.actions import fold_kpis
from civicpulse.insight.jobs import scores_timer
from civicpulse.insight.scores import score_queries
from civicpulse.insight.scores import scores as scoring
from civicpulse.rules.scoring import Figures, Weights, score, speed_of
from conftest import City, make_city

NOW = datetime(2026, 3, 15, 12, 30, tzinfo=UTC)
ZONE = "INSERT INTO zones (tenant_id, zone_id, name, geometry) VALUES (%s, %s, %s, '{}')"


async def add_zones(tx: Tx, *codes: str) -> None:
    for code in codes:
        await tx.run(ZONE, [tx.tenant_id, code, f"Zone {code}"])


async def resolve(
    tx: Tx, zone: str, *, took: float, target: float | None = 24, ago: timedelta = DAY, **more: Any
) -> None:
    """A resolved request of that zone: resolved so long ago, after so many hours, with that target."""
    done = clock.now() - ago
    at = done - took * HOUR
    columns: dict[str, Any] = {
        "status": "resolved",
        "zone_id": zone,
        "resolved_at": done,
        "sla_state": "completed" if target else "no_sla",
        "sla_due_at": at + target * HOUR if target else None,
        "sla_met": took <= target if target else None,
    }
    await add_row(tx, at=at, **(columns | more))


async def compute(city: City, at: datetime = NOW) -> int:
    with clock.at(at):
        async with city.transaction() as tx:
            return await scoring.compute_scores(tx)


async def listed(city: City, query: str = "", role: str | None = "admin") -> dict[str | None, dict[str, Any]]:
    answer = await (await city.client(role)).get(f"/scores{query}")
    assert answer.status_code == 200, answer.text
    return {item["zone_id"]: item for item in answer.json()["items"]}


async def board(city: City, query: str = "", role: str | None = "admin") -> list[dict[str, Any]]:
    answer = await (await city.client(role)).get(f"/scores/leaderboard{query}")
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def test_a_score_is_compliance_and_speed_by_the_packs_weights(city: City) -> None:
    with clock.at(NOW):
        async with city.transaction() as tx:
            await add_zones(tx, "Z1", "Z2", "Z3")
            await resolve(tx, "Z1", took=6)
            await resolve(tx, "Z1", took=12)
            await resolve(tx, "Z1", took=48)
            await resolve(tx, "Z2", took=0)
            await resolve(tx, "Z2", took=5, target=None)
            await add_row(tx, at=NOW - HOUR, zone_id="Z3")
    assert await compute(city) == 8
    found = await listed(city)
    assert list(found) == [None, "Z1", "Z2", "Z3"]
    first = found["Z1"]
    assert first["score"] == pytest.approx(100 * (0.7 * 2 / 3 + 0.3 * (0.75 + 0.5 + 0) / 3), abs=0.01)
    assert (first["compliance_rate"], first["avg_resolution_hours"], first["speed"]) == (66.67, 22, 0.4167)
    assert (first["resolved_count"], first["met_count"], first["missed_count"], first["open_count"]) == (3, 2, 1, 0)
    assert (first["name"], first["window_days"], first["note"]) == ("Zone Z1", 30, None)
    assert (found["Z2"]["score"], found["Z2"]["resolved_count"], found["Z2"]["met_count"]) == (100, 2, 1)
    assert (found["Z3"]["score"], found["Z3"]["open_count"]) == (None, 1)
    assert found["Z3"]["note"] == "No score: nothing was resolved in the last 30 days."
    whole = found[None]
    assert (whole["resolved_count"], whole["open_count"], whole["closed_count"]) == (5, 1, 5)
    assert whole["score"] == pytest.approx(100 * (0.7 * 3 / 4 + 0.3 * 2.25 / 4), abs=0.01)
    assert whole["weights"] == {"compliance": 0.7, "speed": 0.3}


async def test_other_weights_make_another_score(city: City) -> None:
    with clock.at(NOW):
        async with city.transaction() as tx:
            await resolve(tx, "Z1", took=12)
            await resolve(tx, "Z1", took=48)
    admin = await city.client("admin")
    for compliance, expected in ((1, 50), (0, 25), (0.5, 37.5)):
        weights = {"compliance": compliance, "speed": 1 - compliance}
        assert (await admin.patch(f"/tenants/{city.tenant.slug}/config", json={"weights": weights})).status_code == 200
        with clock.at(NOW):
            answer = await admin.post("/scores/recalculate")
        assert answer.json()["tenant"]["score"] == expected
        assert answer.json()["tenant"]["weights"] == weights


async def test_what_was_promised_nothing_has_no_score(city: City) -> None:
    with clock.at(NOW):
        async with city.transaction() as tx:
            await resolve(tx, "Z1", took=5, target=None)
    await compute(city)
    found = (await listed(city))["Z1"]
    assert (found["score"], found["resolved_count"], found["avg_resolution_hours"]) == (None, 1, 5)
    assert found["note"] == "No score: what was resolved had been promised nothing."


async def test_only_masters_resolved_in_the_last_thirty_days_count(city: City) -> None:
    with clock.at(NOW):
        async with city.transaction() as tx:
            master = await add_row(tx, at=NOW - DAY, zone_id="Z1")
            await resolve(tx, "Z1", took=1, master_id=master)
            await resolve(tx, "Z1", took=1, ago=30 * DAY + timedelta(seconds=1))
            await resolve(tx, "Z1", took=1, ago=-HOUR)
            await resolve(tx, "Z1", took=1, status="in_progress")
            assert await scoring.compute_scores(tx) > 0
    found = (await listed(city))["Z1"]
    assert (found["resolved_count"], found["score"]) == (0, None)
    assert (found["open_count"], found["closed_count"]) == (2, 2)
    with clock.at(NOW):
        async with city.transaction() as tx:
            await resolve(tx, "Z1", took=1, ago=30 * DAY)
    await compute(city)
    assert (await listed(city))["Z1"]["resolved_count"] == 1


@pytest.mark.parametrize("seed", [1, 2])
async def test_scores_agree_with_the_rule_and_with_the_kpis(city: City, seed: int) -> None:
    """Of requests that all came in the last 30 days the KPIs of that period speak of the same requests."""
    dice = random.Random(seed)
    by_zone: dict[Any, Any] = {}
    since = NOW - 30 * DAY
    with clock.at(NOW):
        async with city.transaction() as tx:
            for number in range(150):
                zone = dice.choice(["Z1", "Z2", "UNZONED"])
                took, target = dice.uniform(0, 300), dice.choice([8, 24, 72, 240])
                ago = timedelta(hours=dice.uniform(0, 29 * 24 - took))
                if dice.random() < 0.2:
                    await add_row(tx, at=NOW - ago, zone_id=zone)
                    continue
                is_public = dice.random() < 0.7
                status = dice.choice(["resolved", "closed"])
                await resolve(tx, zone, took=took, target=target, ago=ago, status=status, is_public=is_public)
                one = Figures(1, took <= target, took > target, took, speed_of(took, target), 1)
                for audience in {False, is_public}:
                    for place in (zone, None):
                        key = audience, place
                        by_zone[key] = by_zone.get(key, Figures()) + one
                if number == 70:
                    await fold_kpis(tx)
    await compute(city)
    for role, public_only in (("admin", False), (None, True)):
        found = await listed(city, role=role)
        kpis = await (await city.client(role)).get("/analytics/kpis", params={"from": since.isoformat()})
        answer = kpis.json()
        zones = {row["zone_id"]: row for row in answer["by_zone"]}
        for place, item in found.items():
            figures = by_zone[public_only, place]
            assert item["score"] == pytest.approx(score(figures.compliance, figures.speed, Weights()), abs=0.011)
            assert item["speed"] == pytest.approx(figures.speed, abs=0.0001)
            if place is not None:
                same = zones[place]
                assert item["resolved_count"] == same["resolved"]
                assert (item["met_count"], item["missed_count"]) == (same["sla_met"], same["sla_missed"])
                assert (item["open_count"], item["closed_count"]) == (
                    same["backlog"],
                    same["masters"] - same["backlog"],
                )
                assert item["avg_resolution_hours"] * 60 == pytest.approx(same["avg_resolution_minutes"], abs=0.4)
        whole, totals = found[None], answer["totals"]
        assert whole["compliance_rate"] == totals["sla"]["met_pct"]
        assert (whole["open_count"], whole["resolved_count"]) == (totals["backlog"], totals["resolution"]["count"])


async def test_scores_follow_requests_resolved_over_http(city: City) -> None:
    admin = await city.client("admin")
    made = await create(admin)
    await walk_to(admin, made["request_id"], "resolved")
    await create(admin, lat=41.5)
    own = (await admin.post("/scores/recalculate")).json()["tenant"]
    assert own["score"] == pytest.approx(100, abs=0.1)
    assert (own["resolved_count"], own["open_count"], own["closed_count"]) == (1, 1, 1)
    sla = (await admin.get("/analytics/kpis")).json()["totals"]["sla"]
    assert own["compliance_rate"] == sla["met_pct"] == 100


async def test_the_public_sees_scores_of_public_requests_only(city: City) -> None:
    with clock.at(NOW):
        async with city.transaction() as tx:
            await resolve(tx, "Z1", took=6)
            await resolve(tx, "Z1", took=48, is_public=False)
            await resolve(tx, "Z9", took=1, is_public=False)
    await compute(city)
    for role in (None, "citizen"):
        found = await listed(city, role=role)
        assert set(found) == {None, "Z1"}
        assert found[None]["resolved_count"] == found["Z1"]["met_count"] == 1
        assert [row["zone_id"] for row in await board(city, role=role)] == ["Z1"]
    for role in ("agent", "dispatcher", "supervisor", "admin"):
        assert (await listed(city, role=role))[None]["resolved_count"] == 3


async def test_only_admins_recalculate(city: City) -> None:
    for role in (None, "citizen", "agent", "dispatcher", "supervisor"):
        problem(await (await city.client(role)).post("/scores/recalculate"), 401 if role is None else 403)
    answer = await (await city.client("admin")).post("/scores/recalculate")
    assert (answer.status_code, answer.json()["written"]) == (200, 2)
    assert answer.json()["tenant"]["score"] is None


async def test_another_tenant_sees_nothing_of_it(city: City, other_city: City) -> None:
    with clock.at(NOW):
        async with city.transaction() as tx:
            await resolve(tx, "Z1", took=6)
    await compute(city)
    foreign = await other_city.client("admin", **{"X-Tenant": city.tenant.slug})
    answer = (await foreign.get("/scores")).json()
    assert answer["items"] == []
    assert answer["computed"]["note"].startswith("No scores yet")
    assert (await foreign.get("/scores/leaderboard")).json()["items"] == []


async def test_one_row_an_hour_and_the_later_computation_stays(city: City) -> None:
    async with city.transaction() as tx:
        with clock.at(NOW):
            await resolve(tx, "Z1", took=6)
    await compute(city)
    async with city.transaction() as tx:
        with clock.at(NOW):
            await resolve(tx, "Z1", took=60)
    await compute(city, NOW + timedelta(minutes=20))
    await compute(city, NOW + timedelta(minutes=10))
    async with city.transaction() as tx:
        rows = await tx.rows(
            "SELECT hour, resolved_count, calculated_at FROM performance_scores WHERE zone_id = 'Z1' AND NOT public_only"
        )
    assert [(row["hour"], row["resolved_count"]) for row in rows] == [(datetime(2026, 3, 15, 12, tzinfo=UTC), 2)]
    assert rows[0]["calculated_at"] == NOW + timedelta(minutes=20)


async def test_the_hourly_job_computes_a_tenants_scores(city: City) -> None:
    async with city.transaction() as tx:
        await due.mark(tx, "scores", at=clock.wall())
    line = scores_timer(city.services)
    for _ in range(2):
        await line.work(city.tenant)
    async with city.transaction() as tx:
        assert await tx.value("SELECT count(*) FROM performance_scores") == 2


async def test_a_trend_compares_with_a_day_and_a_month_before(city: City) -> None:
    for days, took in ((31, 18), (30, 24), (1, 12), (0, 6)):
        at = NOW - days * DAY
        with clock.at(at):
            async with city.transaction() as tx:
                await tx.run("UPDATE requests SET resolved_at = NULL, state_category = 'open', status = 'new'")
                await resolve(tx, "Z1", took=took, ago=timedelta())
        await compute(city, at)
    found = (await listed(city))["Z1"]
    assert found["score"] == 70 + 30 * 0.75
    assert found["trend"] == {
        "24h": {"before": 85.0, "change": 7.5, "direction": "up"},
        "30d": {"before": 70.0, "change": 22.5, "direction": "up"},
    }
    await compute(city, NOW + 5 * DAY)
    late = (await listed(city))["Z1"]["trend"]
    assert late["24h"] == {"before": None, "change": None, "direction": None}


async def test_history_is_listed_by_hour_in_pages(city: City) -> None:
    for hour in range(6):
        await compute(city, NOW + hour * HOUR)
    admin = await city.client("admin")
    params: dict[str, Any] = {
        "from": NOW.isoformat(),
        "to": (NOW + 5 * HOUR).isoformat(),
        "limit": 2,
        "level": "tenant",
    }
    hours, cursor = [], ""
    while cursor is not None:
        answer = (await admin.get("/scores", params=params | ({"cursor": cursor} if cursor else {}))).json()
        hours += [item["hour"] for item in answer["items"]]
        cursor = answer["next_cursor"]
    assert hours == [f"2026-03-15T{hour}:00:00Z" for hour in (17, 16, 15, 14, 13)]
    assert answer["computed"]["history"] is True
    assert len((await admin.get("/scores")).json()["items"]) == 1


async def test_a_day_of_scores_and_metrics_is_the_citys(city: City) -> None:
    for hour in (3, 4, 27, 28):
        await compute(city, NOW.replace(hour=0) + hour * HOUR)
    admin = await city.client("admin")
    day = {"from": "2026-03-15", "to": "2026-03-16", "level": "tenant"}
    answer = (await admin.get("/scores", params=day)).json()
    assert [item["hour"] for item in answer["items"]] == ["2026-03-16T03:00:00Z", "2026-03-15T04:00:00Z"]
    metrics = (await admin.get("/sla-metrics", params={"from": "2026-03-15", "to": "2026-03-16"})).json()
    assert answer["computed"]["time_zone"] == metrics["computed"]["time_zone"] == "America/New_York"


async def test_older_than_forty_days_one_row_a_day_stays(city: City) -> None:
    async with city.transaction() as tx:
        await add_zones(tx, "Z1")
    for hour in range(0, 48, 6):
        await compute(city, NOW + hour * HOUR)
    await compute(city, NOW + 45 * DAY)
    async with city.transaction() as tx:
        rows = await tx.rows(
            "SELECT hour FROM performance_scores WHERE zone_id = 'Z1' AND NOT public_only ORDER BY hour"
        )
    assert [row["hour"].isoformat()[:13] for row in rows] == [
        "2026-03-16T00", "2026-03-17T00", "2026-03-17T06", "2026-04-29T12",  # the city's days end at 04:00
    ]  # fmt: skip


async def test_zones_are_ranked_with_ties_and_the_unscored_last(city: City) -> None:
    async with city.transaction() as tx:
        await add_zones(tx, "A", "B", "C", "D", "E")
        with clock.at(NOW - DAY):
            await resolve(tx, "A", took=0, ago=timedelta())
            await resolve(tx, "B", took=30, ago=timedelta())
    await compute(city, NOW - DAY)
    async with city.transaction() as tx:
        with clock.at(NOW):
            await resolve(tx, "A", took=48)
            await resolve(tx, "A", took=48)
            await resolve(tx, "C", took=6)
            await resolve(tx, "D", took=6)
    await compute(city)
    ranked = await board(city)
    assert [(row["rank"], row["zone_id"], row["rank_change"]) for row in ranked] == [
        (1, "C", None),
        (1, "D", None),
        (3, "A", -2),
        (4, "B", -2),
        (None, "E", None),
    ]
    assert ranked[2]["trend"]["direction"] == "down"
    assert ranked[3]["trend"] == {"before": 0.0, "change": 0.0, "direction": "flat"}
    assert (ranked[0]["name"], ranked[0]["compliance_rate"], ranked[0]["avg_resolution_hours"]) == ("Zone C", 100, 6)
    first = (await (await city.client()).get("/scores/leaderboard?limit=3")).json()
    rest = (await (await city.client()).get(f"/scores/leaderboard?limit=3&cursor={first['next_cursor']}")).json()
    assert [row["zone_id"] for row in first["items"] + rest["items"]] == ["C", "D", "A", "B", "E"]
    problem(await (await city.client()).get(f"/scores/leaderboard?scope=tenants&cursor={first['next_cursor']}"), 422)


async def test_only_tenants_that_chose_to_are_compared(city: City, app: FastAPI, database_url: str) -> None:
    open_city = await make_city(app, database_url, score={"public": True})
    with clock.at(NOW):
        for home in (city, open_city):
            async with home.transaction() as tx:
                await resolve(tx, "Z1", took=6)
                await resolve(tx, "Z1", took=50, is_public=False)
            await compute(home)
    for role in (None, "admin"):
        found = {row["slug"]: row for row in await board(city, "?scope=tenants", role)}
        assert city.tenant.slug not in found
        row = found[open_city.tenant.slug]
        assert row["score"] == 70 + 30 * 0.75
        assert row.keys() == {
            "rank", "rank_change", "slug", "name", "type", "score", "compliance_rate", "speed", "avg_resolution_hours",
            "resolved_count", "open_count", "trend", "calculated_at",
        }  # fmt: skip
    admin = await city.client("admin")
    await admin.patch(f"/tenants/{city.tenant.slug}/config", json={"score": {"public": True}})
    assert city.tenant.slug in {row["slug"] for row in await board(open_city, "?scope=tenants", None)}
    await admin.post(f"/tenants/{city.tenant.slug}/config/rollback", json={"version": 1})
    assert city.tenant.slug not in {row["slug"] for row in await board(open_city, "?scope=tenants", None)}


async def test_a_tenant_without_a_score_yet_stands_unranked(app: FastAPI, database_url: str) -> None:
    new = await make_city(app, database_url, score={"public": True})
    row = {row["slug"]: row for row in await board(new, "?scope=tenants", None)}[new.tenant.slug]
    assert [row[name] for name in ("rank", "score", "resolved_count", "open_count", "calculated_at")] == [None] * 5


@pytest.mark.parametrize(
    "query", ["level=planet", "zone=Z1&level=tenant", "from=2026-03-02&to=2026-03-01", "limit=0", "cursor=x", "from=1"]
)
async def test_bad_parameters_are_refused(city: City, query: str) -> None:
    problem(await (await city.client()).get(f"/scores?{query}"), 422)


async def test_statements_do_not_grow_with_zones(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    counts: list[int] = []

    def counting(name: str) -> None:
        method = getattr(Tx, name)

        async def counted(self: Tx, *args: Any) -> Any:
            counts[-1] += 1
            return await method(self, *args)

        monkeypatch.setattr(Tx, name, counted)

    await compute(city)
    await listed(city)  # now the pack and its roles are known
    for name in ("rows", "row", "value", "run"):
        counting(name)
    for zones in (["A"], ["B", "C", "D", "E", "F"]):
        async with city.transaction() as tx:
            counts.append(0)
            await add_zones(tx, *zones)
        for work in (compute(city), listed(city), board(city)):
            counts.append(0)
            await work
    assert counts[1:4] == counts[5:8]
    assert max(counts[1:4]) <= 7


def test_the_command_computes_and_tells(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CIVICPULSE_DATABASE_URL", application_url(database_url))
    with psycopg.connect(database_url, autocommit=True) as owner:
        (slug,) = owner.execute("SELECT slug FROM tenants LIMIT 1").fetchone() or ("",)
    told = CliRunner().invoke(cli, ["scores", "compute", "--tenant", slug])
    assert told.exit_code == 0, told.output
    assert told.stdout.startswith(f"{slug}: ")
    assert "resolutions measured" in told.output
    assert CliRunner().invoke(cli, ["scores", "compute", "--tenant", "no-such-tenant"]).exit_code == 2


MANY = """
INSERT INTO requests (tenant_id, id, number, pack_version, category, description, status, state_category, priority, priority_score,
    zone_id, created_at, resolved_at, updated_at)
SELECT %s, gen_random_uuid(), 'M-' || n, 1, 'pothole', 'x', 'closed', 'closed', 'P3', 5, 'Z' || n %% 20, at, at + interval '1 day', at
FROM generate_series(1, 4000) n CROSS JOIN LATERAL (SELECT %s - n * interval '4 hours' AS at) t
"""


async def test_the_window_is_read_by_its_index(lone_city: City, own_database_url: str) -> None:
    await fill(own_database_url, MANY, [lone_city.tenant.tenant_id, NOW], "requests")
    async with lone_city.transaction() as tx:
        explaining = Explaining(tx)
        await score_queries.resolved_by_zone(explaining, since=NOW - 30 * DAY, until=NOW)
    assert "requests_resolved" in explaining.plans[0], explaining.plans


async def test_offices_and_managers_are_ranked_for_staff(app: FastAPI, database_url: str) -> None:
    """A contact centre has no zones: its desks are compared (R-KPI-20)."""
    centre = await make_city(app, database_url, pack="contact_centre")
    client = await centre.client("dispatcher")
    with clock.at(NOW - timedelta(days=2)):
        rows = [ticket(f"g-{n}", town=town) for n, town in enumerate(("Тараз", "Тараз", "Алматы"))]
        tickets = (await upload(client, small(*rows)))["tickets"]
    for number, days in ((0, 0.1), (2, 2)):  # one soon, one late
        with clock.at(NOW - timedelta(days=2) + timedelta(days=days)):
            moved = await client.patch(f"/requests/{tickets[number]['request_id']}/transition", json={"to": "resolved"})
            assert moved.status_code == 200, moved.text
    with clock.at(NOW):
        offices = (await client.get("/scores/leaderboard?scope=offices")).json()
        managers = (await client.get("/scores/leaderboard?scope=managers")).json()
    assert offices["scope"] == "offices"
    assert {item["name"]: (item["resolved_count"], item["open_count"]) for item in offices["items"]} == {
        "Тараз": (1, 1), "Алматы": (1, 0), "Астана": (0, 0),
    }  # fmt: skip
    first, second, third = offices["items"]
    assert [first["name"], first["rank"], second["rank"], third["name"], third["rank"]] == [
        "Тараз",
        1,
        2,
        "Астана",
        None,
    ]
    assert first["score"] > second["score"]
    assert managers["items"][0]["name"] == "Оспанов Ерлан"
    assert managers["items"][0]["office_id"] == first["office_id"]
    assert len(managers["items"]) == 4
    problem(await (await centre.client()).get("/scores/leaderboard?scope=managers"), 403)
