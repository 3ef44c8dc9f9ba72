"""Every statement behind the geo feeds. What is open is read from the index requests_open alone (migration 0003)."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb

from civicpulse.base.conditions import is_open, is_open_master, stands_resolved
from civicpulse.base.db import Row, Tx
from civicpulse.insight.map.viewport import Span, cell_spans
from civicpulse.insight.schemas import Scope
from civicpulse.requests.filters import box_condition, box_values
from civicpulse.requests.visibility import PUBLIC

# Parents of a cell at a resolution share all digits down to it: setting the others (and fixing the resolution bits later,
# in Python) groups them without the H3 library in the database.
_PARENT = "({cell} | ((1::bigint << (3 * (15 - {resolution}))) - 1))"
# rules.heat.heat of the request `r` at %(epoch)s.
_WEIGHT = """(CASE r.priority WHEN 'P1' THEN %(w1)s WHEN 'P2' THEN %(w2)s WHEN 'P3' THEN %(w3)s ELSE %(w4)s END)::float8
    * ln(1 + greatest(%(epoch)s - date_part('epoch', r.created_at), 0) / 3600)"""

_OPEN = sql.SQL(f"""requests r
WHERE r.tenant_id = %(tenant_id)s AND {is_open_master("r")}{{filters}}""")
# A public duplicate of a master that the reader does not see is on the map by itself (migration 0016 has the index).
_OPEN_SEEN = sql.SQL(f"""(
    SELECT {{columns}} FROM {{open}}
    UNION ALL
    SELECT {{columns}} FROM requests r
    WHERE r.tenant_id = %(tenant_id)s AND {is_open("r")} AND r.master_id IS NOT NULL AND {{public}}{{filters}}
      AND NOT coalesce((SELECT {{master_seen}} FROM requests m WHERE m.tenant_id = r.tenant_id AND m.id = r.master_id), false)
) AS r WHERE true""")
_COLUMNS = sql.SQL(
    "r.cell, r.number, r.zone_id, r.category, r.priority, r.status, r.sla_state, r.created_at, r.lon, r.lat"
)
# A small box is read as spans of cells, each a short descent into the index. The OFFSET keeps the planner from turning it
# round and reading everything that is open.
_OPEN_IN_SPANS = sql.SQL("""unnest(%(lows)s::bigint[], %(highs)s::bigint[]) AS span (low, high)
CROSS JOIN LATERAL (
    SELECT {columns} FROM {open} AND r.cell >= span.low AND r.cell <= span.high OFFSET 0
) AS r WHERE true""")

_COUNT = sql.SQL("SELECT count(*) FROM (SELECT 1 FROM {open} AND r.cell IS NOT NULL LIMIT %(limit)s) AS few")

_LEFT_OUT = sql.SQL("SELECT count(*) FROM {open} AND r.cell IS NULL")

_POINTS = sql.SQL("""
SELECT r.number, r.category, r.priority, r.status, r.zone_id, r.lon, r.lat, {weight} AS weight,
       greatest(%(epoch)s - date_part('epoch', r.created_at), 0) / 3600 AS age_hours
FROM {open} AND r.cell IS NOT NULL ORDER BY weight DESC LIMIT %(limit)s
""")

# The finest of the allowed resolutions that makes at most `limit` cells; a CASE stops counting at the first that fits.
_CELLS = sql.SQL("""
WITH fine AS MATERIALIZED (
    SELECT {finest} AS cell, count(*) AS n, sum({weight}) AS weight, min(r.cell) AS low, max(r.cell) AS high
    FROM {open} AND r.cell IS NOT NULL GROUP BY 1
), fit AS MATERIALIZED (
    SELECT CASE {choices} ELSE 0 END AS resolution
)
SELECT fit.resolution, {parent} AS cell, sum(f.n)::bigint AS n, sum(f.weight) AS weight, min(f.low) AS low, max(f.high) AS high
FROM fine f, fit GROUP BY 1, 2
""")
_CHOICE = sql.SQL("WHEN (SELECT count(DISTINCT {parent}) FROM fine f) <= %(limit)s THEN {resolution}")

_SINGLES = sql.SQL("""
SELECT r.cell, r.number, r.category, r.priority, r.status, r.lon, r.lat
FROM {open} AND r.cell = ANY(%(cells)s)
""")

_ZONES_OPEN = sql.SQL("""
SELECT r.zone_id, count(*) AS open, count(*) FILTER (WHERE r.sla_state = 'overdue') AS overdue,
       count(*) FILTER (WHERE r.sla_state = 'breached') AS breached,
       count(*) FILTER (WHERE r.sla_state = 'at_risk') AS at_risk, sum({weight}) AS weight
