"""Every statement on SLA metrics: what is to be measured, the figures, the list."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import sql
from psycopg.types.json import Jsonb

from civicpulse.base.db import Row, Tx
from civicpulse.requests.visibility import Sight

LOCK_MEASURING = "SELECT pg_try_advisory_xact_lock(%(lock)s)"

# A request that somebody is changing at this moment is left for the next look. The share lock keeps the others as they are
# until the figures are written, so that a figure is never older than the one it replaces.
TAKE = """
WITH waiting AS MATERIALIZED (
    SELECT DISTINCT u.request_id FROM sla_unmeasured u WHERE u.tenant_id = %(tenant_id)s ORDER BY u.request_id LIMIT %(limit)s
)
SELECT r.id, r.created_at, r.resolved_at, r.state_category, r.master_id, r.category, r.priority, r.zone_id, r.sla_met, r.sla_due_at,
       (r.sla ->> 'target_hours')::float8 AS target_hours
FROM waiting w JOIN requests r ON r.tenant_id = %(tenant_id)s AND r.id = w.request_id
ORDER BY r.id FOR SHARE OF r SKIP LOCKED
"""

SUPERSEDE = """
UPDATE sla_metrics m SET superseded_at = %(now)s
FROM unnest(%(ids)s::uuid[], %(resolved)s::timestamptz[]) AS standing (request_id, resolved_at)
WHERE m.tenant_id = %(tenant_id)s AND m.request_id = standing.request_id AND m.superseded_at IS NULL
  AND m.resolved_at IS DISTINCT FROM standing.resolved_at
"""

PUT = """
INSERT INTO sla_metrics (tenant_id, id, request_id, category, priority, zone_id, resolved_at, due_at, resolution_time_hours,
    threshold_hours, met_sla, judged_by, calculated_at)
SELECT %(tenant_id)s, f.id, f.request_id, f.category, f.priority, f.zone_id, f.resolved_at, f.due_at, f.resolution_time_hours,
       f.threshold_hours, f.met_sla, f.judged_by, %(now)s
FROM jsonb_to_recordset(%(figures)s) AS f (id uuid, request_id uuid, category text, priority text, zone_id text, resolved_at timestamptz,
    due_at timestamptz, resolution_time_hours float8, threshold_hours float8, met_sla boolean, judged_by text)
ON CONFLICT (tenant_id, request_id, resolved_at) DO UPDATE
SET category = excluded.category, priority = excluded.priority, zone_id = excluded.zone_id, due_at = excluded.due_at,
    resolution_time_hours = excluded.resolution_time_hours, threshold_hours = excluded.threshold_hours,
    met_sla = excluded.met_sla, judged_by = excluded.judged_by, calculated_at = excluded.calculated_at, superseded_at = NULL
"""

FORGET = "DELETE FROM sla_unmeasured WHERE tenant_id = %(tenant_id)s AND request_id = ANY(%(ids)s)"

LIST = sql.SQL("""
SELECT m.id, r.number, m.category, m.priority, m.zone_id, m.resolved_at, m.due_at, m.resolution_time_hours, m.threshold_hours,
       m.met_sla, m.judged_by, m.calculated_at, m.superseded_at
FROM sla_metrics m JOIN requests r ON r.tenant_id = m.tenant_id AND r.id = m.request_id
WHERE m.tenant_id = %(tenant_id)s AND {seen}{filters}
ORDER BY m.resolved_at DESC, m.id DESC LIMIT %(limit)s
""")

_CONDITIONS = {
    "category": sql.SQL(" AND m.category = ANY(%(category)s)"),
    "priority": sql.SQL(" AND m.priority = ANY(%(priority)s)"),
    "zone_id": sql.SQL(" AND m.zone_id = ANY(%(zone_id)s)"),
    "met_sla": sql.SQL(" AND m.met_sla = %(met_sla)s"),
    "since": sql.SQL(" AND m.resolved_at >= %(since)s"),
    "until": sql.SQL(" AND m.resolved_at < %(until)s"),
    "number": sql.SQL(
        " AND m.request_id = (SELECT q.id FROM requests q WHERE q.tenant_id = %(tenant_id)s AND q.number = %(number)s)"
    ),
    "current": sql.SQL(" AND m.superseded_at IS NULL"),
    "after": sql.SQL(" AND (m.resolved_at, m.id) < (%(after_at)s, %(after_id)s)"),
}


async def lock_measuring(tx: Tx, lock: int) -> bool:
    """Locks the tenant's figures for measuring; False while another transaction measures."""
    locked: bool = await tx.value(LOCK_MEASURING, {"lock": lock})
    return locked


async def take_unmeasured(tx: Tx, *, limit: int) -> list[Row]:
    """Takes up to `limit` requests that wait to be measured, under a share lock."""
    return await tx.rows(TAKE, {"tenant_id": tx.tenant_id, "limit": limit})


async def supersede(tx: Tx, ids: Sequence[UUID], resolved: Sequence[datetime | None], *, now: datetime) -> int:
    """Marks the figures of other resolutions than the standing one (None: none stands); how many."""
    values = {"tenant_id": tx.tenant_id, "ids": list(ids), "resolved": list(resolved), "now": now}
    return await tx.run(SUPERSEDE, values)


async def put_metrics(tx: Tx, figures: Sequence[dict[str, Any]], *, now: datetime) -> int:
    """Writes figures, one for each request and resolution; the same resolution again replaces its figure."""
    return await tx.run(PUT, {"tenant_id": tx.tenant_id, "figures": Jsonb(list(figures)), "now": now})


async def forget_measured(tx: Tx, ids: Sequence[UUID]) -> None:
    """Takes requests from those that wait."""
    await tx.run(FORGET, {"tenant_id": tx.tenant_id, "ids": list(ids)})


async def list_metrics(
    tx: Tx, wanted: dict[str, Any], sight: Sight, *, after: tuple[datetime, UUID] | None, limit: int
) -> list[Row]:
    """Lists figures of requests that are seen, latest resolution first.

    `wanted` holds values by the names of _CONDITIONS; those that are None do not filter.
    """
    values = {name: value for name, value in wanted.items() if value is not None} | sight.parameters
    conditions = [condition for name, condition in _CONDITIONS.items() if name in values]
    if after is not None:
        conditions.append(_CONDITIONS["after"])
        values |= {"after_at": after[0], "after_id": after[1]}
    statement = LIST.format(seen=sight.predicate(), filters=sql.Composed(conditions))
    return await tx.rows(statement, {**values, "tenant_id": tx.tenant_id, "limit": limit})
