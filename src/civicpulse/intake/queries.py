"""The intake's two statements: open (locks, replay, candidates, number) and write (row, event, outbox, answer)."""

from dataclasses import dataclass
from typing import Any

import orjson

from civicpulse.base.db import Row, Tx
from civicpulse.base.events import Actor
from civicpulse.duplicates.search import NEAR, Surroundings, array

OPEN = f"""
SELECT fingerprint, answer, number, candidates FROM intake_open(
    %(scope)s, %(key)s, %(key_lock)s, %(place_locks)s::bigint[], {NEAR}, %(closed_since)s)
"""

# The row travels as one JSON value: fifty parameters would cost the client more than the insert costs the server.
WRITE = """
WITH written AS (
    INSERT INTO requests (
        tenant_id, id, number, pack_version, source, external_id, citizen_id, anonymous, created_by, contact_channel, is_public,
        category, sub_category, description, tags, status, state_category, priority, priority_score, lon, lat, cell, address_hint,
        address_key, asset_id, zone_id, sla, sla_state, sla_due_at, next_sla_at, created_at, updated_at, segment,
        country_code, geo_quality, needs_person)
    SELECT %(tenant_id)s, r.id, r.number, r.pack_version, r.source, r.external_id, r.citizen_id, r.anonymous, r.created_by,
        r.contact_channel, r.is_public, r.category, r.sub_category, r.description, r.tags, r.status, r.state_category, r.priority,
        r.priority_score, r.lon, r.lat, r.cell, r.address_hint, r.address_key, r.asset_id, r.zone_id, r.sla, r.sla_state,
        r.sla_due_at, r.next_sla_at, r.created_at, r.updated_at, r.segment, r.country_code, r.geo_quality, r.needs_person
    FROM json_populate_record(NULL::requests, %(row)s::json) AS r
), told AS (
    INSERT INTO events (tenant_id, subject_id, seq, type, actor_type, actor_id, at, meta)
    VALUES (%(tenant_id)s, %(id)s, 1, 'created', %(actor_type)s, %(actor_id)s, %(at)s, %(meta)s::jsonb)
), queued AS (
    INSERT INTO outbox (tenant_id, subject_id, seq, type) VALUES (%(tenant_id)s, %(id)s, 1, 'created')
)
INSERT INTO idempotency_keys (tenant_id, scope, key, fingerprint, answer)
SELECT %(tenant_id)s, %(scope)s, %(key)s::text, %(fingerprint)s, %(answer)s WHERE %(key)s::text IS NOT NULL
"""

KEEP_ANSWER = """
UPDATE idempotency_keys SET answer = %(answer)s WHERE tenant_id = %(tenant_id)s AND scope = %(scope)s AND key = %(key)s
"""

FIND_CITIZEN = """
SELECT id, preferences, erased_at FROM citizens WHERE tenant_id = %(tenant_id)s AND id = %(id)s
"""

FIND_EXTERNAL = """
SELECT number FROM requests WHERE tenant_id = %(tenant_id)s AND source = %(source)s AND external_id = %(external_id)s
"""


@dataclass(frozen=True, slots=True)
class Opened:
    """What the intake learns in its first round trip."""

    fingerprint: bytes | None
    answer: str | None
    number: int | None
    candidates: list[Row]


async def open_intake(tx: Tx, *, scope: str, key: str | None, key_lock: int, around: Surroundings) -> Opened:
    """Queues behind rivals, then reads a stored answer, or the candidates and a new number."""
    about = {"scope": scope, "key": key, "key_lock": key_lock, "place_locks": array(around.place_locks)}
    values = about | around.values
    row = await tx.row(OPEN, values)
    assert row is not None, "intake_open returns one row"
    return Opened(row["fingerprint"], row["answer"], row["number"], row["candidates"] or [])


async def write_request(
    tx: Tx,
    actor: Actor,
    row: Row,
    *,
    meta: dict[str, Any],
    scope: str,
    key: str | None,
    fingerprint: bytes,
    answer: str,
) -> None:
    """Inserts the request, its first event, the outbox row and, with a key, the answer: one statement."""
    values = {
        "tenant_id": tx.tenant_id,
        "id": row["id"],
        "row": orjson.dumps(row).decode(),
        "actor_type": actor.type,
        "actor_id": actor.id,
        "at": row["created_at"],
        "meta": orjson.dumps(meta).decode(),
        "scope": scope,
        "key": key,
        "fingerprint": fingerprint,
        "answer": answer,
    }
    await tx.run(WRITE, values)