FROM {open} GROUP BY r.zone_id
""")

_ZONES_RESOLVED = sql.SQL(f"""
SELECT r.zone_id, count(*) AS resolved, avg(date_part('epoch', r.resolved_at - r.created_at) / 3600) AS hours
FROM requests r
WHERE r.tenant_id = %(tenant_id)s AND r.resolved_at >= %(since)s AND {stands_resolved("r")}{{filters}}
GROUP BY r.zone_id
""")

ZONES = """
SELECT zone_id, name, geometry::text AS geometry FROM zones
WHERE tenant_id = %(tenant_id)s AND (%(zones)s::text[] IS NULL OR zone_id = ANY(%(zones)s)) ORDER BY zone_id
"""

# The document is sent back only to a caller who has not got it already.
FIND_FEED = """
SELECT generated_at, filters, aggregation, etag, CASE WHEN etag = ANY(%(seen)s) THEN NULL ELSE geojson::text END AS geojson
FROM geo_feeds
WHERE tenant_id = %(tenant_id)s AND feed_name = %(feed_name)s AND filters_key = %(filters_key)s AND generated_at > %(since)s
"""

PUT_FEED = """
INSERT INTO geo_feeds (tenant_id, feed_name, filters_key, filters, generated_at, aggregation, geojson, etag)
VALUES (%(tenant_id)s, %(feed_name)s, %(filters_key)s, %(filters)s, %(generated_at)s, %(aggregation)s, %(geojson)s, %(etag)s)
ON CONFLICT (tenant_id, feed_name, filters_key) DO UPDATE
SET filters = excluded.filters, generated_at = excluded.generated_at, aggregation = excluded.aggregation,
    geojson = excluded.geojson, etag = excluded.etag
