"""The KPI ledger in SQL: the statements that read it, fold it and make it anew (migrations 0003 and 0020 say what it is).

A question is answered from three sources that never overlap: month cells inside the period, day cells at its edges, and
loose rows, that is deltas not folded yet and the requests of a day that the period cuts. All in one statement, hence one
snapshot: a fold that commits meanwhile cannot make a request count twice or not at all.

Cells are of all requests and of the public ones, and of the tenant's own days. Who sees something between has what is not
public and yet theirs added from the requests themselves, as loose rows. And while the cells are of another time zone, or
are to be made anew, all rows are loose: slower, and right.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any

from psycopg import sql

from civicpulse.base.db import Row, Tx
from civicpulse.insight.kpis.measures import BUCKETS, MEASURES
from civicpulse.insight.schemas import Period, Scope
from civicpulse.requests.visibility import PUBLIC

DIMENSION_BITS = {"zone_id": 1, "category": 2, "priority": 4}
OLDEST, NEWEST = date(1, 1, 1), date(9999, 12, 1)
DAY = timedelta(days=1)

# A section of the answer → the column that it is broken down by.
SECTIONS = {"state": "status", "zone": "zone_id", "category": "category", "priority": "priority"}

_SUMS = sql.SQL(", ").join(
    sql.SQL("coalesce(sum({name}), 0)::bigint AS {name}").format(name=sql.Identifier(name)) for name in MEASURES
)
_SUMS_ALONE = sql.SQL(", ").join(sql.SQL("sum({})").format(sql.Identifier(name)) for name in MEASURES)
_NAMES = sql.SQL(", ").join(sql.Identifier(name) for name in MEASURES)
_HISTOGRAM = sql.SQL("ARRAY[{}]").format(
    sql.SQL(", ").join(sql.SQL("coalesce(sum({}), 0)::bigint").format(sql.Identifier(name)) for name in BUCKETS)
)
_NO_HISTOGRAM = sql.SQL("NULL::bigint[]")

_CELLS = sql.SQL("""
SELECT {section} AS section, ({key})::text AS key, {sums}, {histogram} AS histogram
FROM kpi_cells c WHERE c.tenant_id = %(tenant_id)s AND c.dims = {dims} AND {span}{filters} AND {fits} GROUP BY {group}
""")

_MONTHS = sql.SQL("c.is_month AND c.start >= %(first_month)s AND c.start < %(last_month)s")
_EDGE_DAYS = sql.SQL("NOT c.is_month AND c.start = ANY(%(edge_days)s)")
_ALL_DAYS = sql.SQL("NOT c.is_month AND c.start >= %(first_day)s AND c.start < %(last_day)s")

# Whether the cells are of the days that are asked for. A tenant without a row has no cells: what it has is in the deltas.
_FITS = sql.SQL("""coalesce(
    (SELECT coalesce(k.time_zone = %(time_zone)s, false) FROM kpi_ledgers k WHERE k.tenant_id = %(tenant_id)s), true)""")

_LOOSE = sql.SQL("""
WITH loose AS MATERIALIZED (
    SELECT (c.at AT TIME ZONE %(time_zone)s::text)::date AS day, c.zone_id, c.category, c.priority, c.status, c.bucket, {names}
    FROM kpi_deltas c
    WHERE c.tenant_id = %(tenant_id)s AND c.at >= %(first_at)s AND c.at < %(last_at)s{filters} AND {fits}
    {requests}
)
""")
_REQUESTS = sql.SQL("""
    UNION ALL
    SELECT (c.created_at AT TIME ZONE %(time_zone)s::text)::date AS day, c.zone_id, c.category, c.priority, c.status, c.bucket, {names}
    FROM kpi_contributions c
    WHERE c.tenant_id = %(tenant_id)s AND c.created_at >= %({since})s AND c.created_at < %({until})s{filters} AND {condition}
