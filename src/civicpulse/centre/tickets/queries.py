"""Every statement of the contact centre's lists: which tickets, what is known of them, and their figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import orjson
from psycopg import sql

from civicpulse.base.db import Row, Tx
from civicpulse.requests.filters import RequestFilters, conditions
from civicpulse.requests.views.understood import Sentiment
from civicpulse.requests.visibility import Sight

MAX_COUNTED: Final = 100_000

# The current analysis is the latest, and none while a ticket's new text has not been read yet.
_CURRENT = """
LEFT JOIN ticket_details d ON d.tenant_id = r.tenant_id AND d.request_id = r.id
LEFT JOIN LATERAL (
    SELECT a.category, a.sentiment, a.priority, a.language, a.summary, a.recommendation, a.confidence, a.needs_person, a.engine,
           a.model, a.version, a.fell_back_because, a.disagreement, a.created_at
    FROM analyses a
    WHERE a.tenant_id = r.tenant_id AND a.request_id = r.id AND (d.updated_at IS NULL OR a.created_at >= d.updated_at)
    ORDER BY a.created_at DESC, a.id DESC LIMIT 1
) AS n ON true
"""

TICKETS = sql.SQL(f"""
SELECT r.id, r.number, r.external_id, r.source, r.description, r.segment, r.lon, r.lat, r.geo_quality, r.country_code,
       r.address_hint, r.status, r.priority, r.priority_score, r.category AS filed_under, r.needs_person AS waits_for_person,
       r.created_at, r.assigned_at, r.assigned_agent_id, r.office_id,
       d.client_guid, d.gender, d.birth_date, d.country, d.region, d.town, d.street, d.house, d.attachment,
       n.category, n.sentiment, n.priority AS priority_read, n.language, n.summary, n.recommendation, n.confidence, n.needs_person,
       n.engine, n.model, n.version, n.fell_back_because, n.disagreement, n.created_at AS analysed_at,
       g.name AS manager_name, g.position AS manager_position, o.name AS office_name,
       s.reason, s.steps, s.policy, s.decided_at, e.files
FROM requests r
{_CURRENT}
LEFT JOIN agents g ON g.tenant_id = r.tenant_id AND g.id = r.assigned_agent_id
LEFT JOIN offices o ON o.tenant_id = r.tenant_id AND o.id = r.office_id
LEFT JOIN LATERAL (
    SELECT x.reason, x.steps, x.policy, x.decided_at, x.agent_id FROM assignments x
    WHERE x.tenant_id = r.tenant_id AND x.request_id = r.id ORDER BY x.decided_at DESC LIMIT 1
) AS s ON s.agent_id IS NOT DISTINCT FROM r.assigned_agent_id
LEFT JOIN LATERAL (
    SELECT json_agg(json_build_object('id', f.id, 'name', coalesce(f.file_name, ''), 'media_type', f.media_type, 'sha256', f.sha256,
                                      'uploaded_at', f.uploaded_at) ORDER BY f.uploaded_at DESC, f.id) AS files
    FROM evidence f WHERE f.tenant_id = r.tenant_id AND f.request_id = r.id AND f.media_type IS NOT NULL
) AS e ON true
WHERE r.tenant_id = %(tenant_id)s AND r.id = ANY (%(ids)s) AND {{seen}}
""")

FIND_TICKET = sql.SQL("""
SELECT r.id FROM (
    SELECT x.id FROM requests x WHERE x.tenant_id = %(tenant_id)s AND x.number = %(given)s
    UNION ALL
    SELECT d.request_id FROM ticket_details d WHERE d.tenant_id = %(tenant_id)s AND d.client_guid = %(given)s
    UNION ALL
    SELECT x.id FROM requests x WHERE x.tenant_id = %(tenant_id)s AND x.id = %(id)s
    LIMIT 1
) AS f JOIN requests r ON r.tenant_id = %(tenant_id)s AND r.id = f.id
WHERE {seen}
""")

# Each figure of the dashboard from one pass over the tickets.
STATS = sql.SQL(f"""
SELECT grouping(t.category, t.sentiment, t.language, t.office, t.segment, t.town)::int AS left_out,
       t.category, t.sentiment, t.language, t.office, t.segment, t.town, t.country, t.region, count(*)::int AS tickets,
       count(*) FILTER (WHERE t.is_assigned)::int AS assigned, count(t.sentiment)::int AS analysed,
       count(*) FILTER (WHERE t.needs_person)::int AS needs_person, avg(t.priority)::float8 AS priority
FROM (
    SELECT r.category, n.sentiment, n.language, o.name AS office, r.segment, d.town, d.country, d.region, r.needs_person,
           r.assigned_agent_id IS NOT NULL AS is_assigned, r.priority_score AS priority
    FROM requests r
    {_CURRENT}
    LEFT JOIN offices o ON o.tenant_id = r.tenant_id AND o.id = r.office_id AND r.assigned_agent_id IS NOT NULL
    WHERE r.tenant_id = %(tenant_id)s AND (%(since)s::timestamptz IS NULL OR r.created_at >= %(since)s)
      AND (%(until)s::timestamptz IS NULL OR r.created_at < %(until)s) AND {{seen}}
) AS t
GROUP BY GROUPING SETS ((), (t.category), (t.sentiment), (t.language), (t.office), (t.segment),
                        (t.town, t.country, t.region))
