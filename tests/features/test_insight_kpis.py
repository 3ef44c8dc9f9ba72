"""Key figures over HTTP (R-KPI-01): exact after any change, at any moment of a fold, for every kind of caller."""

import asyncio
import random
import statistics
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from builders import create, move, walk_to
from insight_support import DAY, HOUR, NOON, add_row, change_row, random_columns
from tests_support import problem

from civicpulse.base import clock, due
from civicpulse.base.db import Row, Tx
from civicpulse.base.turns import work_off
from civicpulse.insight.actions import fold_kpis
from civicpulse.insight.jobs import KPIS, kpis_line
from civicpulse.insight.kpis.ledger import spans
from civicpulse.insight.kpis.measures import BOUNDS, MS_PER_MINUTE, middle_of
from civicpulse.insight.reactions import follow_time_zone
from civicpulse.insight.schemas import Period
from conftest import City

BRUTE = """
SELECT count(*) AS requests, count(*) FILTER (WHERE m) AS masters, count(*) FILTER (WHERE NOT m) AS duplicates,
       count(*) FILTER (WHERE m AND o) AS backlog, count(*) FILTER (WHERE d) AS resolved,
       round((sum(trunc(extract(epoch FROM resolved_at - created_at) * 1000)) FILTER (WHERE d))
             / nullif(count(*) FILTER (WHERE d), 0) / 60000, 2)::float8 AS avg_resolution_minutes,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM resolved_at - created_at)::float8 / 60)
           FILTER (WHERE d) AS median,
       count(*) FILTER (WHERE d AND sla_met) AS sla_met, count(*) FILTER (WHERE d AND NOT sla_met) AS sla_missed,
       count(*) FILTER (WHERE m AND o AND sla_state = 'at_risk') AS at_risk, count(*) FILTER (WHERE m AND o AND sla_state = 'overdue') AS overdue,
       count(*) FILTER (WHERE m AND o AND sla_state = 'breached') AS breached,
       count(*) FILTER (WHERE m AND (o OR d) AND sla_state <> 'no_sla') AS with_sla,
       count(rating) AS ratings, round(avg(rating), 3)::float8 AS avg_rating, coalesce(sum(disputes), 0)::int AS disputes,
       coalesce(sum(escalation_count), 0)::int AS escalations
FROM (SELECT *, master_id IS NULL AS m, state_category IN ('open', 'waiting') AS o,
             master_id IS NULL AND state_category IN ('resolved', 'closed') AND resolved_at >= created_at AS d FROM requests) r
"""
COMPACT = (
    *(
        "requests",
        "masters",
        "duplicates",
        "backlog",
        "resolved",
        "sla_met",
        "sla_missed",
        "at_risk",
        "overdue",
        "breached",
    ),
    *("ratings", "avg_rating", "disputes", "escalations"),
)


async def brute(tx: Tx, where: str = "true", **values: Any) -> Row:
    found = await tx.row(f"{BRUTE} WHERE {where}", values)
    assert found is not None
    return found


def flat(totals: dict[str, Any]) -> dict[str, Any]:
    """The totals under the names of a breakdown."""
    sla, ratings = totals["sla"], totals["ratings"]
    return {
        **{name: totals[name] for name in ("requests", "masters", "duplicates", "backlog", "escalations")},
        "resolved": totals["resolution"]["count"],
        "sla_met": sla["met"],
        "sla_missed": sla["missed"],
        **{name: sla[name] for name in ("at_risk", "overdue", "breached")},
        "ratings": ratings["count"],
        "avg_rating": ratings["average"],
        "disputes": ratings["disputes"],
    }


def assert_same(figures: dict[str, Any], counted: Row) -> None:
    assert {name: figures[name] for name in COMPACT} == pytest.approx(
        {name: counted[name] for name in COMPACT}, abs=0.0011
    )


