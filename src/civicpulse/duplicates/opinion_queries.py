"""Every statement on what a language model thinks of pairs."""

from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from civicpulse.base.db import Row, Tx

WAITING_TENANTS = "SELECT tenant_id FROM gate_tenants_opinions()"

# Each pair once, however often its event is reacted to.
ADD = """
INSERT INTO duplicate_opinions (tenant_id, low_id, high_id, score)
SELECT r.tenant_id, least(r.id, %(id)s::uuid), greatest(r.id, %(id)s::uuid), p.score
FROM jsonb_to_recordset(%(proposed)s) AS p (request_id text, score jsonb)
JOIN requests r ON r.tenant_id = %(tenant_id)s AND r.number = p.request_id
ON CONFLICT DO NOTHING
"""

# The lease and the try count as with reports. A pair that staff has decided about meanwhile needs no opinion: `is_decided`.
TAKE = """
WITH due AS (
    SELECT low_id, high_id FROM duplicate_opinions WHERE tenant_id = %(tenant_id)s AND due_at <= now()
    ORDER BY due_at LIMIT %(most)s FOR UPDATE SKIP LOCKED
), taken AS (
    UPDATE duplicate_opinions o SET due_at = now() + make_interval(secs => %(lease)s), attempts = o.attempts + 1, asked_at = now()
    FROM due WHERE o.tenant_id = %(tenant_id)s AND o.low_id = due.low_id AND o.high_id = due.high_id
    RETURNING o.low_id, o.high_id, o.score, o.attempts
)
SELECT t.low_id, t.high_id, t.score, t.attempts, a.number, a.category, a.address_hint, a.description,
       b.number AS other_number, b.category AS other_category, b.address_hint AS other_address_hint,
       b.description AS other_description,
       coalesce(a.master_id, a.id) = coalesce(b.master_id, b.id) OR EXISTS (
           SELECT 1 FROM duplicate_rejections d WHERE d.tenant_id = %(tenant_id)s AND d.low_id = t.low_id AND d.high_id = t.high_id
       ) AS is_decided
FROM taken t
JOIN requests a ON a.tenant_id = %(tenant_id)s AND a.id = t.low_id
JOIN requests b ON b.tenant_id = %(tenant_id)s AND b.id = t.high_id
"""

ANSWER = """
UPDATE duplicate_opinions SET state = 'answered', due_at = NULL, verdict = %(verdict)s, confidence = %(confidence)s,
    reason = %(reason)s, model = %(model)s, version = %(version)s, answered_at = %(at)s, last_error = NULL
WHERE tenant_id = %(tenant_id)s AND low_id = %(low_id)s AND high_id = %(high_id)s AND state = 'waiting'
"""

ARE_OPEN = """
SELECT bool_and(state_category IN ('open', 'waiting')) FROM requests WHERE tenant_id = %(tenant_id)s AND id IN (%(low_id)s, %(high_id)s)
"""

NOTE = """
UPDATE duplicate_opinions SET last_error = %(error)s
WHERE tenant_id = %(tenant_id)s AND low_id = %(low_id)s AND high_id = %(high_id)s
"""

# Back-off doubles from five seconds; after the last try the pair is left to people, with the error.
PUT_BACK = """
UPDATE duplicate_opinions SET last_error = %(error)s, state = CASE WHEN attempts >= %(most)s THEN 'failed' ELSE 'waiting' END,
    due_at = CASE WHEN attempts < %(most)s THEN now() + make_interval(secs => 5 * 2 ^ (attempts - 1)) END
WHERE tenant_id = %(tenant_id)s AND low_id = %(low_id)s AND high_id = %(high_id)s AND state = 'waiting'
RETURNING state
"""

# Nobody was asked, so it was no try.
POSTPONE = """
UPDATE duplicate_opinions SET last_error = %(error)s, due_at = %(until)s, attempts = greatest(attempts - 1, 0)
WHERE tenant_id = %(tenant_id)s AND low_id = %(low_id)s AND high_id = %(high_id)s AND state = 'waiting'
"""


async def add_pairs(tx: Tx, request_id: UUID, proposed: list[Row]) -> int:
    """Keeps the pairs of a request and those that were proposed ({request_id, score}) to be asked about; how many are new."""
    return await tx.run(ADD, {"tenant_id": tx.tenant_id, "id": request_id, "proposed": Jsonb(proposed)})


async def take(tx: Tx, *, most: int, lease_seconds: float) -> list[Row]:
    """Up to `most` due pairs with both texts, given to nobody else until the lease ends. Commit before asking."""
    return await tx.rows(TAKE, {"tenant_id": tx.tenant_id, "most": most, "lease": lease_seconds})


async def answer(tx: Tx, pair: Row, said: Row, *, at: datetime) -> bool:
    """Keeps what was said (verdict, confidence, reason, model, version); False when another worker was quicker."""
    return await tx.run(ANSWER, _key(tx, pair) | said | {"at": at}) == 1


async def are_open(tx: Tx, pair: Row) -> bool:
    """Whether both requests of the pair are still to be worked on."""
    return bool(await tx.value(ARE_OPEN, _key(tx, pair)))


async def note(tx: Tx, pair: Row, error: str) -> None:
    """Keeps why an answer led to nothing."""
    await tx.run(NOTE, _key(tx, pair) | {"error": error})


async def put_back(tx: Tx, pair: Row, *, error: str, most: int) -> str | None:
    """The pair waits for its next try, or has failed after the last one; its state, None when it is answered already."""
    state: str | None = await tx.value(PUT_BACK, _key(tx, pair) | {"error": error, "most": most})
    return state


async def postpone(tx: Tx, pair: Row, *, error: str, until: datetime) -> None:
    """The pair waits until then; this was no try."""
    await tx.run(POSTPONE, _key(tx, pair) | {"error": error, "until": until})


def _key(tx: Tx, pair: Row) -> dict[str, Any]:
    return {"tenant_id": tx.tenant_id, "low_id": pair["low_id"], "high_id": pair["high_id"]}