ORDER BY tickets DESC
""")

# Spellings of a town, as the dashboard counts them and as a filter of towns means them.
SPELLINGS = """
SELECT DISTINCT d.country, d.region, d.town FROM ticket_details d WHERE d.tenant_id = %(tenant_id)s AND d.town IS NOT NULL
"""

OFFICES = """
SELECT o.id, o.name, o.address, o.lon, o.lat, o.geo_quality,
       (SELECT count(*) FROM agents a WHERE a.tenant_id = o.tenant_id AND a.office_id = o.id AND a.active)::int AS managers
FROM offices o WHERE o.tenant_id = %(tenant_id)s AND (o.name, o.id) > (%(name)s COLLATE "C", %(id)s)
ORDER BY o.name COLLATE "C", o.id LIMIT %(limit)s
"""

FIRST_ID: Final = UUID(int=0)
MAX_OFFICES: Final = 10_000


@dataclass(frozen=True, slots=True)
class TicketFilters:
    """What a list of tickets is filtered by: what any list of requests may be, and what was understood of their words."""

    requests: RequestFilters
    sentiment: Sentiment | None = None
    language: str | None = None
    spellings: Sequence[Row] | None = None
    """Of towns, each {country, region, town} as files have it; None: any town."""


def _asked(wanted: TicketFilters, sight: Sight) -> tuple[list[sql.Composable], dict[str, Any], sql.SQL]:
    """Makes conditions, their values, and what to read from: the current analysis is joined only where it is asked for."""
    parts, values = conditions(wanted.requests, sight)
    understood: dict[str, Any] = {
        name: value for name in ("sentiment", "language") if (value := getattr(wanted, name)) is not None
    }
    parts += [sql.SQL(f"n.{name} = %({name})s") for name in understood]
    if wanted.spellings is not None:
        parts.append(_OF_TOWNS)
        understood["towns"] = orjson.dumps(wanted.spellings).decode()
    return parts, values | understood, sql.SQL(f"FROM requests r {_CURRENT if understood else ''}")


_OF_TOWNS: Final = sql.SQL("""EXISTS (
    SELECT 1 FROM json_to_recordset(%(towns)s::json) AS g (country text, region text, town text)
    WHERE g.town = d.town AND g.country IS NOT DISTINCT FROM d.country AND g.region IS NOT DISTINCT FROM d.region
)""")


async def ticket_ids(
    tx: Tx, wanted: TicketFilters, sight: Sight, *, after: tuple[datetime, UUID] | None, offset: int, limit: int
) -> list[Row]:
    """Reads ids and created_at of one page, newest first."""
    parts, values, source = _asked(wanted, sight)
    if after is not None:
        parts.append(sql.SQL("(r.created_at, r.id) < (%(after_at)s, %(after_id)s)"))
        values |= {"after_at": after[0], "after_id": after[1]}
    statement = sql.SQL(
        "SELECT r.id, r.created_at {source} WHERE {where} ORDER BY r.created_at DESC, r.id DESC LIMIT %(limit)s OFFSET %(offset)s"
    ).format(source=source, where=sql.SQL(" AND ").join(parts))
    return await tx.rows(statement, values | {"tenant_id": tx.tenant_id, "limit": limit, "offset": offset})


async def count_tickets(tx: Tx, wanted: TicketFilters, sight: Sight) -> int:
    """Counts the tickets that match; counting stops at MAX_COUNTED."""
    parts, values, source = _asked(wanted, sight)
    statement = sql.SQL("SELECT count(*) FROM (SELECT 1 {source} WHERE {where} LIMIT %(limit)s) AS counted").format(
        source=source, where=sql.SQL(" AND ").join(parts)
    )
    counted: int = await tx.value(statement, values | {"tenant_id": tx.tenant_id, "limit": MAX_COUNTED})
    return counted


async def get_tickets(tx: Tx, ids: Sequence[UUID], sight: Sight) -> dict[UUID, Row]:
    """Reads all that a ticket's document says, by id, in one statement; those that are not seen are left out."""
    values = {"tenant_id": tx.tenant_id, "ids": list(ids)} | sight.parameters
    rows = await tx.rows(TICKETS.format(seen=sight.predicate()), values)
    return {row["id"]: row for row in rows}


async def find_ticket(tx: Tx, given: str, sight: Sight) -> UUID | None:
    """Finds the id of a ticket by its number, its client's GUID or its own id; None when it is absent or not seen."""
    try:
        key = UUID(given)
    except ValueError:
        key = FIRST_ID
    values = {"tenant_id": tx.tenant_id, "given": given, "id": key} | sight.parameters
    found: UUID | None = await tx.value(FIND_TICKET.format(seen=sight.predicate()), values)
    return found


async def get_stats(tx: Tx, sight: Sight, *, since: datetime | None, until: datetime | None) -> list[Row]:
    """Counts what is seen by each dimension, largest first; `left_out` says by which a row is not grouped (a bit each)."""
    values = {"tenant_id": tx.tenant_id, "since": since, "until": until} | sight.parameters
    return await tx.rows(STATS.format(seen=sight.predicate()), values)


async def list_spellings(tx: Tx) -> list[Row]:
    """Lists the ways in which files write towns, each with the country and region beside it."""
    return await tx.rows(SPELLINGS, {"tenant_id": tx.tenant_id})


async def list_offices(tx: Tx, *, after: tuple[str, UUID], limit: int) -> list[Row]:
    """Lists offices by name with how many managers each has."""
    return await tx.rows(OFFICES, {"tenant_id": tx.tenant_id, "name": after[0], "id": after[1], "limit": limit})