async def assert_exact(city: City, answer: dict[str, Any], where: str = "true", **values: Any) -> None:
    async with city.transaction() as tx:
        counted = await brute(tx, where, **values)
        assert_same(flat(answer["totals"]), counted)
        resolution, sla = answer["totals"]["resolution"], answer["totals"]["sla"]
        assert resolution["avg_minutes"] == pytest.approx(counted["avg_resolution_minutes"], abs=0.02)
        assert resolution["median_minutes"] == pytest.approx(counted["median"], abs=0.006)
        assert sla["with_sla"] == counted["with_sla"]
        past = counted["sla_missed"] + counted["overdue"] + counted["breached"]
        expected = round(100 * past / counted["with_sla"], 2) if counted["with_sla"] else None
        assert sla["breach_pct"] == expected
        states = await tx.rows(
            f"SELECT status, count(*) AS n FROM requests WHERE master_id IS NULL AND state_category IN ('open', 'waiting') "
            f"AND {where} GROUP BY 1",
            values,
        )
        assert answer["totals"]["by_state"] == {row["status"]: row["n"] for row in states}
        for group, column in (("zone", "zone_id"), ("category", "category"), ("priority", "priority")):
            keys = await tx.rows(f"SELECT DISTINCT {column} AS key FROM requests WHERE {where}", values)
            assert {row[column] for row in answer[f"by_{group}"]} == {row["key"] for row in keys}
            for row in answer[f"by_{group}"]:
                assert_same(row, await brute(tx, f"({where}) AND {column} = %(key)s", key=row[column], **values))
        grain, zone = answer["computed"]["grain"], answer["computed"]["time_zone"]
        for row in answer["by_period"]:
            inside = f"({where}) AND date_trunc('{grain}', created_at AT TIME ZONE '{zone}')::date = %(start)s"
            assert_same(row, await brute(tx, inside, start=date.fromisoformat(row["start"]), **values))
        assert sum(row["requests"] for row in answer["by_period"]) == counted["requests"]


@pytest.mark.parametrize("seed", range(3))
async def test_figures_equal_a_recount_after_random_changes_and_folds(city: City, seed: int) -> None:
    dice = random.Random(seed)
    admin = await city.client("admin")
    rows: list[UUID] = []
    masters: list[UUID] = []
    for step in range(6):
        async with city.transaction() as tx:
            for _ in range(25):
                columns = random_columns(dice, masters)
                rows.append(await add_row(tx, at=columns.pop("created_at"), **columns))
                if columns["master_id"] is None:
                    masters.append(rows[-1])
            for row in dice.sample(rows, 12):
                changed = random_columns(dice, [])
                names = dice.sample(sorted(changed.keys()), dice.randrange(1, len(changed)))
                await change_row(tx, row, **{name: changed[name] for name in names})
        if step % 2:
            async with city.transaction() as tx:
                assert await fold_kpis(tx, limit=dice.choice([7, 20, 10_000])) > 0
        answer = (await admin.get("/analytics/kpis", params={"period": dice.choice(["day", "week", "month"])})).json()
        await assert_exact(city, answer)


async def filled(city: City, count: int = 200, *, folded: bool = True) -> None:
    dice = random.Random(5)
    async with city.transaction() as tx:
        for _ in range(count):
            columns = random_columns(dice, [])
            await add_row(tx, at=columns.pop("created_at"), **columns)
        if folded:
            while await fold_kpis(tx, limit=150) == 150:
                pass


@pytest.mark.parametrize("folded", [True, False])
async def test_filters_narrow_every_figure(city: City, folded: bool) -> None:
    await filled(city, folded=folded)
    admin = await city.client("admin")
    for params, where in (
        ({"zone": "Z1"}, "zone_id = 'Z1'"),
        ({"zone": "Z1,Z2"}, "zone_id IN ('Z1', 'Z2')"),
        ({"category": ["noise", "trash"]}, "category IN ('noise', 'trash')"),
        ({"priority": "P1"}, "priority = 'P1'"),
        ({"zone": "Z2", "category": "noise", "period": "week"}, "zone_id = 'Z2' AND category = 'noise'"),
        (
            {"zone": "Z2", "category": "noise", "priority": "P1,P4"},
            "zone_id = 'Z2' AND category = 'noise' AND priority IN ('P1', 'P4')",
        ),
        ({"zone": "UNZONED"}, "zone_id = 'UNZONED'"),
    ):
        await assert_exact(city, (await admin.get("/analytics/kpis", params=params)).json(), where)


