"""The only writer of requests, their events and outbox rows; for one or many, in set-shaped statements.

Rows travel as one JSON parameter: fifty parameters would cost the client more than the write costs the server, and
PostgreSQL reads them by the types of the table. A new column of a request is named here, in a migration, where intake
fills it and in the view that shows it.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from itertools import groupby
from typing import Any, Final
from uuid import UUID

import orjson
from psycopg import sql

from civicpulse.base import clock, due
from civicpulse.base.db import Row, Tx
from civicpulse.base.events import CHAIN_QUEUE, Actor
from civicpulse.requests.privacy.public import TEXTS, public_texts

# What a request is when it comes in; whoever opens one sets the rest.
DEFAULTS: Final[Row] = {
    "version": 1, "event_seq": 1, "source": "api", "external_id": None, "citizen_id": None, "anonymous": True,
    "created_by": "anonymous", "contact_channel": "none", "is_public": True, "sub_category": None, "tags": [],
    "lon": None, "lat": None, "cell": None, "address_hint": None, "address_key": None, "asset_id": None,
    "zone_id": "UNZONED", "master_id": None, "assigned_agent_id": None, "candidate_agents": [], "assignment_policy": None,
    "office_id": None, "sla": None, "sla_state": "no_sla", "sla_due_at": None, "sla_met": None, "sla_pauses": [],
    "sla_steps_fired": 0, "next_sla_at": None, "escalation_count": 0, "breach_reason": None, "milestones": {},
    "rating": None, "disputed": False, "disputes": 0, "notes": [], "triaged_at": None, "assigned_at": None, "in_progress_at": None,
    "resolved_at": None, "closed_at": None, "segment": None, "country_code": None, "geo_quality": None,
    "needs_person": False, "public_texts": None, "redacted": [],
}  # fmt: skip
REQUIRED: Final = (
    "id", "number", "pack_version", "category", "description", "status", "state_category", "priority", "priority_score",
    "created_at", "updated_at",
)  # fmt: skip
NAMES: Final = (*REQUIRED, *DEFAULTS)

ATTESTED: Final = (
    "number", "category", "status", "state_category", "priority", "priority_score", "zone_id", "is_public",
    "master_id", "assigned_agent_id", "office_id", "rating", "disputed", "created_at", "triaged_at", "assigned_at",
    "in_progress_at", "resolved_at", "closed_at",
)  # fmt: skip
"""Columns that a request's events vouch for, as each change leaves them. Whoever changes one goes through this module. None may
hold a person's words (of the description the trail keeps a hash)."""

COLUMNS: Final = ", ".join(f"r.{name}" for name in NAMES)
"""What a decision or a view needs of a row `r`; the search vector stays in the database."""

_TELL: Final = """
    RETURNING tenant_id, subject_id, seq, type
)
INSERT INTO outbox (tenant_id, subject_id, seq, type) SELECT tenant_id, subject_id, seq, type FROM told
"""

# A row that somebody else added in the meantime under the same external id is left alone and has no events.
_INSERT: Final = f"""
WITH added AS (
    INSERT INTO requests (tenant_id, {", ".join(NAMES)})
    SELECT %(tenant_id)s, {", ".join(f"g.{name}" for name in NAMES)}
    FROM json_populate_recordset(NULL::requests, %(rows)s::json) AS g
    ON CONFLICT (tenant_id, source, external_id) WHERE external_id IS NOT NULL DO NOTHING
    RETURNING id
), told AS (
    INSERT INTO events (tenant_id, subject_id, seq, type, actor_type, actor_id, at, meta, attests)
    SELECT %(tenant_id)s, e.id, e.seq, e.type, %(actor_type)s, %(actor_id)s, e.at, e.meta, e.attests
    FROM json_to_recordset(%(events)s::json) AS e (id uuid, seq int, type text, at timestamptz, meta jsonb, attests jsonb)
    JOIN added ON added.id = e.id
    ORDER BY e.id, e.seq
    RETURNING tenant_id, subject_id, seq, type
)"""

INSERT_TOLD: Final = f"""{_INSERT}, queued AS (
    INSERT INTO outbox (tenant_id, subject_id, seq, type) SELECT tenant_id, subject_id, seq, type FROM told
)
SELECT id FROM added"""

INSERT_QUIETLY: Final = f"{_INSERT} SELECT id FROM added"

# `event_seq` of a given row says how many events it brings. Without one the change is no news: version and time stay.
_CHANGE: Final = """
WITH given AS MATERIALIZED (
    SELECT g.id, g.event_seq AS news{given} FROM json_populate_recordset(NULL::requests, %(rows)s::json) AS g
), changed AS (
    UPDATE requests r SET {sets}version = r.version + CASE WHEN g.news > 0 THEN 1 ELSE 0 END, event_seq = r.event_seq + g.news,
        updated_at = CASE WHEN g.news > 0 THEN greatest(%(at)s, r.updated_at) ELSE r.updated_at END
    FROM given g WHERE r.tenant_id = %(tenant_id)s AND r.id = g.id
    RETURNING r.id, r.event_seq - g.news AS before
), told AS (
    INSERT INTO events (tenant_id, subject_id, seq, type, actor_type, actor_id, at, meta, attests)
    SELECT %(tenant_id)s, e.id, c.before + e.seq, e.type, %(actor_type)s, %(actor_id)s, e.at, e.meta, e.attests
    FROM json_to_recordset(%(events)s::json) AS e (id uuid, seq int, type text, at timestamptz, meta jsonb, attests jsonb)
    JOIN changed c ON c.id = e.id
    ORDER BY e.id, e.seq
"""

