"""Every statement on what a language model thinks of pairs."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from civicpulse.base import clock
from civicpulse.base.conditions import is_open
from civicpulse.base.db import Row, Tx
from civicpulse.base.due import mark
from civicpulse.base.leases import Queue

# Each pair once, however often its event is reacted to.
ADD = """
INSERT INTO duplicate_opinions (tenant_id, low_id, high_id, score)
SELECT r.tenant_id, least(r.id, %(id)s::uuid), greatest(r.id, %(id)s::uuid), p.score
FROM jsonb_to_recordset(%(proposed)s) AS p (request_id text, score jsonb)
JOIN requests r ON r.tenant_id = %(tenant_id)s AND r.number = p.request_id
ON CONFLICT DO NOTHING
"""

# A pair that staff has decided about meanwhile needs no opinion: `is_decided`.
QUEUE = Queue(
    name="opinions",
    table="duplicate_opinions",
    key=("low_id", "high_id"),
    taken="asked_at = %(now)s",
    parked="state = 'failed', due_at = NULL",
    tries=5,
    read="""
SELECT t.low_id, t.high_id, o.score, t.attempts, a.number, a.category, a.address_hint, a.description,
       b.number AS other_number, b.category AS other_category, b.address_hint AS other_address_hint,
       b.description AS other_description,
       coalesce(a.master_id, a.id) = coalesce(b.master_id, b.id) OR EXISTS (
           SELECT 1 FROM duplicate_rejections d WHERE d.tenant_id = %(tenant_id)s AND d.low_id = t.low_id AND d.high_id = t.high_id
       ) AS is_decided
FROM taken t
JOIN duplicate_opinions o ON o.tenant_id = %(tenant_id)s AND o.low_id = t.low_id AND o.high_id = t.high_id
JOIN requests a ON a.tenant_id = %(tenant_id)s AND a.id = t.low_id
JOIN requests b ON b.tenant_id = %(tenant_id)s AND b.id = t.high_id
""",
)

ANSWER = """
UPDATE duplicate_opinions SET state = 'answered', due_at = NULL, verdict = %(verdict)s, confidence = %(confidence)s,
    reason = %(reason)s, model = %(model)s, version = %(version)s, answered_at = %(at)s, last_error = NULL
WHERE tenant_id = %(tenant_id)s AND low_id = %(low_id)s AND high_id = %(high_id)s AND state = 'waiting'
"""

ARE_OPEN = f"""
SELECT bool_and({is_open("r")}) FROM requests r WHERE r.tenant_id = %(tenant_id)s AND r.id IN (%(low_id)s, %(high_id)s)
"""

NOTE = """
UPDATE duplicate_opinions SET last_error = %(error)s
WHERE tenant_id = %(tenant_id)s AND low_id = %(low_id)s AND high_id = %(high_id)s
"""


async def add_pairs(tx: Tx, request_id: UUID, proposed: list[Row]) -> int:
    """Keeps the pairs of a request and those that were proposed ({request_id, score}) to be asked about; how many are new."""
    added = await tx.run(ADD, {"tenant_id": tx.tenant_id, "id": request_id, "proposed": Jsonb(proposed)})
    if added:
        await mark(tx, QUEUE.name, at=clock.wall())
    return added


async def answer(tx: Tx, pair: Row, said: Row, *, at: datetime) -> bool:
    """Keeps what was said (verdict, confidence, reason, model, version); False when another worker was quicker."""
    return await tx.run(ANSWER, _key(tx, pair) | said | {"at": at}) == 1


async def are_open(tx: Tx, pair: Row) -> bool:
    """Tells whether both requests of the pair are still to be worked on."""
    return bool(await tx.value(ARE_OPEN, _key(tx, pair)))


async def note(tx: Tx, pair: Row, error: str) -> None:
    """Keeps why an answer led to nothing."""
    await tx.run(NOTE, _key(tx, pair) | {"error": error})


def _key(tx: Tx, pair: Row) -> dict[str, Any]:
    return {"tenant_id": tx.tenant_id, "low_id": pair["low_id"], "high_id": pair["high_id"]}


FORGET_REASONS = """
UPDATE duplicate_opinions SET reason = NULL
WHERE tenant_id = %(tenant_id)s AND reason IS NOT NULL AND (low_id = ANY(%(ids)s) OR high_id = ANY(%(ids)s))
"""


async def forget_reasons(tx: Tx, request_ids: Sequence[UUID]) -> int:
    """Takes a language model's words out of its opinions on these requests; how many."""
    return await tx.run(FORGET_REASONS, {"tenant_id": tx.tenant_id, "ids": list(request_ids)})
