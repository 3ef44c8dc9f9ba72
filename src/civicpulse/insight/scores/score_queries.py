"""Every statement on performance scores."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Literal, TypeAlias
from uuid import UUID

from psycopg import sql
from psycopg.types.json import Jsonb

from civicpulse.base.conditions import is_open_master, stands_resolved
from civicpulse.base.db import Row, Tx
from civicpulse.requests.visibility import Sight
from civicpulse.rules.scoring import Figures

Desk: TypeAlias = Literal["offices", "managers"]

# The index requests_resolved finds the window; the open are counted in the index requests_open alone; what is finished in
# all comes from the KPI ledger, whose cells are few. A target is the deadline as the request's calendar and its pauses moved
# it, so that speed never contradicts the verdict; the clamp is rules.scoring.speed_of.
_FIGURES: Final = """count(*)::int AS resolved, count(*) FILTER (WHERE r.sla_met)::int AS met,
       count(*) FILTER (WHERE NOT r.sla_met)::int AS missed, sum(date_part('epoch', r.resolved_at - r.created_at)) / 3600 AS hours,
       coalesce(sum(CASE WHEN r.sla_due_at > r.created_at THEN greatest(0, least(1,
           1 - date_part('epoch', r.resolved_at - r.created_at) / date_part('epoch', r.sla_due_at - r.created_at))) END), 0)::float8 AS speed_sum,
       count(r.sla_due_at)::int AS speed_count"""

RESOLVED = f"""
SELECT r.zone_id, r.is_public, {_FIGURES}
FROM requests r
WHERE r.tenant_id = %(tenant_id)s AND {stands_resolved("r")}
  AND r.resolved_at >= %(since)s AND r.resolved_at <= %(until)s
GROUP BY r.zone_id, r.is_public
"""

# What offices or managers have resolved in a window, and what they have open now, of what is seen.
_OF_DESK: Final[dict[Desk, str]] = {"offices": "r.office_id", "managers": "r.assigned_agent_id"}
RESOLVED_BY_DESK: Final = {
    desk: sql.SQL(f"""
SELECT {column} AS id, {_FIGURES}
FROM requests r
WHERE r.tenant_id = %(tenant_id)s AND {stands_resolved("r")} AND r.resolved_at >= %(since)s AND r.resolved_at <= %(until)s
  AND {column} IS NOT NULL AND {{seen}}
GROUP BY {column}
""")
    for desk, column in _OF_DESK.items()
}
OPEN_BY_DESK: Final = {
    desk: sql.SQL(f"""
SELECT {column} AS id, count(*)::int AS open_count FROM requests r
WHERE r.tenant_id = %(tenant_id)s AND {is_open_master("r")} AND {column} IS NOT NULL AND {{seen}}
GROUP BY {column}
""")
    for desk, column in _OF_DESK.items()
}

ZONES = """
SELECT zone_id FROM zones WHERE tenant_id = %(tenant_id)s
"""

# Of two computations of one hour the later one stays, in whatever order they are written.
PUT = """
INSERT INTO performance_scores (tenant_id, id, zone_id, public_only, hour, score, compliance, speed, avg_resolution_hours, resolved_count,
    met_count, missed_count, open_count, closed_count, weights, window_days, calculated_at)
SELECT %(tenant_id)s, s.id, s.zone_id, s.public_only, %(hour)s, s.score, s.compliance, s.speed, s.avg_resolution_hours, s.resolved_count,
       s.met_count, s.missed_count, s.open_count, s.closed_count, %(weights)s, %(window_days)s, %(now)s
FROM jsonb_to_recordset(%(scores)s) AS s (id uuid, zone_id text, public_only boolean, score float8, compliance float8, speed float8,
    avg_resolution_hours float8, resolved_count int, met_count int, missed_count int, open_count int, closed_count int)
ORDER BY s.public_only, s.zone_id
ON CONFLICT (tenant_id, public_only, zone_id, hour) DO UPDATE
SET score = excluded.score, compliance = excluded.compliance, speed = excluded.speed,
    avg_resolution_hours = excluded.avg_resolution_hours, resolved_count = excluded.resolved_count, met_count = excluded.met_count,
    missed_count = excluded.missed_count, open_count = excluded.open_count, closed_count = excluded.closed_count,
    weights = excluded.weights, window_days = excluded.window_days, calculated_at = excluded.calculated_at
WHERE performance_scores.calculated_at <= excluded.calculated_at
"""

# Of each day that is older than `before` the last row of each zone stays. Only a week is looked at, by its end: what is
# older has been thinned.
THIN = """
DELETE FROM performance_scores p
WHERE p.tenant_id = %(tenant_id)s AND p.public_only = ANY(ARRAY[false, true]) AND p.hour < %(before)s AND p.hour >= %(since)s
  AND EXISTS (
    SELECT 1 FROM performance_scores later
    WHERE later.tenant_id = %(tenant_id)s AND later.public_only = p.public_only AND later.zone_id = p.zone_id AND later.hour > p.hour
      AND later.hour < date_trunc('day', p.hour, %(time_zone)s::text) + interval '1 day')
