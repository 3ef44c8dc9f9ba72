"""Performance scores by zone and hour: computed (R-KPI-05), listed with their trend, ranked.

SQL adds up, in two kinds of statement that read the window's resolutions by their index and the KPI ledger's cells; what
is left for Python is one formula for each zone. So there is nothing that would be worth a process of its own, as the
training of text models is.
"""

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from civicpulse.base import clock
from civicpulse.base.db import Row, Tx
from civicpulse.base.ids import new_id
from civicpulse.base.paging import decode_cursor, encode_cursor, page
from civicpulse.insight.kpis import ledger
from civicpulse.insight.schemas import Period, Scope
from civicpulse.insight.scores import score_queries as queries
from civicpulse.packs.store import current_pack
from civicpulse.requests.visibility import EVERYTHING, PUBLIC, Sight
from civicpulse.rules.scoring import Figures, Trend, Weights, score, trend

WINDOW: Final = timedelta(days=30)
ONE_HOUR: Final = timedelta(hours=1)
WHOLE_TENANT: Final = ""
SORT: Final = "-hour"
# Every hour for as long as a trend looks back, and some; then the last hour of each day.
KEEP_HOURLY: Final = timedelta(days=40)
THIN_BACK: Final = timedelta(days=7)

HOW: Final = {
    "score": "100 * (weights.compliance * compliance + weights.speed * speed); null: nothing that was promised was resolved",
    "compliance_rate": "100 * met / (met + missed) of the masters resolved in the window, by their own clocks",
    "speed": "mean of clamp(1 - resolution / target, 0, 1); the target ends at the deadline as calendar and pauses moved it",
    "avg_resolution_hours": "from created_at to resolved_at, plain hours, of the masters resolved in the window",
    "open_count": "masters open or waiting now, whenever created; closed_count: those that are resolved or closed",
    "window": "resolved_at in the last window_days days before calculated_at; a month of KPIs goes by created_at",
    "trend": "against the score of 24 hours and 30 days before (at most a day older), in points",
    "zone_id": "null is the whole tenant; UNZONED is what lies outside every zone",
}

Sums = dict[str, Figures]
Counts = dict[str, tuple[int, int]]


def hour_of(instant: datetime) -> datetime:
    """Gives the hour, in UTC, that scores computed at `instant` belong to."""
    return instant.replace(minute=0, second=0, microsecond=0)


async def compute_scores(tx: Tx) -> int:
    """Computes the tenant's scores as of now, for all requests and for the public ones; how many were written.

    They are those of this hour: computed again in it, they replace the earlier ones. The number of statements does not
    grow with zones or requests. Needs no caller: it is derived from what is there.
    """
    now, pack = clock.now(), await current_pack(tx)
    weights = Weights(pack.document.score.compliance, pack.document.score.speed)
    resolved = await queries.resolved_by_zone(tx, since=now - WINDOW, until=now)
    zones = await queries.zone_codes(tx)
    scores: list[dict[str, Any]] = []
    for public_only, audience in ((False, EVERYTHING), (True, PUBLIC)):
        sums = _sums(row for row in resolved if audience.sees(row))
        counts = await _counts(tx, audience, pack.time_zone)
        scores += _scores(sums, counts, zones, weights, public_only=public_only)
    as_stored = {"compliance": weights.compliance, "speed": weights.speed}
    written = await queries.put_scores(tx, scores, hour=hour_of(now), weights=as_stored, window=WINDOW, now=now)
    zone = pack.document.timezone
    await queries.thin_scores(tx, before=now - KEEP_HOURLY, since=now - KEEP_HOURLY - THIN_BACK, zone=zone)
    return written


def _sums(rows: Iterator[Row]) -> Sums:
    sums: Sums = defaultdict(Figures)
    for row in rows:
        figures = Figures(
            row["resolved"], row["met"], row["missed"], row["hours"], row["speed_sum"], row["speed_count"]
        )
        sums[row["zone_id"]] += figures
        sums[WHOLE_TENANT] += figures
    return sums


async def _counts(tx: Tx, audience: Sight, zone: ZoneInfo) -> Counts:
    """Counts open and finished masters by zone, as the KPIs have them at this moment."""
    counts: Counts = defaultdict(lambda: (0, 0))
    for row in await ledger.read_ledger(tx, Scope(audience), Period(zone=zone), grain="month"):
        if row["section"] == "zone":
            for code in (row["key"], WHOLE_TENANT):
                still_open, finished = counts[code]
                counts[code] = still_open + row["backlog"], finished + row["masters"] - row["backlog"]
    return counts