TAKE_NUMBERS: Final = "SELECT nextval(%(sequence)s::regclass) FROM generate_series(1, %(many)s)"


@dataclass(slots=True)
class Event:
    """A fact for the trail, in code's own name. `meta` holds no text that a person may have erased by law."""

    type: str
    meta: dict[str, Any]
    at: datetime | None = None
    """When it was so; None: at the moment of the write."""
    attests: dict[str, Any] = field(default_factory=dict)
    """What it vouches for besides columns of the row, such as hashes of what was stored beside it."""


@dataclass(slots=True)
class Changed:
    """What is to change of one request that this transaction has locked."""

    id: UUID
    columns: dict[str, Any]
    events: list[Event] = field(default_factory=list)


async def insert(
    tx: Tx, actor: Actor, requests: Sequence[tuple[Row, Sequence[Event]]], *, quietly: bool = False
) -> set[UUID]:
    """Adds requests, each a whole row (`DEFAULTS` and what is `REQUIRED`) with its first events. The ids added.

    `quietly` sets off no reactions: for history, of which nobody is to be told. A request whose source and external id
    are known already is left out.
    """
    for row, _ in requests:
        row["public_texts"] = public_texts(row)
    events = [
        event
        for row, told in requests
        for event in _written(row["id"], told, {"description": row["description"], **_kept(row)}, at=row["created_at"])
    ]
    rows = [row | {"event_seq": len(told)} for row, told in requests]
    statement = INSERT_QUIETLY if quietly else INSERT_TOLD
    added = await tx.rows(statement, _values(tx, actor, rows, events))
    if quietly:
        await due.mark(tx, CHAIN_QUEUE, at=clock.wall())
    return {row["id"] for row in added}


async def change(tx: Tx, actor: Actor, changes: Iterable[Changed], *, at: datetime, quietly: bool = False) -> None:
    """Changes requests that are locked and tells their trails. Those that change the same columns share a statement."""
    ordered = sorted(changes, key=_shape)
    for columns, alike in groupby(ordered, key=_shape):
        await _change(tx, actor, columns, list(alike), at=at, quietly=quietly)


async def _change(
    tx: Tx, actor: Actor, columns: tuple[str, ...], changes: Sequence[Changed], *, at: datetime, quietly: bool
) -> None:
    rows = [one.columns | {"id": one.id, "event_seq": len(one.events)} for one in changes]
    events = [event for one in changes for event in _written(one.id, one.events, one.columns, at=at)]
    await tx.run(_change_statement(columns, quietly), _values(tx, actor, rows, events) | {"at": at})
    if quietly:
        await due.mark(tx, CHAIN_QUEUE, at=clock.wall())


def _kept(row: Row) -> Row:
    return {name: value for name in ATTESTED if (value := row[name]) is not None}


def _written(key: UUID, told: Sequence[Event], columns: Row, *, at: datetime) -> list[Row]:
    """Writes events as they are stored. The last one vouches for what the change left in the row; of the text, its hash."""
    rows: list[Row] = [
        {"id": key, "seq": seq, "type": event.type, "at": event.at or at, "meta": event.meta, "attests": event.attests}
        for seq, event in enumerate(told, 1)
    ]
    attests: Row = {name: columns[name] for name in ATTESTED if name in columns}
    if "description" in columns:
        attests["description"] = text_hash(columns["description"])
    if rows:
        rows[-1]["attests"] |= attests
    elif attests:
        raise ValueError(f"no event vouches for {', '.join(attests)}: tell the trail of the change")
    return rows


def text_hash(text: str) -> str:
    """Makes what an event keeps of a text, so that the text itself can be erased."""
    return hashlib.sha256(text.encode()).hexdigest()


def _shape(changed: Changed) -> tuple[str, ...]:
    return tuple(sorted(changed.columns))


@lru_cache(maxsize=1000)
def _change_statement(columns: tuple[str, ...], quietly: bool) -> sql.Composed:
    """Makes the statement that sets `columns`; the actions need a few dozen. Names of columns are ours, never a caller's."""
    unknown = set(columns) - set(NAMES) | set(columns) & {"id", "version", "event_seq", "updated_at"}
    if TEXTS & set(columns) and "public_texts" not in columns:
        raise ValueError(
            "a text of a request is changed together with what the public reads of it: see requests/privacy/public.py"
        )
    if unknown:
        raise ValueError(f"requests have no column that can be set called {', '.join(sorted(unknown))}")
    given = "".join(f", g.{name}" for name in columns)
    sets = "".join(f"{name} = g.{name}, " for name in columns)
    end = ") SELECT 1" if quietly else _TELL
    return sql.Composed([sql.SQL(_CHANGE.format(given=given, sets=sets) + end)])


def _values(tx: Tx, actor: Actor, rows: Sequence[Row], events: Sequence[Row]) -> Row:
    return {
        "tenant_id": tx.tenant_id,
        "rows": orjson.dumps(rows).decode(),
        "events": orjson.dumps(events).decode(),
        "actor_type": actor.type,
        "actor_id": actor.id,
    }


async def take_numbers(tx: Tx, many: int) -> list[int]:
    """Takes the next `many` numbers of the tenant's sequence; nobody queues for them, so that a rolled-back one is a gap."""
    values = {"sequence": f"request_number_{tx.tenant_id.hex}", "many": many}
    return [row["nextval"] for row in await tx.rows(TAKE_NUMBERS, values)]


def number_of(prefix: str, created_at: datetime, counted: int) -> str:
    """Writes the number of a request as people write it, such as CST-2026-000123."""
    return f"{prefix}-{created_at.year}-{counted:06d}"