""")

_LOOSE_SECTIONS = sql.SQL("""
SELECT CASE WHEN grouping(status) = 0 THEN 'state' WHEN grouping(zone_id) = 0 THEN 'zone' WHEN grouping(category) = 0 THEN 'category'
            WHEN grouping(priority) = 0 THEN 'priority' WHEN grouping(bucket) = 0 THEN 'bucket' ELSE 'period' END AS section,
       coalesce(status, zone_id, category, priority, bucket::text, (date_trunc({grain}, day::timestamp)::date)::text) AS key,
       {sums}, NULL::bigint[] AS histogram
FROM loose
GROUP BY GROUPING SETS ((status), (zone_id), (category), (priority), (bucket), (date_trunc({grain}, day::timestamp)::date))
""")

COUNT_DELTAS = """
SELECT count(*) FROM (SELECT 1 FROM kpi_deltas WHERE tenant_id = %(tenant_id)s LIMIT %(limit)s) AS few
"""

LOCK_LEDGER = "SELECT pg_try_advisory_xact_lock(%(lock)s)"

HOW_IT_STANDS = """
SELECT (SELECT k.time_zone FROM kpi_ledgers k WHERE k.tenant_id = %(tenant_id)s) AS time_zone,
       EXISTS (SELECT 1 FROM kpi_ledgers k WHERE k.tenant_id = %(tenant_id)s) AS is_kept,
       EXISTS (SELECT 1 FROM kpi_cells c WHERE c.tenant_id = %(tenant_id)s) AS has_cells
"""

PUT_ZONE = """
INSERT INTO kpi_ledgers (tenant_id, time_zone) VALUES (%(tenant_id)s, %(time_zone)s)
ON CONFLICT (tenant_id) DO UPDATE SET time_zone = excluded.time_zone
"""

FORGET_ZONE = """
UPDATE kpi_ledgers SET time_zone = NULL WHERE tenant_id = %(tenant_id)s AND time_zone <> %(time_zone)s
"""

# One statement, hence one snapshot of requests and deltas: what is written meanwhile adds its own deltas to these.
_BEGIN_ANEW = sql.SQL("""
WITH no_cells AS (
    DELETE FROM kpi_cells c WHERE c.tenant_id = %(tenant_id)s
), no_deltas AS (
    DELETE FROM kpi_deltas d WHERE d.tenant_id = %(tenant_id)s
)
INSERT INTO kpi_deltas (tenant_id, day, at, zone_id, category, priority, status, is_public, bucket, {names})
SELECT %(tenant_id)s, s.day, s.day::timestamp AT TIME ZONE %(time_zone)s::text, s.zone_id, s.category, s.priority, s.status, s.is_public,
       s.bucket, {sums}
FROM (
    SELECT (c.created_at AT TIME ZONE %(time_zone)s::text)::date AS day, c.zone_id, c.category, c.priority, c.status, c.is_public, c.bucket,
           {names}
    FROM kpi_contributions c WHERE c.tenant_id = %(tenant_id)s
) AS s
GROUP BY s.day, s.zone_id, s.category, s.priority, s.status, s.is_public, s.bucket
""")

# Each delta goes into eight subsets of the dimensions, per day and per month. A cell that counts nothing any more goes.
_FOLD = sql.SQL("""
WITH taken AS (
    DELETE FROM kpi_deltas d WHERE d.tenant_id = %(tenant_id)s{some} RETURNING *
), merged AS (
    SELECT (at AT TIME ZONE %(time_zone)s::text)::date AS day, zone_id, category, priority, status, is_public, {sums}, {pivot}
    FROM taken GROUP BY 1, 2, 3, 4, 5, 6
)
MERGE INTO kpi_cells c
USING (
    SELECT s.dims::smallint AS dims, p.is_month,
           CASE WHEN p.is_month THEN date_trunc('month', m.day::timestamp)::date ELSE m.day END AS start,
           CASE WHEN s.dims & 1 > 0 THEN m.zone_id ELSE '' END AS zone_id,
           CASE WHEN s.dims & 2 > 0 THEN m.category ELSE '' END AS category,
           CASE WHEN s.dims & 4 > 0 THEN m.priority ELSE '' END AS priority, m.status, m.is_public, {sums}, {bucket_sums}
    FROM merged m CROSS JOIN generate_series(0, 7) AS s (dims) CROSS JOIN (VALUES (true), (false)) AS p (is_month)
    GROUP BY 1, 2, 3, 4, 5, 6, m.status, m.is_public ORDER BY 1, 2, 3
) AS n
ON c.tenant_id = %(tenant_id)s AND c.dims = n.dims AND c.is_month = n.is_month AND c.start = n.start AND c.zone_id = n.zone_id
   AND c.category = n.category AND c.priority = n.priority AND c.status = n.status AND c.is_public = n.is_public
