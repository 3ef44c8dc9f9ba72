"""The intake's two statements: open (locks, replay, candidates, number) and write (row, event, outbox, answer)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from civicpulse.base.db import Row, Tx

OPEN = """
SELECT fingerprint, answer, number, candidates FROM intake_open(
    %(scope)s, %(key)s, %(key_lock)s, %(place_locks)s::bigint[], %(categories)s::text[], %(cells)s::bigint[], %(lon)s, %(lat)s,
    %(radius_m)s, %(since)s, %(closed_since)s)
"""

WRITE = """
WITH written AS (
    INSERT INTO requests (tenant_id, id, request_id, pack_version, source, external_id, citizen_id, anonymous, created_by, contact_channel,
        is_public, category, sub_category, description, tags, status, state_category, priority, priority_score, lon, lat, cell,
        address_hint, address_key, asset_id, zone_id, sla, sla_state, sla_due_at, next_sla_at, created_at, updated_at)
    VALUES (%(tenant_id)s, %(id)s, %(request_id)s, %(pack_version)s, %(source)s, %(external_id)s, %(citizen_id)s, %(anonymous)s,
        %(created_by)s, %(contact_channel)s, %(is_public)s, %(category)s, %(sub_category)s, %(description)s, %(tags)s, %(status)s,
        %(state_category)s, %(priority)s, %(priority_score)s, %(lon)s, %(lat)s, %(cell)s, %(address_hint)s, %(address_key)s,
        %(asset_id)s, %(zone_id)s, %(sla)s, %(sla_state)s, %(sla_due_at)s, %(next_sla_at)s, %(created_at)s, %(created_at)s)
), told AS (
    INSERT INTO events (tenant_id, subject_id, seq, type, actor_type, actor_id, at, meta)
    VALUES (%(tenant_id)s, %(id)s, 1, 'created', %(actor_type)s, %(actor_id)s, %(created_at)s, %(meta)s)
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
SELECT request_id FROM requests WHERE tenant_id = %(tenant_id)s AND source = %(source)s AND external_id = %(external_id)s
"""


@dataclass(frozen=True, slots=True)
class Opened:
    """What the intake learns in its first round trip."""

    fingerprint: bytes | None
    answer: str | None
    number: int | None
    candidates: list[Row]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where and among what to look for twins; no cells means: do not look."""

    place_locks: list[int]
    categories: list[str]
    cells: list[int]
    lon: float
    lat: float
    radius_m: float
    since: datetime
    closed_since: datetime


async def open_intake(tx: Tx, *, scope: str, key: str | None, key_lock: int, around: Surroundings) -> Opened:
    """Queues behind rivals, then reads a stored answer, or the candidates and a new number."""
    values = {
        "scope": scope,
        "key": key,
        "key_lock": key_lock,
        "place_locks": around.place_locks,
        "categories": around.categories,
        "cells": around.cells,
        "lon": around.lon,
        "lat": around.lat,
        "radius_m": around.radius_m,
        "since": around.since,
        "closed_since": around.closed_since,
    }
    row = await tx.row(OPEN, values)
    assert row is not None, "intake_open returns one row"
    return Opened(row["fingerprint"], row["answer"], row["number"], row["candidates"] or [])


async def write_request(tx: Tx, row: Row, *, event: dict[str, Any], idempotency: dict[str, Any]) -> None:
    """Inserts the request, its first event, the outbox row and, with a key, the answer: one statement."""
    values = {
        **row,
        "sla": Jsonb(row["sla"]) if row["sla"] else None,
        **event,
        **idempotency,
        "tenant_id": tx.tenant_id,
    }
    await tx.run(WRITE, values)
