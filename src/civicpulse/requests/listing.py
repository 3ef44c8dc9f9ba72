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


async def list_requests(
    tx: Tx, wanted: RequestFilters, sight: Sight, *, sort: str, limit: int, cursor: str | None
) -> tuple[list[Row], str | None]:
    """Lists one page of the requests that `sight` sees and the cursor of the next one (None at the end). One statement.

    Raises NoSuchChoice for an unknown sort, Invalid for a cursor that does not fit it.
    """
    name, descending = sort.removeprefix("-"), sort.startswith("-")
    if name not in SORTS:
        raise NoSuchChoice("sort", [sort], [*SORTS, *(f"-{known}" for known in SORTS)])
    columns, kinds = SORTS[name]
    parts, values = conditions(wanted, sight)
    if cursor is not None:
        ends = decode_cursor(cursor, sort, kinds)
        names = [f"after_{index}" for index in range(len(ends))]
        left = ", ".join(f"r.{column}" for column in columns)
        right = ", ".join(f"%({key})s" for key in names)
        parts.append(sql.SQL(f"({left}) {'<' if descending else '>'} ({right})"))
        values |= dict(zip(names, ends, strict=True))
    order = sql.SQL(", ".join(f"r.{column} {'DESC' if descending else 'ASC'}" for column in columns))
    # The page is chosen first and dressed afterwards: relations are looked up for its rows only.
    statement = sql.SQL(
        "SELECT {columns}, {related} FROM requests r WHERE {where} ORDER BY {order} LIMIT %(limit)s"
    ).format(columns=sql.SQL(COLUMNS), related=related(sight), where=sql.SQL(" AND ").join(parts), order=order)
    rows = await tx.rows(statement, values | {"tenant_id": tx.tenant_id, "limit": limit + 1})
    rows = [as_seen(row) for row in rows]
    if len(rows) <= limit:
        return rows, None
    last = rows[limit - 1]
    return rows[:limit], encode_cursor(sort, [last[column] for column in columns])


async def count_requests(tx: Tx, wanted: RequestFilters, sight: Sight) -> int:
    """Counts the requests that are seen and match the filters; asked for on purpose, as its cost grows with the answer."""
    parts, values = conditions(wanted, sight)
    statement = sql.SQL("SELECT count(*) FROM requests r WHERE {where}").format(where=sql.SQL(" AND ").join(parts))
    counted: int = await tx.value(statement, values | {"tenant_id": tx.tenant_id})
    return counted