WHEN MATCHED AND {becomes_empty} THEN DELETE
WHEN MATCHED THEN UPDATE SET {updates}
WHEN NOT MATCHED AND NOT ({is_empty}) THEN
    INSERT (tenant_id, dims, is_month, start, zone_id, category, priority, status, is_public, {names}, {buckets})
    VALUES (%(tenant_id)s, n.dims, n.is_month, n.start, n.zone_id, n.category, n.priority, n.status, n.is_public, {new}, {new_buckets})
""")
_SOME = sql.SQL(" AND d.ctid = ANY(ARRAY(SELECT ctid FROM kpi_deltas WHERE tenant_id = %(tenant_id)s LIMIT %(limit)s))")


def _each(pattern: str, names: tuple[str, ...], joint: str = ", ") -> sql.Composed:
    return sql.SQL(joint).join(
        sql.SQL(pattern).format(name=sql.Identifier(name), number=sql.Literal(index))
        for index, name in enumerate(names)
    )


def _fold_statement(*, some: bool) -> sql.Composed:
    updates = sql.SQL(", ").join(
        [
            _each("{name} = c.{name} + n.{name}", MEASURES),
            _each("{name} = nullif(coalesce(c.{name}, 0) + coalesce(n.{name}, 0), 0)", BUCKETS),
        ]
    )
    return _FOLD.format(
        some=_SOME if some else sql.SQL(""),
        sums=_SUMS,
        pivot=_each("sum(resolved) FILTER (WHERE bucket = {number}) AS {name}", BUCKETS),
        bucket_sums=_each("sum({name}) AS {name}", BUCKETS),
        becomes_empty=_each("c.{name} + n.{name} = 0", MEASURES, " AND "),
        is_empty=_each("n.{name} = 0", MEASURES, " AND "),
        updates=updates,
        names=_NAMES,
        buckets=_each("{name}", BUCKETS),
        new=_each("n.{name}", MEASURES),
        new_buckets=_each("nullif(n.{name}, 0)", BUCKETS),
    )


FOLD_ALL = _fold_statement(some=False)
FOLD_SOME = _fold_statement(some=True)
BEGIN_ANEW = _BEGIN_ANEW.format(names=_NAMES, sums=_SUMS_ALONE)


@dataclass(frozen=True, slots=True)
class Spans:
    """A period cut to the ledger's grains: whole months inside, whole days around them, instants at the very ends."""

    first_day: date
    last_day: date
    first_month: date
    last_month: date
    edge_days: tuple[date, ...]
    cut: tuple[tuple[datetime, datetime], ...]


def _midnight(day: date, zone: tzinfo = UTC) -> datetime:
    """Says when a day begins; the ends of the calendar are of UTC."""
    return datetime.combine(day, time(), UTC if day in (OLDEST, NEWEST) else zone).astimezone(UTC)


