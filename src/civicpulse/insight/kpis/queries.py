"""The statements behind cohorts and agents; the ledger's are in ledger.py, the map's in geo_queries.py."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from psycopg import sql

from civicpulse.base.conditions import is_open_master, stands_resolved
from civicpulse.base.db import Row, Tx
from civicpulse.insight.schemas import Scope
from civicpulse.requests.visibility import Sight

# A master repeats the one before it at the same place and in the same category when it comes within the window; otherwise
# it is a first report, and what repeats it, one after the other, is its chain. The window before the period is read only to
# see whether a chain had begun there. In the order of the index requests_candidates, so nothing is sorted.
_CHAINS = sql.SQL("""
WITH reports AS (
    SELECT r.cell, r.category, r.created_at, lag(r.created_at) OVER same_place AS before, lead(r.created_at) OVER same_place AS after
    FROM requests r
    WHERE r.tenant_id = %(tenant_id)s AND r.master_id IS NULL AND r.cell IS NOT NULL
      AND r.created_at >= %(read_from)s AND r.created_at < %(read_to)s{filters}
    WINDOW same_place AS (PARTITION BY r.category, r.cell ORDER BY r.created_at)
), judged AS (
    SELECT cell, category, created_at, before IS NULL OR created_at - before > %(window)s AS is_first,
           CASE WHEN after - created_at <= %(window)s THEN after - created_at END AS to_repeat
    FROM reports
), chains AS MATERIALIZED (
    SELECT cell, category, is_first, to_repeat,
           max(created_at) FILTER (WHERE is_first)
               OVER (PARTITION BY category, cell ORDER BY created_at) AS first_at
    FROM judged
)
""")

_WEEKS = sql.SQL("""
SELECT date_trunc('week', first_at AT TIME ZONE %(time_zone)s::text)::date AS start, count(*) FILTER (WHERE is_first) AS first_reports,
       count(*) FILTER (WHERE is_first AND to_repeat IS NOT NULL) AS repeated, count(*) FILTER (WHERE NOT is_first) AS repeats,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY date_part('epoch', to_repeat) / 86400)
           FILTER (WHERE is_first AND to_repeat IS NOT NULL) AS median_days,
       NULL::bigint AS cell, NULL::text AS category
FROM chains WHERE first_at >= %(since)s AND first_at < %(until)s GROUP BY 1
""")

_PLACES = sql.SQL("""
(SELECT NULL::date, count(*) FILTER (WHERE is_first), count(*) FILTER (WHERE is_first AND to_repeat IS NOT NULL),
        count(*) FILTER (WHERE NOT is_first) AS repeats, NULL::float8, cell, category
 FROM chains WHERE first_at >= %(since)s AND first_at < %(until)s AND (NOT is_first OR to_repeat IS NOT NULL)
 GROUP BY cell, category ORDER BY repeats DESC, cell, category LIMIT %(places)s)
""")

# Each agent's three counts come from an index of their own, for the agents of this page only.
_AGENTS = sql.SQL(f"""
SELECT a.id, a.agent_code, a.name, a.department, a.active, o.*, s.*, d.*
FROM (
    SELECT id, agent_code, name, department, active FROM agents
    WHERE tenant_id = %(tenant_id)s AND agent_code > %(after)s ORDER BY agent_code LIMIT %(limit)s
) AS a
CROSS JOIN LATERAL (
    SELECT count(*) AS open, count(*) FILTER (WHERE r.status = ANY(%(in_progress)s)) AS in_progress,
           count(*) FILTER (WHERE r.sla_state = 'overdue') AS overdue, count(*) FILTER (WHERE r.sla_state = 'breached') AS breached
    FROM requests r
    WHERE r.tenant_id = %(tenant_id)s AND r.assigned_agent_id = a.id AND {is_open_master("r")} AND {{seen}}
) AS o
CROSS JOIN LATERAL (
    SELECT count(*) AS assigned, coalesce(sum(r.escalation_count), 0)::bigint AS escalations
    FROM requests r
    WHERE r.tenant_id = %(tenant_id)s AND r.assigned_agent_id = a.id AND r.master_id IS NULL AND {{seen}}
      AND r.assigned_at >= %(since)s AND r.assigned_at < %(until)s
) AS s
CROSS JOIN LATERAL (
    SELECT count(*) AS resolved, avg(date_part('epoch', r.resolved_at - r.created_at) / 60) AS minutes,
           count(*) FILTER (WHERE r.sla_met) AS met, count(r.sla_met) AS judged, avg(r.rating)::float8 AS rating, count(r.rating) AS ratings
    FROM requests r
    WHERE r.tenant_id = %(tenant_id)s AND r.assigned_agent_id = a.id AND {stands_resolved("r")} AND {{seen}}
      AND r.resolved_at >= %(since)s AND r.resolved_at < %(until)s
) AS d
ORDER BY a.agent_code
""")


async def recurrence(
    tx: Tx, scope: Scope, *, since: datetime, until: datetime, zone: str, window: timedelta, places: int
) -> tuple[list[Row], list[Row]]:
    """Finds chains of repeats whose first report is in [since, until): by week (start) of `zone`, and the `places` with most repeats.

    One statement; cost grows with the requests created in the period and one window on either side.
    """
    parts = [sql.SQL(" AND r.{column} = ANY(%({column})s)").format(column=sql.SQL(column)) for column in scope.values()]
    seen = sql.SQL(" AND {}").format(scope.sight.predicate())
    statement = sql.Composed(
        [_CHAINS.format(filters=sql.Composed([*parts, seen])), _WEEKS, sql.SQL(" UNION ALL "), _PLACES]
    )
    values: dict[str, Any] = {
        **scope.values(),
        **scope.sight.parameters,
        "tenant_id": tx.tenant_id,
        "since": since,
        "until": until,
        "read_from": since - window,
        "read_to": until + window,
        "window": window,
        "places": places,
        "time_zone": zone,
    }
    rows = await tx.rows(statement, values)
    weeks = sorted((row for row in rows if row["start"] is not None), key=lambda row: row["start"])
    return weeks, [row for row in rows if row["start"] is None]


async def list_agents(
    tx: Tx, sight: Sight, *, in_progress: Sequence[str], since: datetime, until: datetime, after: str, limit: int
) -> list[Row]:
    """Lists agents whose code follows `after`, with their open work now and what they did in the period, as far as it is seen.

    `in_progress`: the states in which somebody works on a request.
    """
    values = {"since": since, "until": until, "after": after, "limit": limit}
    values |= {"tenant_id": tx.tenant_id, "in_progress": list(in_progress)}
    return await tx.rows(_AGENTS.format(seen=sight.predicate()), values | sight.parameters)
