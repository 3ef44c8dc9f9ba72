"""Lists of reports for staff: filters and keyset paging, as one statement whose cost is its page."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias
from uuid import UUID

from psycopg import sql

from civicpulse.base.db import Row, Tx
from civicpulse.base.errors import NoSuchChoice
from civicpulse.base.paging import decode_cursor, encode_cursor
from civicpulse.reports.queries import COLUMNS, OF_ISSUE, RELATED
from civicpulse.requests.visibility import EVERYTHING, Sight

State: TypeAlias = Literal["waiting", "processed", "parked"]
Outcome: TypeAlias = Literal["new", "attached", "proposed"]

SORTS: Final = ("submitted_at", "-submitted_at")
# Spelt out, not a parameter: so the planner knows which of the partial indexes holds the rows.
STATES: Final[dict[State, str]] = {
    "waiting": "r.state = 'waiting'",
    "processed": "r.state = 'processed'",
    "parked": "r.state = 'parked'",
}


@dataclass(frozen=True, slots=True)
class Filters:
    """What the list is filtered by; `issue` is the id of a master, `reach` what is the reader's to work on."""

    state: State | None = None
    outcome: Outcome | None = None
    issue: UUID | None = None
    reach: Sight = EVERYTHING


async def list_reports(
    tx: Tx, wanted: Filters, *, sort: str, limit: int, cursor: str | None
) -> tuple[list[Row], str | None]:
    """Lists one page of reports and the cursor of the next one (None at the end). One statement."""
    if sort not in SORTS:
        raise NoSuchChoice("sort", [sort], SORTS)
    descending = sort.startswith("-")
    parts: list[sql.Composable] = [sql.SQL("r.tenant_id = %(tenant_id)s")]
    if wanted.state is not None:
        parts.append(sql.SQL(STATES[wanted.state]))
    if wanted.outcome is not None:
        parts.append(sql.SQL("r.outcome = %(outcome)s"))
    if wanted.issue is not None:
        parts.append(sql.SQL(f"r.id IN ({OF_ISSUE})"))
    if not wanted.reach.is_everything:
        parts.append(wanted.reach.predicate("q"))
    values: dict[str, Any] = {
        "tenant_id": tx.tenant_id,
        "outcome": wanted.outcome,
        "issue": wanted.issue,
        "limit": limit + 1,
    }
    values |= wanted.reach.parameters
    if cursor is not None:
        after_at, after_id = decode_cursor(cursor, sort, (datetime, UUID))
        parts.append(sql.SQL(f"(r.submitted_at, r.id) {'<' if descending else '>'} (%(after_at)s, %(after_id)s)"))
        values |= {"after_at": after_at, "after_id": after_id}
    way = "DESC" if descending else "ASC"
    statement = sql.SQL(
        "SELECT {columns} FROM reports r {related} WHERE {where} ORDER BY {order} LIMIT %(limit)s"
    ).format(
        columns=sql.SQL(COLUMNS),
        related=sql.SQL(RELATED),
        where=sql.SQL(" AND ").join(parts),
        order=sql.SQL(f"r.submitted_at {way}, r.id {way}"),
    )
    rows = await tx.rows(statement, values)
    if len(rows) <= limit:
        return rows, None
    last = rows[limit - 1]
    return rows[:limit], encode_cursor(sort, [last["submitted_at"], last["id"]])
