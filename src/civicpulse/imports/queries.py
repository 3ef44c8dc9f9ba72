"""Every statement of the import. Rows travel as one JSON parameter: COPY is refused under row-level security."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from psycopg.types.json import Jsonb

from civicpulse.base.db import Row, Tx

FIND_KNOWN = """
SELECT external_id, id, version, event_seq, state_category, pack_version, sla, created_at FROM requests
WHERE tenant_id = %(tenant_id)s AND source = %(source)s AND external_id = ANY(%(ids)s::text[])
"""

# Numbers are taken in file order. A row that another import added in the meantime is left alone and has no events.
ADD_REQUESTS = """
WITH given AS MATERIALIZED (
    SELECT g.*, nextval(%(sequence)s::regclass)::text AS number FROM json_to_recordset(%(rows)s::json) AS g (
        id uuid, pack_version int, source text, external_id text, is_public boolean, category text, sub_category text,
        description text, tags json, status text, state_category text, priority text, priority_score smallint,
        lon float8, lat float8, cell bigint, address_hint text, address_key text, asset_id text, zone_id text,
        sla jsonb, sla_state text, sla_due_at timestamptz, sla_met boolean, sla_steps_fired smallint,
        next_sla_at timestamptz, created_at timestamptz, closed_at timestamptz, updated_at timestamptz, meta jsonb)
), added AS (
    INSERT INTO requests (tenant_id, id, number, event_seq, pack_version, source, external_id, created_by,
        is_public, category, sub_category, description, tags, status, state_category, priority, priority_score,
        lon, lat, cell, address_hint, address_key, asset_id, zone_id, sla, sla_state, sla_due_at, sla_met,
        sla_steps_fired, next_sla_at, created_at, resolved_at, closed_at, updated_at)
    SELECT %(tenant_id)s, g.id,
        %(prefix)s || '-' || date_part('year', g.created_at) || '-'
            || lpad(g.number, greatest(6, length(g.number)), '0'),
        CASE WHEN g.state_category = 'closed' THEN %(closing_events)s + 1 ELSE 1 END,
        g.pack_version, g.source, g.external_id, 'importer', g.is_public, g.category, g.sub_category, g.description,
        CASE WHEN json_array_length(g.tags) = 0 THEN '{}' ELSE ARRAY(SELECT json_array_elements_text(g.tags)) END,
        g.status, g.state_category, g.priority, g.priority_score, g.lon, g.lat, g.cell, g.address_hint, g.address_key,
        g.asset_id, g.zone_id, g.sla, g.sla_state, g.sla_due_at, g.sla_met, g.sla_steps_fired, g.next_sla_at,
        g.created_at, g.closed_at, g.closed_at, g.updated_at
    FROM given g
    ON CONFLICT (tenant_id, source, external_id) WHERE external_id IS NOT NULL DO NOTHING
    RETURNING id
), told AS (
    INSERT INTO events (tenant_id, subject_id, seq, type, actor_type, actor_id, at, meta)
    SELECT %(tenant_id)s, g.id, e.seq, e.type, 'system', 'importer', e.at, e.meta
    FROM added JOIN given g ON g.id = added.id CROSS JOIN LATERAL (
        SELECT 1 AS seq, 'created' AS type, g.created_at AS at, g.meta
        UNION ALL
        SELECT t.seq::int + 1, t.type, coalesce(g.closed_at, g.created_at), t.meta
        FROM ROWS FROM (unnest(%(types)s::text[]), unnest(%(metas)s::jsonb[])) WITH ORDINALITY AS t (type, meta, seq)
        WHERE g.state_category = 'closed'
    ) AS e
    ORDER BY g.id, e.seq
)
SELECT id FROM added
"""

CLOSE_REQUESTS = """
WITH given AS MATERIALIZED (
    SELECT g.id, g.status, g.state_category, g.closed_at, g.sla_state, g.sla_due_at, g.sla_met
    FROM json_to_recordset(%(rows)s::json) AS g (
        id uuid, status text, state_category text, closed_at timestamptz,
        sla_state text, sla_due_at timestamptz, sla_met boolean)
), changed AS (
    UPDATE requests r SET status = g.status, state_category = g.state_category,
        resolved_at = g.closed_at, closed_at = g.closed_at,
        sla_state = g.sla_state, sla_due_at = g.sla_due_at, sla_met = g.sla_met, next_sla_at = NULL,
        version = r.version + 1, event_seq = r.event_seq + %(closing_events)s, updated_at = %(now)s
    FROM given g WHERE r.tenant_id = %(tenant_id)s AND r.id = g.id AND r.version = 1 AND r.event_seq = 1
    RETURNING r.id, r.created_at, r.closed_at
), told AS (
    INSERT INTO events (tenant_id, subject_id, seq, type, actor_type, actor_id, at, meta)
    SELECT %(tenant_id)s, c.id, t.seq::int + 1, t.type, 'system', 'importer', coalesce(c.closed_at, c.created_at),
        t.meta
    FROM changed c
    CROSS JOIN ROWS FROM (unnest(%(types)s::text[]), unnest(%(metas)s::jsonb[])) WITH ORDINALITY AS t (type, meta, seq)
    ORDER BY c.id, t.seq
)
SELECT id FROM changed
"""

START_RUN = """
INSERT INTO import_runs (tenant_id, id, kind, source, mapping, state, started_at)
VALUES (%(tenant_id)s, %(id)s, 'requests', %(source)s, %(mapping)s, 'running', %(at)s)
"""

END_RUN = """
UPDATE import_runs SET state = %(state)s, counts = %(counts)s, errors = %(errors)s, finished_at = %(at)s
WHERE tenant_id = %(tenant_id)s AND id = %(id)s
"""


async def commit_lazily(tx: Tx) -> None:
    """Lets this transaction's commit return before it is on disk; the run's own last commit flushes all of them.

    After a crash in between the run still says `running`, and the file is imported again: that adds what is missing.
    """
    await tx.run("SET LOCAL synchronous_commit = off")


async def find_known(tx: Tx, source: str, external_ids: Sequence[str]) -> dict[str, Row]:
    """The requests that this source already brought, by its id."""
    rows = await tx.rows(FIND_KNOWN, {"tenant_id": tx.tenant_id, "source": source, "ids": list(external_ids)})
    return {row["external_id"]: row for row in rows}


def _closing(closing: Sequence[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    return {
        "closing_events": len(closing),
        "types": [event for event, _ in closing],
        "metas": [Jsonb(meta) for _, meta in closing],
    }


async def add_requests(
    tx: Tx, rows: list[Row], *, prefix: str, closing: Sequence[tuple[str, dict[str, Any]]]
) -> set[UUID]:
    """Adds requests with their trails; `closing` are the events of a closed one after `created`. The ids added."""
    values = {
        "tenant_id": tx.tenant_id,
        "rows": orjson.dumps(rows).decode(),
        "prefix": prefix,
        "sequence": f"request_number_{tx.tenant_id.hex}",
    } | _closing(closing)
    return {row["id"] for row in await tx.rows(ADD_REQUESTS, values)}


async def close_requests(
    tx: Tx, rows: list[Row], *, closing: Sequence[tuple[str, dict[str, Any]]], now: datetime
) -> set[UUID]:
    """Closes requests that nobody here has touched since they were imported; the ids changed."""
    values = {"tenant_id": tx.tenant_id, "rows": orjson.dumps(rows).decode(), "now": now} | _closing(closing)
    return {row["id"] for row in await tx.rows(CLOSE_REQUESTS, values)}


async def start_run(tx: Tx, run_id: UUID, *, source: str, mapping: str, at: datetime) -> None:
    """Notes that an import has begun."""
    await tx.run(START_RUN, {"tenant_id": tx.tenant_id, "id": run_id, "source": source, "mapping": mapping, "at": at})


async def end_run(tx: Tx, run_id: UUID, *, state: str, counts: dict[str, Any], errors: list[Row], at: datetime) -> None:
    """Notes how an import ended: done or failed, with its counts and its first bad rows."""
    written = {"counts": Jsonb(counts), "errors": Jsonb(errors)}
    await tx.run(END_RUN, {"tenant_id": tx.tenant_id, "id": run_id, "state": state, "at": at} | written)
