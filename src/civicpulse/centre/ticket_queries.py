"""Every statement that writes tickets as requests, whole batches at once. Rows travel as one JSON parameter."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from civicpulse.base.db import Row, Tx
from civicpulse.centre.run import ACTOR

# Numbers are taken in the order of the file.
ADD = """
WITH given AS MATERIALIZED (
    SELECT g.*, nextval(%(sequence)s::regclass)::text AS number FROM json_to_recordset(%(rows)s::json) AS g (
        id uuid, external_id text, is_public boolean, category text, description text, priority text, priority_score smallint,
        lon float8, lat float8, cell bigint, address_hint text, address_key text, zone_id text, segment text, country_code text,
        geo_quality text, needs_person boolean, sla jsonb, sla_state text, sla_due_at timestamptz, next_sla_at timestamptz,
        created_at timestamptz, meta jsonb)
), added AS (
    INSERT INTO requests (tenant_id, id, number, pack_version, source, external_id, created_by, is_public, category, description,
        status, state_category, priority, priority_score, lon, lat, cell, address_hint, address_key, zone_id, segment, country_code,
        geo_quality, needs_person, sla, sla_state, sla_due_at, next_sla_at, created_at, updated_at)
    SELECT %(tenant_id)s, g.id,
        %(prefix)s || '-' || date_part('year', g.created_at) || '-' || lpad(g.number, greatest(6, length(g.number)), '0'),
        %(pack_version)s, 'csv', g.external_id, %(by)s, g.is_public, g.category, g.description, %(initial)s, %(state_category)s,
        g.priority, g.priority_score, g.lon, g.lat, g.cell, g.address_hint, g.address_key, g.zone_id, g.segment, g.country_code,
        g.geo_quality, g.needs_person, g.sla, g.sla_state, g.sla_due_at, g.next_sla_at, g.created_at, %(at)s
    FROM given g
), told AS (
    INSERT INTO events (tenant_id, subject_id, seq, type, actor_type, actor_id, at, meta)
    SELECT %(tenant_id)s, g.id, 1, 'created', %(actor_type)s, %(actor_id)s, g.created_at, g.meta FROM given g
)
INSERT INTO outbox (tenant_id, subject_id, seq, type) SELECT %(tenant_id)s, g.id, 1, 'created' FROM given g
"""

LOCK = """
SELECT r.id, r.number, r.status, r.state_category, r.master_id, r.category, r.priority, r.priority_score, r.zone_id,
       r.assigned_agent_id, r.created_at, r.sla_pauses, r.sla_steps_fired,
       EXISTS (SELECT 1 FROM events e WHERE e.tenant_id = r.tenant_id AND e.subject_id = r.id AND e.type = 'classified'
               AND e.actor_type IN ('dispatcher', 'agent') AND e.meta ?| ARRAY['category', 'priority']) AS corrected