@pytest.mark.parametrize("folded", [True, False])
async def test_a_period_may_start_and_end_at_any_instant(city: City, folded: bool) -> None:
    await filled(city, folded=folded)
    admin = await city.client("admin")
    instants = [
        (NOON - 80 * DAY, NOON - 3 * DAY),
        (NOON - 80 * DAY + 5 * HOUR, NOON - 40 * DAY + timedelta(minutes=7)),
        (NOON - 2 * HOUR, NOON + HOUR),
        (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)),
        (datetime(2026, 1, 10, tzinfo=UTC), datetime(2026, 1, 10, tzinfo=UTC)),
        (datetime(2026, 1, 10, 7, tzinfo=UTC), datetime(2026, 1, 10, 19, 30, tzinfo=UTC)),
        (datetime(2026, 1, 10, 7, tzinfo=UTC), datetime(2026, 1, 11, 0, tzinfo=UTC)),
    ]
    for since, until in instants:
        for grain in ("day", "month"):
            params = {"from": since.isoformat(), "to": until.isoformat(), "period": grain}
            answer = (await admin.get("/analytics/kpis", params=params)).json()
            await assert_exact(city, answer, "created_at >= %(a)s AND created_at < %(b)s", a=since, b=until)
    answer = (await admin.get("/analytics/kpis", params={"from": "2026-02-10", "zone": "Z1"})).json()
    await assert_exact(city, answer, "created_at >= '2026-02-10T05:00Z' AND zone_id = 'Z1'")
    answer = (await admin.get("/analytics/kpis", params={"to": "2026-02-10T03:00:00+02:00"})).json()
    await assert_exact(city, answer, "created_at < '2026-02-10T01:00Z'")
    assert answer["computed"]["period"] == {"from": None, "to": "2026-02-10T01:00:00Z"}


def test_spans_cover_each_instant_once() -> None:
    dice = random.Random(1)
    base = datetime(2025, 11, 1, tzinfo=UTC)
    for _ in range(2000):
        ends = sorted(base + dice.choice([HOUR, DAY, timedelta(minutes=1)]) * dice.randrange(3000) for _ in range(2))
        got = spans(Period(ends[0], ends[1]))
        whole = [datetime(day.year, day.month, day.day, tzinfo=UTC) for day in got.edge_days]
        months = (got.last_month - got.first_month).days
        covered = sum((until - since for since, until in got.cut), timedelta()) + (len(whole) + months) * DAY
        assert covered == ends[1] - ends[0]
        assert len(set(whole)) == len(whole) <= 62
        assert all(until - since < DAY for since, until in got.cut)
        assert (got.last_day - got.first_day).days == len(whole) + months


async def test_a_fold_changes_no_figure_and_a_second_one_finds_nothing(city: City) -> None:
    await filled(city, 60, folded=False)
    admin = await city.client("admin")
    before = (await admin.get("/analytics/kpis")).json()
    async with city.transaction() as tx:
        assert await fold_kpis(tx) == 60
    async with city.transaction() as tx:
        assert await fold_kpis(tx) == 0
    after = (await admin.get("/analytics/kpis")).json()
    assert {**before, "computed": None} == {**after, "computed": None}