def _scores(
    sums: Sums, counts: Counts, zones: list[str], weights: Weights, *, public_only: bool
) -> Iterator[dict[str, Any]]:
    occurring = {zone for zone, numbers in counts.items() if any(numbers)}
    for zone in sorted({WHOLE_TENANT, *zones, *sums, *occurring}):
        figures, (still_open, finished) = sums.get(zone, Figures()), counts.get(zone, (0, 0))
        yield {
            "id": str(new_id()),
            "zone_id": zone,
            "public_only": public_only,
            "score": score(figures.compliance, figures.speed, weights),
            "compliance": figures.compliance,
            "speed": figures.speed,
            "avg_resolution_hours": figures.average_hours,
            "resolved_count": figures.resolved,
            "met_count": figures.met,
            "missed_count": figures.missed,
            "open_count": still_open,
            "closed_count": finished,
        }


# ------------------------------------------------------------------------------------------------------------- documents


def rounded(value: float | None, digits: int, *, times: float = 1) -> float | None:
    """Rounds a figure for people; None stays None."""
    return None if value is None else round(times * value, digits)


def trend_document(found: Trend) -> dict[str, Any]:
    """Writes a trend on the wire."""
    return {"before": found.before, "change": found.change, "direction": found.direction}


def figures_document(row: Row) -> dict[str, Any]:
    """Writes the parts of a score that every answer about scores has."""
    return {
        "score": row["score"],
        "compliance_rate": rounded(row["compliance"], 2, times=100),
        "speed": rounded(row["speed"], 4),
        "avg_resolution_hours": rounded(row["avg_resolution_hours"], 2),
        "resolved_count": row["resolved_count"],
        "open_count": row["open_count"],
    }


def score_document(row: Row) -> dict[str, Any]:
    """Writes one score with its parts and its trend."""
    return {
        "id": row["id"],
        "zone_id": row["zone_id"] or None,
        "name": row["name"],
        "metric_type": "overall",
        **figures_document(row),
        "met_count": row["met_count"],
        "missed_count": row["missed_count"],
        "closed_count": row["closed_count"],
        "trend": {
            "24h": trend_document(trend(row["score"], row["day_before"])),
            "30d": trend_document(trend(row["score"], row["month_before"])),
        },
        "weights": row["weights"],
        "window_days": row["window_days"],
        "hour": row["hour"],
        "calculated_at": row["calculated_at"],
        "note": _note(row),
    }


def _note(row: Row) -> str | None:
    if row["score"] is not None:
        return None
    if not row["resolved_count"]:
        return f"No score: nothing was resolved in the last {row['window_days']} days."
    return "No score: what was resolved had been promised nothing."


async def list_scores(
    tx: Tx,
    period: Period,
    *,
    public_only: bool,
    zones: tuple[str, ...],
    level: str | None,
    limit: int,
    cursor: str | None,
) -> dict[str, Any]:
    """Lists one page of scores: the latest of each zone and of the tenant, or with a period those of its hours, newest first."""
    is_history = period.since is not None or period.until is not None
    latest = await queries.latest_hour(tx, public_only=public_only)
    since, until = _hours(period, latest)
    after = decode_cursor(cursor, SORT, (datetime, str)) if cursor else (until, "")
    rows = await queries.list_scores(
        tx,
        public_only=public_only,
        since=since,
        until=until,
        zones=[WHOLE_TENANT] if level == "tenant" else zones or None,
        zones_only=level == "zone",
        after=(after[0], after[1]),
        limit=limit + 1,
    )
    shown = rows[:limit]
    following = encode_cursor(SORT, [shown[-1]["hour"], shown[-1]["zone_id"]]) if len(rows) > limit else None
    computed = {
        "latest_hour": latest,
        "history": is_history,
        "public_only": public_only,
        "time_zone": period.zone.key,
        "note": None if latest else "No scores yet: they are computed every hour, or by POST /scores/recalculate.",
        "how": HOW,
    }
    return page([score_document(row) for row in shown], following, computed=computed)


async def latest_score(tx: Tx, *, public_only: bool) -> dict[str, Any]:
    """Reads the whole tenant's newest score. Raises LookupError before the first one."""
    listed = await list_scores(tx, Period(), public_only=public_only, zones=(), level="tenant", limit=1, cursor=None)
    if not listed["items"]:
        raise LookupError(f"tenant {tx.tenant.slug} has no scores yet")
    own: dict[str, Any] = listed["items"][0]
    return own


def _hours(period: Period, latest: datetime | None) -> tuple[datetime, datetime]:
    """Chooses the hours to list: those of the period with its open ends closed, without a period the latest one."""
    end = (latest or clock.now()) + ONE_HOUR
    if period.since is None and period.until is None:
        return end - ONE_HOUR, end
    until = period.until or max(end, period.since or end)
    return period.since or until - WINDOW, until