FROM requests r WHERE r.tenant_id = %(tenant_id)s AND r.id = ANY (%(ids)s) ORDER BY r.created_at, r.id FOR UPDATE OF r
"""

_TELL = """
), told AS (
    INSERT INTO events (tenant_id, subject_id, seq, type, actor_type, actor_id, at, meta)
    SELECT %(tenant_id)s, c.id, c.event_seq - json_array_length(g.events) + e.seq::int, e.event ->> 'type', %(actor_type)s,
           %(actor_id)s, %(at)s, (e.event -> 'meta')::jsonb
    FROM changed c JOIN given g ON g.id = c.id CROSS JOIN LATERAL json_array_elements(g.events) WITH ORDINALITY AS e (event, seq)
    ORDER BY c.id, e.seq
    RETURNING tenant_id, subject_id, seq, type
)
INSERT INTO outbox (tenant_id, subject_id, seq, type) SELECT tenant_id, subject_id, seq, type FROM told
"""

# Nobody works on it yet: it is as new, and goes through the whole distribution again.
RENEW = f"""
WITH given AS MATERIALIZED (
    SELECT g.id, g.is_public, g.category, g.description, g.priority, g.priority_score, g.lon, g.lat, g.cell, g.address_hint,
        g.address_key, g.zone_id, g.segment, g.country_code, g.geo_quality, g.needs_person, g.sla, g.sla_state, g.sla_due_at,
        g.next_sla_at, g.events
    FROM json_to_recordset(%(rows)s::json) AS g (
        id uuid, is_public boolean, category text, description text, priority text, priority_score smallint, lon float8, lat float8,
        cell bigint, address_hint text, address_key text, zone_id text, segment text, country_code text, geo_quality text,
        needs_person boolean, sla jsonb, sla_state text, sla_due_at timestamptz, next_sla_at timestamptz, events json)
), changed AS (
    UPDATE requests r SET is_public = g.is_public, category = g.category, description = g.description, priority = g.priority,
        priority_score = g.priority_score, lon = g.lon, lat = g.lat, cell = g.cell, address_hint = g.address_hint,
        address_key = g.address_key, zone_id = g.zone_id, segment = g.segment, country_code = g.country_code,
        geo_quality = g.geo_quality, needs_person = g.needs_person, sla = g.sla, sla_state = g.sla_state, sla_due_at = g.sla_due_at,
        next_sla_at = g.next_sla_at, pack_version = %(pack_version)s, status = %(initial)s, state_category = %(state_category)s,
        assigned_agent_id = NULL, office_id = NULL, assigned_at = NULL, candidate_agents = '{{}}', assignment_policy = NULL,
        version = r.version + 1, event_seq = r.event_seq + json_array_length(g.events), updated_at = %(at)s
    FROM given g WHERE r.tenant_id = %(tenant_id)s AND r.id = g.id
    RETURNING r.id, r.event_seq
{_TELL}
"""

# Somebody works on it, or it is done: only the text is another one.
REWORD = f"""
WITH given AS MATERIALIZED (
    SELECT g.id, g.description, g.events FROM json_to_recordset(%(rows)s::json) AS g (id uuid, description text, events json)
), changed AS (
    UPDATE requests r SET description = g.description, version = r.version + 1,
        event_seq = r.event_seq + json_array_length(g.events), updated_at = %(at)s
    FROM given g WHERE r.tenant_id = %(tenant_id)s AND r.id = g.id
    RETURNING r.id, r.event_seq
{_TELL}
"""

PUT_DETAILS = """
INSERT INTO ticket_details (tenant_id, request_id, client_guid, gender, birth_date, country, region, town, street, house, attachment,
                            fingerprint, updated_at)
SELECT %(tenant_id)s, g.request_id, g.client_guid, g.gender, g.birth_date, g.country, g.region, g.town, g.street, g.house,
       g.attachment, decode(g.fingerprint, 'hex'), %(at)s
FROM json_to_recordset(%(rows)s::json) AS g (request_id uuid, client_guid text, gender text, birth_date date, country text,
    region text, town text, street text, house text, attachment text, fingerprint text)
ON CONFLICT (tenant_id, request_id) DO UPDATE
SET client_guid = excluded.client_guid, gender = excluded.gender, birth_date = excluded.birth_date, country = excluded.country,
    region = excluded.region, town = excluded.town, street = excluded.street, house = excluded.house,
    attachment = excluded.attachment, fingerprint = excluded.fingerprint, updated_at = excluded.updated_at
"""

FIND_EVIDENCE = """
SELECT e.request_id, e.file_name, e.sha256 FROM evidence e
WHERE e.tenant_id = %(tenant_id)s AND e.request_id = ANY (%(ids)s) AND e.media_type IS NOT NULL
"""

ADD_EVIDENCE = """
INSERT INTO evidence (tenant_id, id, request_id, type, url, sha256, media_type, file_name, uploaded_by, uploaded_at)
SELECT %(tenant_id)s, g.id, g.request_id, g.type, g.url, g.sha256, g.media_type, g.file_name, 'staff', %(at)s
FROM json_to_recordset(%(rows)s::json) AS g (id uuid, request_id uuid, type text, url text, sha256 text, media_type text,
    file_name text)
"""

TELL_EVIDENCE = f"""
WITH given AS MATERIALIZED (
    SELECT g.id, g.events FROM json_to_recordset(%(rows)s::json) AS g (id uuid, events json)
), changed AS (
    UPDATE requests r SET version = r.version + 1, event_seq = r.event_seq + json_array_length(g.events), updated_at = %(at)s
    FROM given g WHERE r.tenant_id = %(tenant_id)s AND r.id = g.id
    RETURNING r.id, r.event_seq
{_TELL}
"""


def _values(tx: Tx, rows: Sequence[Row], *, at: datetime) -> dict[str, Any]:
    who = {"actor_type": ACTOR.type, "actor_id": ACTOR.id, "by": ACTOR.key}
    return {"tenant_id": tx.tenant_id, "rows": orjson.dumps(rows).decode(), "at": at} | who


async def add_requests(
    tx: Tx, rows: Sequence[Row], *, prefix: str, initial: str, state_category: str, at: datetime
) -> None:
    """Adds tickets as requests, each with its event `created`, in this order."""
    values = {
        "sequence": f"request_number_{tx.tenant_id.hex}",
        "prefix": prefix,
        "pack_version": tx.tenant.pack_version,
        "initial": initial,
        "state_category": state_category,
    }
    await tx.run(ADD, values | _values(tx, rows, at=at))


async def lock_requests(tx: Tx, ids: Sequence[UUID]) -> dict[UUID, Row]:
    """Requests by id, locked until the transaction ends; `corrected` where staff has set category or priority."""
    rows = await tx.rows(LOCK, {"tenant_id": tx.tenant_id, "ids": list(ids)})
    return {row["id"]: row for row in rows}


async def renew_requests(tx: Tx, rows: Sequence[Row], *, initial: str, state_category: str, at: datetime) -> None:
    """Writes tickets anew that nobody works on; each row brings its events. Their assignment is gone."""
    values = {"pack_version": tx.tenant.pack_version, "initial": initial, "state_category": state_category}
    await tx.run(RENEW, values | _values(tx, rows, at=at))


async def reword_requests(tx: Tx, rows: Sequence[Row], *, at: datetime) -> None:
    """Changes the text of tickets that somebody works on, each {id, description, events}."""
    await tx.run(REWORD, _values(tx, rows, at=at))


async def put_details(tx: Tx, rows: Sequence[Row], *, at: datetime) -> None:
    """What the file says of the customers."""
    await tx.run(PUT_DETAILS, _values(tx, rows, at=at))


async def find_evidence(tx: Tx, ids: Sequence[UUID]) -> list[Row]:
    """request_id, file_name and sha256 of the files that requests have."""
    return await tx.rows(FIND_EVIDENCE, {"tenant_id": tx.tenant_id, "ids": list(ids)})


async def add_evidence(tx: Tx, rows: Sequence[Row], *, at: datetime) -> None:
    """Adds files, each with its request_id."""
    await tx.run(ADD_EVIDENCE, _values(tx, rows, at=at))


async def tell_evidence(tx: Tx, rows: Sequence[Row], *, at: datetime) -> None:
    """Tells the trails of requests that were there of files that came, each {id, events}."""
    await tx.run(TELL_EVIDENCE, _values(tx, rows, at=at))