async def test_the_worker_folds_every_tenant(city: City, other_city: City) -> None:
    await filled(city, 10, folded=False)
    await filled(other_city, 5, folded=False)
    for home in (city, other_city):
        async with home.transaction() as tx:
            await due.cover(tx, [KPIS], now=clock.wall() - timedelta(seconds=5))
    await work_off(city.services.db, city.services.tenants, kpis_line(city.services))
    for home, count in ((city, 10), (other_city, 5)):
        async with home.transaction() as tx:
            assert await tx.value("SELECT count(*) FROM kpi_deltas") == 0
            assert await tx.value("SELECT sum(masters) FROM kpi_cells WHERE dims = 0 AND is_month") == count


async def test_only_one_transaction_folds_at_a_time(city: City) -> None:
    await filled(city, 10, folded=False)
    async with city.transaction() as first, city.transaction() as second:
        assert await fold_kpis(first) == 10
        assert await fold_kpis(second) == 0


async def test_cells_that_count_nothing_any_more_are_gone(city: City) -> None:
    async with city.transaction() as tx:
        row = await add_row(tx)
        await fold_kpis(tx)
        before = await tx.value("SELECT count(*) FROM kpi_cells")
        await change_row(tx, row, status="triaged")
        await fold_kpis(tx)
        assert await tx.value("SELECT count(*) FROM kpi_cells") == before == 16
        assert await tx.value("SELECT count(*) FROM kpi_cells WHERE status = 'new'") == 0


async def test_a_change_that_counts_for_nothing_leaves_no_trace(city: City) -> None:
    async with city.transaction() as tx:
        row = await add_row(tx)
        await fold_kpis(tx)
        await change_row(tx, row, description="Another text", updated_at=NOON + DAY)
        assert await tx.value("SELECT count(*) FROM kpi_deltas") == 0


async def test_figures_follow_requests_made_and_moved_over_http(city: City) -> None:
    admin, anyone = await city.client("admin"), await city.client()
    for _ in range(2):
        made = await create(anyone, location={"type": "Point", "coordinates": [-74.0, 40.7]})
    other = await create(anyone, category="graffiti", location={"type": "Point", "coordinates": [-74.2, 40.9]})
    answer = (await admin.get("/analytics/kpis")).json()
    await assert_exact(city, answer)
    assert answer["totals"]["requests"] == 3
    assert (await move(admin, other["request_id"], "closed", reason="spam")).status_code == 200
    answer = (await admin.get("/analytics/kpis")).json()
    await assert_exact(city, answer)
    assert answer["totals"]["requests"] == 3
    assert made["request_id"]


async def test_the_same_figures_are_answered_with_304(city: City) -> None:
    admin = await city.client("admin")
    async with city.transaction() as tx:
        row = await add_row(tx)
    first = await admin.get("/analytics/kpis")
    seen = {"If-None-Match": first.headers["etag"]}
    again = await admin.get("/analytics/kpis", headers=seen)
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    async with city.transaction() as tx:
        await change_row(tx, row, status="triaged")
    changed = await admin.get("/analytics/kpis", headers=seen)
    assert changed.status_code == 200
    assert changed.json()["totals"]["by_state"] == {"triaged": 1}


async def test_the_public_sees_figures_of_public_requests_only(city: City) -> None:
    async with city.transaction() as tx:
        await add_row(tx)
        await add_row(tx, is_public=False, status="resolved", resolved_at=NOON + HOUR)
    for role in (None, "citizen"):
        answer = (await (await city.client(role)).get("/analytics/kpis")).json()
        assert answer["totals"]["requests"] == 1
        await assert_exact(city, answer, "is_public")
    for role in ("agent", "dispatcher", "supervisor", "admin"):
        assert (await (await city.client(role)).get("/analytics/kpis")).json()["totals"]["requests"] == 2


