"""Lists of requests: filters, sort and keyset paging, as one statement whose cost is its page."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import sql

from civicpulse.base.db import Row, Tx
from civicpulse.base.errors import Invalid
from civicpulse.base.paging import decode_cursor, encode_cursor
from civicpulse.requests.queries import COLUMNS
from civicpulse.requests.visibility import PUBLIC, Sight, as_seen, related

# Sort → (columns that order, their kinds). A leading minus turns all of them round; each has its index.
SORTS: dict[str, tuple[tuple[str, ...], tuple[type, ...]]] = {
    "created_at": (("created_at", "id"), (datetime, UUID)),
    "updated_at": (("updated_at", "id"), (datetime, UUID)),
    "priority": (("priority", "created_at", "id"), (str, datetime, UUID)),
}

# Spec 4's names for SLA states, accepted as filters.
SLA_STATE_ALIASES = {"on_track": "on_time", "near_breach": "at_risk"}

MOST_TEXT_MATCHES = 1000


@dataclass(frozen=True, slots=True)
class Filters:
    """What a list is narrowed to; empty means everything that `sight`, the reader's, sees."""

    status: Sequence[str] = ()
    category: Sequence[str] = ()
    priority: Sequence[str] = ()
    zone: Sequence[str] = ()
    sla_state: Sequence[str] = ()
    agent_id: UUID | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    text: str | None = None
    merged: bool | None = None
    needs_person: bool | None = None
    bbox: tuple[float, float, float, float] | None = None
    source: str | None = None
    external_id: str | None = None
    citizen_id: UUID | None = None
    reporter: str | None = None
    sight: Sight = PUBLIC


def parse_bbox(text: str | None) -> tuple[float, float, float, float] | None:
    """`west,south,east,north` in degrees. Raises Invalid saying what is expected."""
    if text is None:
        return None
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError:
        raise Invalid(
            "bbox is west,south,east,north in degrees, such as -71.2,42.2,-70.9,42.4.", field="bbox"
        ) from None
    if not (-180 <= west <= east <= 180 and -90 <= south <= north <= 90):
        raise Invalid(
            "bbox is west,south,east,north: longitudes -180..180, latitudes -90..90, the smaller one first.",
            field="bbox",
        )
    return west, south, east, north


def _in(column: str, values: Sequence[str]) -> tuple[sql.SQL, dict[str, Any]]:
    # One value is asked for by equality, so that the (tenant, value, created_at) index gives the order as well.
    if len(values) == 1:
        return sql.SQL(f"r.{column} = %({column})s"), {column: values[0]}
    return sql.SQL(f"r.{column} = ANY(%({column})s)"), {column: list(values)}


def _conditions(wanted: Filters) -> tuple[list[sql.Composable], dict[str, Any]]:
    parts: list[sql.Composable] = [sql.SQL("r.tenant_id = %(tenant_id)s")]
    values: dict[str, Any] = {}
    lists = {
        "status": wanted.status,
        "category": wanted.category,
        "priority": wanted.priority,
        "zone_id": wanted.zone,
        "sla_state": [SLA_STATE_ALIASES.get(state, state) for state in wanted.sla_state],
    }
    for column, given in lists.items():
        if given:
            part, bound = _in(column, given)
            parts.append(part)
            values |= bound
    single = {
        "assigned_agent_id = %(agent_id)s": ("agent_id", wanted.agent_id),
        "created_at >= %(created_from)s": ("created_from", wanted.created_from),
        "created_at < %(created_to)s": ("created_to", wanted.created_to),
        "source = %(source)s": ("source", wanted.source),
        "external_id = %(external_id)s": ("external_id", wanted.external_id),
        "citizen_id = %(citizen_id)s": ("citizen_id", wanted.citizen_id),
        "created_by = %(reporter)s AND r.created_by <> 'anonymous'": ("reporter", wanted.reporter),
    }
    for condition, (name, value) in single.items():
        if value is not None:
            parts.append(sql.SQL(f"r.{condition}"))
            values[name] = value
    if not wanted.sight.is_everything:
        parts.append(wanted.sight.predicate())
        values |= wanted.sight.parameters
    if wanted.merged is not None:
        parts.append(_is_duplicate(wanted.sight) if wanted.merged else _is_master(wanted.sight))
    if wanted.needs_person is not None:
        parts.append(sql.SQL("r.needs_person" if wanted.needs_person else "NOT r.needs_person"))
    if wanted.bbox:
        parts.append(sql.SQL("r.lon BETWEEN %(west)s AND %(east)s AND r.lat BETWEEN %(south)s AND %(north)s"))
        values |= dict(zip(("west", "south", "east", "north"), wanted.bbox, strict=True))
    if wanted.text:
        parts.append(sql.SQL("r.id IN (SELECT id FROM gate_search(%(text)s, %(most)s))"))
        values |= {"text": wanted.text, "most": MOST_TEXT_MATCHES}
    return parts, values


def _is_master(sight: Sight) -> sql.Composable:
    """Masters, and the duplicates of masters that the reader does not see: to them, each is a request of its own."""
    if sight.is_everything:
        return sql.SQL("r.master_id IS NULL")
    return sql.SQL("(r.master_id IS NULL OR NOT {})").format(_is_duplicate(sight))


def _is_duplicate(sight: Sight) -> sql.Composable:
    if sight.is_everything:
        return sql.SQL("r.master_id IS NOT NULL")
    # A value, not EXISTS: one look-up for each row of the page, never a list of all that could be seen.
    return sql.SQL(
        "coalesce((SELECT {seen} FROM requests m WHERE m.tenant_id = r.tenant_id AND m.id = r.master_id), false)"
    ).format(seen=sight.predicate("m"))


async def list_requests(
    tx: Tx, wanted: Filters, *, sort: str, limit: int, cursor: str | None
) -> tuple[list[Row], str | None]:
    """One page of requests and the cursor of the next one (None at the end). One statement.

    Raises Invalid for an unknown sort or a cursor that does not fit it.
    """
    name, descending = sort.removeprefix("-"), sort.startswith("-")
    if name not in SORTS:
        raise Invalid(f"sort is one of {', '.join(SORTS)}, with a minus for the other direction.", field="sort")
    columns, kinds = SORTS[name]
    parts, values = _conditions(wanted)
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
    ).format(columns=sql.SQL(COLUMNS), related=related(wanted.sight), where=sql.SQL(" AND ").join(parts), order=order)
    rows = await tx.rows(statement, values | {"tenant_id": tx.tenant_id, "limit": limit + 1})
    rows = [as_seen(row) for row in rows]
    if len(rows) <= limit:
        return rows, None
    last = rows[limit - 1]
    return rows[:limit], encode_cursor(sort, [last[column] for column in columns])


async def count_requests(tx: Tx, wanted: Filters) -> int:
    """How many requests the filters leave; asked for on purpose, as its cost grows with the answer."""
    parts, values = _conditions(wanted)
    statement = sql.SQL("SELECT count(*) FROM requests r WHERE {where}").format(where=sql.SQL(" AND ").join(parts))
    counted: int = await tx.value(statement, values | {"tenant_id": tx.tenant_id})
    return counted