"""

LATEST_HOUR = """
SELECT max(hour) FROM performance_scores WHERE tenant_id = %(tenant_id)s AND public_only = %(public_only)s
"""

# What a score was before: the nearest one that is at least that old, and at most a day older.
_BEFORE = """
LEFT JOIN LATERAL (
    SELECT b.score FROM performance_scores b
    WHERE b.tenant_id = s.tenant_id AND b.public_only = s.public_only AND b.zone_id = s.zone_id
      AND b.hour <= s.hour - interval '{ago}' AND b.hour > s.hour - interval '{ago}' - interval '24 hours'
    ORDER BY b.hour DESC LIMIT 1
) AS {name} ON true
"""

LIST = f"""
SELECT s.id, s.zone_id, z.name, s.hour, s.score, s.compliance, s.speed, s.avg_resolution_hours, s.resolved_count, s.met_count,
       s.missed_count, s.open_count, s.closed_count, s.weights, s.window_days, s.calculated_at, day.score AS day_before,
       month.score AS month_before
FROM (
    SELECT p.tenant_id, p.public_only, p.id, p.zone_id, p.hour, p.score, p.compliance, p.speed, p.avg_resolution_hours, p.resolved_count,
           p.met_count, p.missed_count, p.open_count, p.closed_count, p.weights, p.window_days, p.calculated_at
    FROM performance_scores p
    WHERE p.tenant_id = %(tenant_id)s AND p.public_only = %(public_only)s AND p.hour >= %(since)s AND p.hour < %(until)s
      AND (%(zones)s::text[] IS NULL OR p.zone_id = ANY(%(zones)s::text[])) AND NOT (%(zones_only)s AND p.zone_id = '')
      AND (p.hour < %(after_hour)s OR (p.hour = %(after_hour)s AND p.zone_id > %(after_zone)s))
    ORDER BY p.hour DESC, p.zone_id LIMIT %(limit)s
) AS s
LEFT JOIN zones z ON z.tenant_id = s.tenant_id AND z.zone_id = s.zone_id
{_BEFORE.format(ago="24 hours", name="day")}
{_BEFORE.format(ago="30 days", name="month")}
ORDER BY s.hour DESC, s.zone_id
"""

PUBLIC_SCORES = """
SELECT slug, name, kind, score, compliance, speed, avg_resolution_hours, resolved_count, open_count, calculated_at, day_before
FROM gate_public_scores()
"""


async def resolved_by_zone(tx: Tx, *, since: datetime, until: datetime) -> list[Row]:
    """Sums up the requests resolved in the window (both ends included), by zone and by whether they are public."""
    return await tx.rows(RESOLVED, {"tenant_id": tx.tenant_id, "since": since, "until": until})


async def resolved_by_desk(
    tx: Tx, desk: Desk, sight: Sight, *, since: datetime, until: datetime
) -> dict[UUID, Figures]:
    """Sums up what offices or managers resolved in the window (both ends included), by id, of what is seen."""
    values = {"tenant_id": tx.tenant_id, "since": since, "until": until} | sight.parameters
    rows = await tx.rows(RESOLVED_BY_DESK[desk].format(seen=sight.predicate()), values)
    names = ("resolved", "met", "missed", "hours", "speed_sum", "speed_count")
    return {row["id"]: Figures(*(row[name] for name in names)) for row in rows}


async def open_by_desk(tx: Tx, desk: Desk, sight: Sight) -> dict[UUID, int]:
    """Counts the open work of offices or managers, by id, of what is seen."""
    values = {"tenant_id": tx.tenant_id} | sight.parameters
    rows = await tx.rows(OPEN_BY_DESK[desk].format(seen=sight.predicate()), values)
    return {row["id"]: row["open_count"] for row in rows}


async def zone_codes(tx: Tx) -> list[str]:
    """Lists the codes of the tenant's zones."""
    return [row["zone_id"] for row in await tx.rows(ZONES, {"tenant_id": tx.tenant_id})]


async def put_scores(
    tx: Tx,
    scores: Sequence[dict[str, Any]],
    *,
    hour: datetime,
    weights: dict[str, float],
    window: timedelta,
    now: datetime,
) -> int:
    """Writes the scores of an hour, replacing earlier ones of the same hour; how many."""
    values = {"hour": hour, "weights": Jsonb(weights), "window_days": window.days, "now": now}
    return await tx.run(PUT, values | {"tenant_id": tx.tenant_id, "scores": Jsonb(list(scores))})


async def thin_scores(tx: Tx, *, before: datetime, since: datetime, zone: str) -> int:
    """Leaves one row a day and zone of the hours in [since, before); how many went."""
    return await tx.run(THIN, {"tenant_id": tx.tenant_id, "before": before, "since": since, "time_zone": zone})


async def latest_hour(tx: Tx, *, public_only: bool) -> datetime | None:
    """Finds the hour of the newest scores, None before the first ones."""
    hour: datetime | None = await tx.value(LATEST_HOUR, {"tenant_id": tx.tenant_id, "public_only": public_only})
    return hour


async def list_scores(
    tx: Tx,
    *,
    public_only: bool,
    since: datetime,
    until: datetime,
    zones: Sequence[str] | None,
    zones_only: bool,
    after: tuple[datetime, str],
    limit: int,
) -> list[Row]:
    """Lists scores of the hours in [since, until), newest hour first, then by zone, each with what it was a day and a month before.

    `zones`: only these ("": the whole tenant), None for all; `zones_only` leaves the whole tenant out.
    """
    values = {"public_only": public_only, "since": since, "until": until, "limit": limit, "zones_only": zones_only}
    values |= {"zones": None if zones is None else list(zones), "after_hour": after[0], "after_zone": after[1]}
    return await tx.rows(LIST, values | {"tenant_id": tx.tenant_id})


async def public_scores(tx: Tx) -> list[Row]:
    """Reads the scores of the tenants that chose to stand in public."""
    return await tx.rows(PUBLIC_SCORES)
