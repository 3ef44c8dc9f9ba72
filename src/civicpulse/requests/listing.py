"""Lists of requests: filters, sort and keyset paging, as one statement whose cost is its page."""

from datetime import datetime
from uuid import UUID

from psycopg import sql

from civicpulse.base.db import Row, Tx
from civicpulse.base.errors import NoSuchChoice
from civicpulse.base.paging import decode_cursor, encode_cursor
from civicpulse.requests.filters import RequestFilters, conditions
from civicpulse.requests.store import COLUMNS
from civicpulse.requests.visibility import Sight, as_seen, related

# Sort → (columns that order, their kinds). A leading minus turns all of them round; each has its index.
SORTS: dict[str, tuple[tuple[str, ...], tuple[type, ...]]] = {
    "created_at": (("created_at", "id"), (datetime, UUID)),
    "updated_at": (("updated_at", "id"), (datetime, UUID)),
    "priority": (("priority", "created_at", "id"), (str, datetime, UUID)),
}

# Issues are also ordered by how many reported them, counted at the moment: its cost grows with what matches the filters.
BY_REPORTS: dict[str, tuple[tuple[str, ...], tuple[type, ...]]] = {
    "reports": (("reports", "created_at", "id"), (int, datetime, UUID))
}
_REPORTS = sql.SQL("""CROSS JOIN LATERAL (
    SELECT 1 + count(*) AS reports FROM requests o WHERE o.tenant_id = r.tenant_id AND o.master_id = r.id AND {seen}
) AS n""")


async def list_requests(
    tx: Tx,
    wanted: RequestFilters,
    sight: Sight,
    *,
    sort: str,
    limit: int,
    cursor: str | None,
    by_reports: bool = False,
) -> tuple[list[Row], str | None]:
    """Lists one page of the requests that `sight` sees and the cursor of the next one (None at the end). One statement.

    With `by_reports` they may also be sorted by how many reported them. Raises NoSuchChoice for an unknown sort, Invalid
    for a cursor that does not fit it.
    """
    name, descending = sort.removeprefix("-"), sort.startswith("-")
    sorts = SORTS | BY_REPORTS if by_reports else SORTS
    if name not in sorts:
        raise NoSuchChoice("sort", [sort], [*sorts, *(f"-{known}" for known in sorts)])
    columns, kinds = sorts[name]
    counted = _REPORTS.format(seen=sight.predicate("o")) if name in BY_REPORTS else sql.SQL("")
    parts, values = conditions(wanted, sight)
    if cursor is not None:
        ends = decode_cursor(cursor, sort, kinds)
        names = [f"after_{index}" for index in range(len(ends))]
        left = ", ".join(map(_column, columns))
        right = ", ".join(f"%({key})s" for key in names)
        parts.append(sql.SQL(f"({left}) {'<' if descending else '>'} ({right})"))
        values |= dict(zip(names, ends, strict=True))
    order = sql.SQL(", ".join(f"{_column(column)} {'DESC' if descending else 'ASC'}" for column in columns))
    # The page is chosen first and dressed afterwards: relations are looked up for its rows only.
    statement = sql.SQL(
        "SELECT {columns}, {related}{more} FROM requests r {counted} WHERE {where} ORDER BY {order} LIMIT %(limit)s"
    ).format(
        columns=sql.SQL(COLUMNS),
        more=sql.SQL(", n.reports" if name in BY_REPORTS else ""),
        counted=counted,
        related=related(sight),
        where=sql.SQL(" AND ").join(parts),
        order=order,
    )
    rows = await tx.rows(statement, values | {"tenant_id": tx.tenant_id, "limit": limit + 1})
    rows = [as_seen(row) for row in rows]
    if len(rows) <= limit:
        return rows, None
    last = rows[limit - 1]
    return rows[:limit], encode_cursor(sort, [last[column] for column in columns])


def _column(name: str) -> str:
    return f"{'n' if name in BY_REPORTS else 'r'}.{name}"


async def count_requests(tx: Tx, wanted: RequestFilters, sight: Sight) -> int:
    """Counts the requests that are seen and match the filters; asked for on purpose, as its cost grows with the answer."""
    parts, values = conditions(wanted, sight)
    statement = sql.SQL("SELECT count(*) FROM requests r WHERE {where}").format(where=sql.SQL(" AND ").join(parts))
    counted: int = await tx.value(statement, values | {"tenant_id": tx.tenant_id})
    return counted