async def test_another_tenant_counts_nothing_of_it(city: City, other_city: City) -> None:
    await filled(city, 20, folded=False)
    foreign = await other_city.client("admin")
    assert (await foreign.get("/analytics/kpis")).json()["totals"]["requests"] == 0
    async with other_city.transaction() as tx:
        assert await fold_kpis(tx) == 0
    async with city.transaction() as tx:
        assert await fold_kpis(tx) == 20
    answer = (await foreign.get("/analytics/kpis")).json()
    assert answer["totals"]["requests"] == 0
    assert answer["by_zone"] == answer["by_period"] == []
    assert answer["totals"]["sla"]["breach_pct"] is answer["totals"]["resolution"]["median_minutes"] is None


async def test_the_number_of_statements_does_not_grow_with_rows(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    admin = await city.client("admin")
    assert (await admin.get("/analytics/kpis")).status_code == 200  # the pack is known now
    counts: list[int] = []
    rows = Tx.rows
    value = Tx.value

    async def counted_rows(self: Tx, *args: Any) -> Any:
        counts[-1] += 1
        return await rows(self, *args)

    async def counted_value(self: Tx, *args: Any) -> Any:
        counts[-1] += 1
        return await value(self, *args)

    for size in (40, 80):
        await filled(city, size, folded=False)
        with monkeypatch.context() as patch:
            patch.setattr(Tx, "rows", counted_rows)
            patch.setattr(Tx, "value", counted_value)
            counts.append(0)
            assert (await admin.get("/analytics/kpis")).status_code == 200
    assert counts == [2, 2]


async def test_reports_are_counted_while_folds_run(city: City) -> None:
    admin = await city.client("admin")
    seen: list[int] = []
    done = asyncio.Event()

    async def folding() -> None:
        while not done.is_set():
            async with city.transaction() as tx:
                await fold_kpis(tx, limit=5)
            await asyncio.sleep(0)

    async def reading() -> None:
        while not done.is_set():
            seen.append((await admin.get("/analytics/kpis")).json()["totals"]["requests"])

    async def writing() -> None:
        for number in range(60):
            async with city.transaction() as tx:
                await add_row(tx, at=NOON - DAY * (number % 40))
            seen.append(-number)
        done.set()

    await asyncio.gather(folding(), reading(), writing())
    read = [count for count in seen if count > 0]
    assert read == sorted(read)
    assert (await admin.get("/analytics/kpis")).json()["totals"]["requests"] == 60


async def test_only_the_asked_breakdowns_are_given(city: City) -> None:
    answer = (await (await city.client()).get("/analytics/kpis", params={"group": "zone,period"})).json()
    assert {name for name in answer if name.startswith("by_")} == {"by_zone", "by_period"}


@pytest.mark.parametrize(
    "params",
    [
        {"priority": "P9"},
        {"period": "year"},
        {"group": "colour"},
        {"from": "yesterday"},
        {"from": "2026-03-02", "to": "2026-03-01"},
        {"from": "2026-03-01T10:00:00"},
        {"zone": "a\x00b"},
        {"category": "x" * 300},
        {"zone": ",".join(f"Z{number}" for number in range(300))},
    ],
)
async def test_bad_parameters_are_named(city: City, params: dict[str, str]) -> None:
    document = problem(await (await city.client()).get("/analytics/kpis", params=params), 422)
    assert document["errors"][0]["field"] in (*params, "since", "until")


def test_the_median_stands_at_its_rank_in_its_bucket() -> None:
    dice = random.Random(3)
    for many in (1, 2, 3, 4, 5, 6, 7, 8, *range(5000, 5020)):
        times = sorted(int(dice.lognormvariate(6, 1.5) * MS_PER_MINUTE) for _ in range(many))
        histogram = [0] * (len(BOUNDS) + 1)
        for ms in times:
            histogram[sum(ms >= bound * MS_PER_MINUTE for bound in BOUNDS)] += 1
        middle = middle_of(histogram)
        assert middle is not None
        way = [ms for ms in times if (ms < middle.bound_ms) is middle.is_down][:: -1 if middle.is_down else 1]
        found = way[middle.passed :][: middle.many]
        assert sum(found) / len(found) == statistics.median(times)
    assert middle_of([0] * 32) is None


@pytest.mark.parametrize("folded", [True, False])
async def test_the_median_of_many_is_exact(city: City, monkeypatch: pytest.MonkeyPatch, folded: bool) -> None:
    """Whatever is filtered, whoever asks, and whether it is folded or not."""
    monkeypatch.setattr("civicpulse.insight.kpis.kpis.FEW", 10)
    await filled(city, folded=folded)
    admin, public = await city.client("admin"), await city.client()
    since = NOON - 40 * DAY + 7 * HOUR
    for client, params, where in (
        (admin, {}, "true"),
        (admin, {"zone": "Z1,Z2"}, "zone_id IN ('Z1', 'Z2')"),
        (admin, {"category": "noise"}, "category = 'noise'"),
        (admin, {"priority": "P1,P2,P3"}, "priority IN ('P1', 'P2', 'P3')"),
        (admin, {"from": since.isoformat()}, "created_at >= %(since)s"),
        (admin, {"to": since.isoformat()}, "created_at < %(since)s"),
        (public, {}, "is_public"),
    ):
        answer = (await client.get("/analytics/kpis", params=params)).json()
        assert answer["totals"]["resolution"]["count"] > 10
        assert answer["totals"]["resolution"]["median_method"] == "exact"
        await assert_exact(city, answer, where, since=since)


# ------------------------------------------------------------------------------------------------------- the tenant's days


async def configure(city: City, **changes: Any) -> None:
    admin = await city.client("admin")
    config = (await admin.get(f"/tenants/{city.tenant.slug}/config")).json()["config"]
    answer = await admin.put(f"/tenants/{city.tenant.slug}/config", json={"config": {**config, **changes}})
    assert answer.status_code == 200, answer.text


async def test_days_are_those_of_the_tenants_time_zone(city: City) -> None:
    async with city.transaction() as tx:
        for at in ("2026-11-20T04:59:59Z", "2026-11-20T05:00:00Z", "2026-11-21T04:59:59Z", "2026-11-21T05:00:00Z"):
            await add_row(tx, at=datetime.fromisoformat(at))
    anyone = await city.client()
    params = {"period": "day", "from": "2026-11-20", "to": "2026-11-21"}
    answer = (await anyone.get("/analytics/kpis", params=params)).json()
    assert answer["computed"]["time_zone"] == "America/New_York"
    assert answer["computed"]["period"] == {"from": "2026-11-20T05:00:00Z", "to": "2026-11-21T05:00:00Z"}
    assert [(row["period"], row["requests"]) for row in answer["by_period"]] == [("2026-11-20", 2)]
    everything = (await anyone.get("/analytics/kpis", params={"period": "day"})).json()
    days = [("2026-11-19", 1), ("2026-11-20", 2), ("2026-11-21", 1)]
    assert [(row["period"], row["requests"]) for row in everything["by_period"]] == days
    listed = (await anyone.get("/requests/", params={"from": "2026-11-20", "to": "2026-11-21"})).json()
    assert len(listed["items"]) == 2


async def test_a_new_time_zone_makes_the_figures_anew(city: City) -> None:
    """They are right at once, read from the requests; the worker then makes cells of the new days."""
    await filled(city, 80)
    await configure(city, timezone="Asia/Almaty")
    admin = await city.client("admin")
    params = {"period": "day", "from": "2026-02-01"}
    before = (await admin.get("/analytics/kpis", params=params)).json()
    assert before["computed"]["time_zone"] == "Asia/Almaty"
    await assert_exact(city, before, "created_at >= '2026-01-31T19:00Z'")
    async with city.transaction() as tx:
        await add_row(tx, at=NOON)  # noted while the cells do not fit
        assert await tx.value("SELECT count(*) FROM kpi_ledgers WHERE time_zone = 'America/New_York'") == 1
    tenant = await city.services.tenants.by_id(city.tenant.tenant_id)
    assert tenant is not None
    async with city.services.db.transaction(tenant) as tx:
        await follow_time_zone(tx, {})
        assert await tx.value("SELECT count(*) FROM kpi_ledgers WHERE time_zone IS NULL") == 1
        await due.cover(tx, [KPIS], now=clock.wall() - timedelta(seconds=5))
    await work_off(city.services.db, city.services.tenants, kpis_line(city.services))
    async with city.services.db.transaction(tenant) as tx:
        assert await tx.value("SELECT time_zone FROM kpi_ledgers") == "Asia/Almaty"
        assert await tx.value("SELECT count(*) FROM kpi_deltas") == 0
        await follow_time_zone(tx, {})
        assert await tx.value("SELECT time_zone FROM kpi_ledgers") == "Asia/Almaty"
    after = (await admin.get("/analytics/kpis", params=params)).json()
    assert after["totals"]["requests"] == before["totals"]["requests"] + 1
    await assert_exact(city, after, "created_at >= '2026-01-31T19:00Z'")
    await assert_exact(city, (await admin.get("/analytics/kpis")).json())


async def test_cells_of_the_release_before_are_made_anew(city: City) -> None:
    """They have no word of whose days they are."""
    await filled(city, 20)
    async with city.transaction() as tx:
        await tx.run("DELETE FROM kpi_ledgers")
        await tx.run("UPDATE kpi_cells SET masters = masters + 1")
        assert await fold_kpis(tx) == 0
    await assert_exact(city, (await (await city.client("admin")).get("/analytics/kpis")).json())


# ------------------------------------------------------------------------------------------------------ what counts as what


async def test_a_dispute_counts_also_once_it_is_settled(city: City) -> None:
    """Made anew or folded, for staff and for everybody, in totals and in each breakdown."""
    staff, anyone = await city.client("dispatcher"), await city.client()
    made = await create(anyone)
    number = made["request_id"]
    await walk_to(await city.client("admin"), number, "resolved")
    token = {"X-Tracking-Token": made["tracking_token"]}
    rated = await anyone.post(f"/requests/{number}/rating", headers=token, json={"rating": 1, "dispute_flag": True})
    assert rated.status_code == 201, rated.text
    assert (await move(staff, number, "in_progress")).status_code == 200
    for fold in (False, True):
        if fold:
            async with city.transaction() as tx:
                assert await fold_kpis(tx) > 0
        for client in (staff, anyone):
            answer = (await client.get("/analytics/kpis")).json()
            rows = [answer[f"by_{group}"][0] for group in ("zone", "category", "priority", "period")]
            assert answer["totals"]["ratings"]["disputes"] == 1
            assert [row["disputes"] for row in rows] == [1, 1, 1, 1]


async def test_what_was_no_case_meets_and_misses_nothing(city: City) -> None:
    """Closed as spam: neither met nor resolved nor part of any share; also when it was late."""
    staff = await city.client("dispatcher")
    kept = await create(staff)
    for _ in range(2):
        spam = await create(staff, lat=40.9)
        assert (await move(staff, spam["request_id"], "closed", reason="spam")).status_code == 200
    async with city.transaction() as tx:
        await change_row(
            tx, await tx.value("SELECT id FROM requests WHERE number = %s", [kept["request_id"]]), sla_state="overdue"
        )
        await add_row(tx, status="closed", sla_met=False, sla_state="completed")
        await add_row(tx, status="closed", resolved_at=NOON - HOUR, sla_met=True, sla_state="completed")
    totals = (await staff.get("/analytics/kpis")).json()["totals"]
    assert (totals["sla"]["met"], totals["sla"]["missed"], totals["sla"]["met_pct"]) == (0, 0, None)
    assert (totals["sla"]["with_sla"], totals["sla"]["breach_pct"]) == (1, 100)
    assert (totals["resolution"]["count"], totals["resolution"]["avg_minutes"]) == (0, None)