WHERE geo_feeds.generated_at < excluded.generated_at
"""

# Locked rows are skipped: two callers that tidy at once must not wait for each other.
DROP_OLD_FEEDS = """
DELETE FROM geo_feeds g USING (
    SELECT feed_name, filters_key FROM geo_feeds WHERE tenant_id = %(tenant_id)s
    ORDER BY generated_at DESC OFFSET %(keep)s FOR UPDATE SKIP LOCKED
) AS old
WHERE g.tenant_id = %(tenant_id)s AND g.feed_name = old.feed_name AND g.filters_key = old.filters_key
"""


def _filters(
    scope: Scope, *, columns: frozenset[str] = frozenset({"zone_id", "category", "priority", "status"})
) -> sql.Composed:
    parts = [
        sql.SQL(" AND r.{column} = ANY(%({column})s)").format(column=sql.SQL(column))
        for column in scope.values()
        if column in columns
    ]
    if not scope.sight.is_everything:
        parts.append(sql.SQL(" AND {}").format(scope.sight.predicate()))
    if scope.bbox is not None and "status" in columns:
        parts.append(sql.Composed([sql.SQL(f" AND {box_condition(scope.bbox)}")]))
    return sql.Composed(parts)


def _spans(scope: Scope) -> list[Span] | None:
    return None if scope.bbox is None else cell_spans(scope.bbox)


def _open_anywhere(scope: Scope) -> sql.Composed:
    filters = _filters(scope)
    masters: sql.Composed = _OPEN.format(filters=filters)
    if scope.sight.is_everything:
        return masters
    seen = {"public": PUBLIC.predicate(), "master_seen": scope.sight.predicate("m")}
    return _OPEN_SEEN.format(columns=_COLUMNS, open=masters, filters=filters, **seen)


def _open(scope: Scope) -> sql.Composed:
    """Writes what follows FROM to read the open requests in scope as `r`, up to a WHERE that takes further conditions."""
    anywhere = _open_anywhere(scope)
    return anywhere if _spans(scope) is None else _OPEN_IN_SPANS.format(columns=_COLUMNS, open=anywhere)


def _parent(cell: str, resolution: int | str) -> sql.SQL:
    return sql.SQL(_PARENT.format(cell=cell, resolution=resolution))


def _values(tx: Tx, scope: Scope, **more: Any) -> dict[str, Any]:
    spans = _spans(scope) or []
    ends = {"lows": [low for low, _ in spans], "highs": [high for _, high in spans]}
    box = box_values(scope.bbox)
    return {"tenant_id": tx.tenant_id, **scope.values(), **scope.sight.parameters, **box, **ends, **more}


def _weighing(weights: Mapping[str, float], at: datetime) -> dict[str, float]:
    return {"epoch": at.timestamp(), **{f"w{number}": weights[f"P{number}"] for number in range(1, 5)}}


async def count_open(tx: Tx, scope: Scope, *, limit: int) -> int:
    """Counts the open requests with a place, up to `limit`."""
    statement = _COUNT.format(open=_open(scope))
    counted: int = await tx.value(statement, _values(tx, scope, limit=limit))
    return counted


async def count_left_out(tx: Tx, scope: Scope) -> int:
    """Counts the open requests that are on no map: without a place, or of which only the town or the region is known."""
    counted: int = await tx.value(_LEFT_OUT.format(open=_open_anywhere(scope)), _values(tx, scope))
    return counted


async def list_points(tx: Tx, scope: Scope, *, weights: Mapping[str, float], at: datetime, limit: int) -> list[Row]:
    """Lists the `limit` heaviest open requests with their weight and age."""
    statement = _POINTS.format(open=_open(scope), weight=sql.SQL(_WEIGHT))
    return await tx.rows(statement, _values(tx, scope, limit=limit, **_weighing(weights, at)))


async def list_cells(
    tx: Tx, scope: Scope, *, weights: Mapping[str, float], at: datetime, finest: int, limit: int
) -> list[Row]:
    """Lists open requests by cell: resolution, cell (an H3 index but for its resolution bits), n, weight, lowest and highest cell inside.

    The resolution is `finest`, or the finest coarser one that makes at most `limit` cells.
    """
    choices = [
        _CHOICE.format(parent=_parent("f.cell", level), resolution=sql.Literal(level)) for level in range(finest, 0, -1)
    ]
    statement = _CELLS.format(
        finest=_parent("r.cell", finest),
        weight=sql.SQL(_WEIGHT),
        open=_open(scope),
        choices=sql.SQL(" ").join(choices),
        parent=_parent("f.cell", "fit.resolution"),
    )
    return await tx.rows(statement, _values(tx, scope, limit=limit, **_weighing(weights, at)))


async def list_in_cells(tx: Tx, scope: Scope, cells: Sequence[int]) -> list[Row]:
    """Lists the open requests in these cells of the finest resolution."""
    if not cells:
        return []
    statement = _SINGLES.format(open=_open(scope))
    return await tx.rows(statement, _values(tx, scope, cells=list(cells)))


async def count_by_zone(tx: Tx, scope: Scope, *, weights: Mapping[str, float], at: datetime) -> list[Row]:
    """Counts open requests by zone: open, overdue, breached, at_risk and weight."""
    statement = _ZONES_OPEN.format(open=_open(scope), weight=sql.SQL(_WEIGHT))
    return await tx.rows(statement, _values(tx, scope, **_weighing(weights, at)))


async def resolved_by_zone(tx: Tx, scope: Scope, *, since: datetime) -> list[Row]:
    """Counts requests resolved since then by zone, with the mean hours it took. Not filtered by state or box."""
    statement = _ZONES_RESOLVED.format(filters=_filters(scope, columns=frozenset({"zone_id", "category", "priority"})))
    return await tx.rows(statement, _values(tx, scope, since=since))


async def list_zones(tx: Tx, scope: Scope) -> list[Row]:
    """Lists the zones in scope with their polygon as JSON text."""
    return await tx.rows(ZONES, {"tenant_id": tx.tenant_id, "zones": list(scope.zone) or None})


async def find_feed(
    tx: Tx, *, feed_name: str, filters_key: str, at: datetime, max_age: int, seen: Sequence[str]
) -> Row | None:
    """Finds the stored feed when it is younger than `max_age` seconds; without its geojson when the caller has `seen` its etag."""
    values = {
        "tenant_id": tx.tenant_id,
        "feed_name": feed_name,
        "filters_key": filters_key,
        "since": at - timedelta(seconds=max_age),
        "seen": list(seen),
    }
    return await tx.row(FIND_FEED, values)


async def put_feed(tx: Tx, feed: Mapping[str, Any], *, filters_key: str, keep: int) -> None:
    """Stores a feed, unless a newer one is there, and drops all but the `keep` newest."""
    values = {
        **feed,
        "tenant_id": tx.tenant_id,
        "filters_key": filters_key,
        "filters": Jsonb(feed["filters"]),
        "aggregation": Jsonb(feed["aggregation"]),
    }
    await tx.run(PUT_FEED, values)
    await tx.run(DROP_OLD_FEEDS, {"tenant_id": tx.tenant_id, "keep": keep})
