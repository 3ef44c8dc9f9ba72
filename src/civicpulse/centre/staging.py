"""Every statement on the tickets of a run between its steps."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import orjson

from civicpulse.base.db import Row, Tx
from civicpulse.centre.run import MAX_TICKETS

SOURCE = "csv"

FIND_KNOWN = """
SELECT r.external_id, r.id, d.fingerprint FROM requests r
LEFT JOIN ticket_details d ON d.tenant_id = r.tenant_id AND d.request_id = r.id
WHERE r.tenant_id = %(tenant_id)s AND r.source = 'csv' AND r.external_id = ANY (%(guids)s::text[])
"""

FIND_STAGED = """
SELECT client_guid, request_id, line FROM pipeline_tickets
WHERE tenant_id = %(tenant_id)s AND run_id = %(run_id)s AND client_guid = ANY (%(guids)s::text[])
"""

# A GUID that comes again takes the place of the row before, with the id that this one was given.
STAGE = """
INSERT INTO pipeline_tickets (tenant_id, run_id, position, line, request_id, outcome, client_guid, given, fingerprint, given_at)
SELECT %(tenant_id)s, %(run_id)s, g.position, g.line, g.request_id, g.outcome, g.client_guid, g.given,
       decode(g.fingerprint, 'hex'), %(at)s
FROM json_to_recordset(%(rows)s::json) AS g (position int, line int, request_id uuid, outcome text, client_guid text, given jsonb,
    fingerprint text)
ON CONFLICT (tenant_id, run_id, client_guid) DO UPDATE
SET position = excluded.position, line = excluded.line, outcome = excluded.outcome, given = excluded.given,
    fingerprint = excluded.fingerprint
"""

# The tickets of files that wait for an analysis, or all that nobody works on yet.
STAGE_AGAIN = """
INSERT INTO pipeline_tickets (tenant_id, run_id, position, request_id, outcome, client_guid, given, given_at)
SELECT %(tenant_id)s, %(run_id)s, row_number() OVER (ORDER BY r.created_at, r.id), r.id, 'redo', d.client_guid,
       jsonb_build_object('description', r.description, 'segment', r.segment, 'country', d.country, 'region', d.region,
                          'town', d.town, 'street', d.street, 'house', d.house), %(at)s
FROM requests r JOIN ticket_details d ON d.tenant_id = r.tenant_id AND d.request_id = r.id
WHERE r.tenant_id = %(tenant_id)s AND r.status = ANY (%(states)s) AND r.master_id IS NULL
  AND (%(all)s OR NOT EXISTS (SELECT 1 FROM analyses a WHERE a.tenant_id = r.tenant_id AND a.request_id = r.id
                              AND a.created_at >= d.updated_at))
"""

SUMMARY = """
SELECT count(*) FILTER (WHERE outcome = 'new')::int AS new, count(*) FILTER (WHERE outcome = 'changed')::int AS changed,
       count(*) FILTER (WHERE outcome = 'unchanged')::int AS unchanged, count(*) FILTER (WHERE outcome = 'redo')::int AS redo,
       ARRAY(SELECT f.request_id FROM pipeline_tickets f WHERE f.tenant_id = %(tenant_id)s AND f.run_id = %(run_id)s
             ORDER BY f.position LIMIT %(limit)s) AS first