def _month_after(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def spans(period: Period) -> Spans:
    """Decides how to read `period` from the ledger. Days and months are half-open, of the period's time zone."""
    since, until, zone = period.since, period.until, period.zone
    first = OLDEST if since is None else since.astimezone(zone).date()
    last = NEWEST if until is None else until.astimezone(zone).date()
    cut: list[tuple[datetime, datetime]] = []
    if since is not None and since != _midnight(first, zone):
        first += DAY
        end = _midnight(first, zone)
        cut.append((since, end if until is None else min(end, until)))
    if until is not None and until != _midnight(last, zone) and last >= first:
        cut.append((_midnight(last, zone), until))
    last = max(first, last)
    first_month = first if first.day == 1 else _month_after(first)
    last_month = last.replace(day=1)
    if first_month >= last_month:
        return Spans(first, last, first, first, _days(first, last), tuple(cut))
    edges = _days(first, first_month) + _days(last_month, last)
    return Spans(first, last, first_month, last_month, edges, tuple(cut))


def _days(first: date, last: date) -> tuple[date, ...]:
    return tuple(first + DAY * number for number in range((last - first).days))


def _lists(scope: Scope) -> sql.Composed:
    return sql.Composed(
        [sql.SQL(" AND c.{column} = ANY(%({column})s)").format(column=sql.SQL(column)) for column in scope.values()]
    )


def _filters(scope: Scope) -> sql.Composed:
    """Says what of the ledger is summed: the filters, of all requests or of the public ones."""
    kept = scope.sight if scope.sight.is_everything else PUBLIC
    return sql.Composed([_lists(scope), sql.SQL(" AND {}").format(kept.predicate("c"))])


def _from_requests(scope: Scope, where: Spans) -> sql.Composed:
    """Selects the loose rows that are read from the requests: of cut days, of what is seen and not public, of all while nothing fits."""
    filters, lists, seen = _filters(scope), _lists(scope), scope.sight.predicate("c")

    def rows(since: str, until: str, filters: sql.Composable, condition: sql.Composable) -> sql.Composed:
        ends = {"since": sql.SQL(since), "until": sql.SQL(until)}
        return _REQUESTS.format(names=_NAMES, filters=filters, condition=condition, **ends)

    parts = [rows(f"cut_{n}_since", f"cut_{n}_until", filters, _FITS) for n in range(len(where.cut))]
    if not scope.sight.is_everything and not scope.public_only:
        more = sql.SQL("NOT {} AND {} AND {}").format(PUBLIC.predicate("c"), seen, _FITS)
        parts.append(rows("since", "until", lists, more))
    parts.append(rows("since", "until", lists, sql.SQL("{} AND NOT {}").format(seen, _FITS)))
    return sql.Composed(parts)


def _sections(scope: Scope, where: Spans, grain: str) -> list[sql.Composed]:
    """Writes the branches that read cells: per section its own subset of the dimensions, months and edge days apart."""
    filtered = sum(bit for column, bit in DIMENSION_BITS.items() if column in scope.values())
    filters = _filters(scope)
    inside = [_MONTHS] if where.first_month < where.last_month else []
    inside += [_EDGE_DAYS] if where.edge_days else []

    def branch(
        section: str, key: sql.Composable, span: sql.SQL, *, bit: int = 0, histogram: bool = False
    ) -> sql.Composed:
        return _CELLS.format(
            section=sql.Literal(section),
            key=key,
            sums=_SUMS,
            histogram=_HISTOGRAM if histogram else _NO_HISTOGRAM,
            dims=sql.Literal(filtered | bit),
            span=span,
            filters=filters,
            fits=_FITS,
            group=key,
        )

    branches = [
        branch(
            section,
            sql.SQL("c.{}").format(sql.Identifier(column)),
            span,
            bit=DIMENSION_BITS.get(column, 0),
            histogram=section == "state",
        )
        for section, column in SECTIONS.items()
        for span in inside
    ]
    by_start = sql.SQL("date_trunc({}, c.start::timestamp)::date").format(sql.Literal(grain))
    period_spans = inside if grain == "month" else [_ALL_DAYS]
    return branches + [branch("period", by_start, span) for span in period_spans]


async def read_ledger(tx: Tx, scope: Scope, period: Period, *, grain: str) -> list[Row]:
    """Reads sums by section and key: state, zone, category, priority, bucket (loose rows only) and period. One statement.

    Rows of the same section and key come from different sources and are to be added up; `histogram` is on some.
    """
    where = spans(period)
    loose = _LOOSE.format(names=_NAMES, filters=_filters(scope), fits=_FITS, requests=_from_requests(scope, where))
    branches = [*_sections(scope, where, grain), _LOOSE_SECTIONS.format(grain=sql.Literal(grain), sums=_SUMS)]
    values: dict[str, Any] = {
        **scope.values(),
        **scope.sight.parameters,
        **ends(period),
        "tenant_id": tx.tenant_id,
        "time_zone": period.zone.key,
        "first_day": where.first_day,
        "last_day": where.last_day,
        "first_at": _midnight(where.first_day, period.zone),
        "last_at": _midnight(where.last_day, period.zone),
        "first_month": where.first_month,
        "last_month": where.last_month,
        "edge_days": list(where.edge_days),
    }
    for number, (since, until) in enumerate(where.cut):
        values |= {f"cut_{number}_since": since, f"cut_{number}_until": until}
    return await tx.rows(sql.Composed([loose, sql.SQL(" UNION ALL ").join(branches)]), values)


def ends(period: Period) -> dict[str, datetime]:
    """Makes the parameters since and until, open ends closed."""
    return {"since": period.since or _midnight(OLDEST), "until": period.until or _midnight(NEWEST)}


async def count_deltas(tx: Tx, *, limit: int) -> int:
    """Counts the deltas that wait to be folded, up to `limit`."""
    counted: int = await tx.value(COUNT_DELTAS, {"tenant_id": tx.tenant_id, "limit": limit})
    return counted


async def lock_ledger(tx: Tx, lock: int) -> bool:
    """Locks the ledger for folding; False while another transaction folds."""
    locked: bool = await tx.value(LOCK_LEDGER, {"lock": lock})
    return locked


async def fits(tx: Tx, zone: str) -> bool:
    """Makes sure that what is folded now belongs to the days of this time zone; False when the cells are of others.

    A tenant that has no cells yet gets the zone.
    """
    stands = await tx.row(HOW_IT_STANDS, {"tenant_id": tx.tenant_id})
    assert stands is not None, "a SELECT without FROM has a row"
    if not stands["is_kept"] and not stands["has_cells"]:
        await tx.run(PUT_ZONE, {"tenant_id": tx.tenant_id, "time_zone": zone})
        return True
    return bool(stands["time_zone"] == zone)


async def forget_other_zone(tx: Tx, zone: str) -> None:
    """Says that cells of the days of another time zone than this are to be made anew."""
    await tx.run(FORGET_ZONE, {"tenant_id": tx.tenant_id, "time_zone": zone})


async def begin_anew(tx: Tx, zone: str) -> None:
    """Throws the tenant's cells and deltas away and notes every request anew, by the days of this time zone.

    The ledger is locked (`lock_ledger`): nobody folds meanwhile.
    """
    values = {"tenant_id": tx.tenant_id, "time_zone": zone}
    await tx.run(BEGIN_ANEW, values)
    await tx.run(PUT_ZONE, values)


async def fold(tx: Tx, zone: str, *, limit: int, all_of_them: bool) -> None:
    """Moves the tenant's deltas (or `limit` of them) into the cells, by the days of this time zone."""
    values = {"tenant_id": tx.tenant_id, "time_zone": zone, "limit": limit}
    await tx.run(FOLD_ALL if all_of_them else FOLD_SOME, values)