FROM pipeline_tickets WHERE tenant_id = %(tenant_id)s AND run_id = %(run_id)s
"""

NEXT = """
SELECT position, line, request_id, outcome, client_guid, given, encode(fingerprint, 'hex') AS fingerprint, place, evidence, given_at
FROM pipeline_tickets
WHERE tenant_id = %(tenant_id)s AND run_id = %(run_id)s AND position > %(after)s AND outcome <> 'unchanged'
ORDER BY position LIMIT %(limit)s
"""

WITH_ATTACHMENT = """
SELECT position, line, request_id, outcome, given FROM pipeline_tickets
WHERE tenant_id = %(tenant_id)s AND run_id = %(run_id)s AND position > %(after)s AND given ->> 'attachment' IS NOT NULL
ORDER BY position LIMIT %(limit)s
"""

PLACE = """
UPDATE pipeline_tickets t SET place = g.place
FROM json_to_recordset(%(rows)s::json) AS g (position int, place jsonb)
WHERE t.tenant_id = %(tenant_id)s AND t.run_id = %(run_id)s AND t.position = g.position
"""

ATTACH = """
UPDATE pipeline_tickets t SET evidence = g.evidence
FROM json_to_recordset(%(rows)s::json) AS g (position int, evidence jsonb)
WHERE t.tenant_id = %(tenant_id)s AND t.run_id = %(run_id)s AND t.position = g.position
"""

CLEAR = "DELETE FROM pipeline_tickets WHERE tenant_id = %(tenant_id)s AND run_id = %(run_id)s"


def _json(rows: Sequence[Row]) -> str:
    return orjson.dumps(rows).decode()


async def find_known(tx: Tx, guids: Sequence[str]) -> dict[str, Row]:
    """Finds the tickets that came before, by GUID, each with its id and fingerprint."""
    rows = await tx.rows(FIND_KNOWN, {"tenant_id": tx.tenant_id, "guids": list(guids)})
    return {row["external_id"]: row for row in rows}


async def find_staged(tx: Tx, run_id: UUID, guids: Sequence[str]) -> dict[str, Row]:
    """Finds the rows of this run so far that have these GUIDs."""
    rows = await tx.rows(FIND_STAGED, {"tenant_id": tx.tenant_id, "run_id": run_id, "guids": list(guids)})
    return {row["client_guid"]: row for row in rows}


async def stage(tx: Tx, run_id: UUID, rows: Sequence[Row], *, at: datetime) -> None:
    """Keeps rows of the file for the steps to come; GUIDs are unique among `rows`."""
    await tx.run(STAGE, {"tenant_id": tx.tenant_id, "run_id": run_id, "rows": _json(rows), "at": at})


async def stage_again(tx: Tx, run_id: UUID, *, states: Sequence[str], every: bool, at: datetime) -> None:
    """Takes tickets in `states` up again: those without an analysis, or all of them."""
    values = {"tenant_id": tx.tenant_id, "run_id": run_id, "states": list(states), "all": every, "at": at}
    await tx.run(STAGE_AGAIN, values)


async def summary(tx: Tx, run_id: UUID) -> Row:
    """Counts the tickets that are new, changed, unchanged and taken up again, and lists the ids of the first thousand."""
    row = await tx.row(SUMMARY, {"tenant_id": tx.tenant_id, "run_id": run_id, "limit": MAX_TICKETS})
    assert row is not None, "an aggregate has a row"
    return row


async def next_tickets(tx: Tx, run_id: UUID, *, after: int, limit: int) -> list[Row]:
    """Finds the next tickets to work on, in the order of the file."""
    return await tx.rows(NEXT, {"tenant_id": tx.tenant_id, "run_id": run_id, "after": after, "limit": limit})


async def tickets_with_attachment(tx: Tx, run_id: UUID, *, after: int, limit: int) -> list[Row]:
    """Finds the next tickets whose row names a file."""
    return await tx.rows(WITH_ATTACHMENT, {"tenant_id": tx.tenant_id, "run_id": run_id, "after": after, "limit": limit})


async def place(tx: Tx, run_id: UUID, rows: Sequence[Row]) -> None:
    """Keeps the places of tickets, each {position, place}."""
    await tx.run(PLACE, {"tenant_id": tx.tenant_id, "run_id": run_id, "rows": _json(rows)})


async def attach(tx: Tx, run_id: UUID, rows: Sequence[Row]) -> None:
    """Keeps the files of tickets, each {position, evidence}."""
    await tx.run(ATTACH, {"tenant_id": tx.tenant_id, "run_id": run_id, "rows": _json(rows)})


async def clear(tx: Tx, run_id: UUID) -> None:
    """Removes a done run's copies of what people wrote."""
    await tx.run(CLEAR, {"tenant_id": tx.tenant_id, "run_id": run_id})
