"""Idempotency-Key: the same call twice is answered the same and done once (R-INT-02)."""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from civicpulse.base.db import Tx
from civicpulse.base.errors import Invalid
from civicpulse.base.ids import lock_number

LOCK_KEY = "SELECT pg_advisory_xact_lock(%(number)s)"

FIND_ANSWER = """
SELECT fingerprint, answer FROM idempotency_keys WHERE tenant_id = %(tenant_id)s AND scope = %(scope)s AND key = %(key)s
"""

KEEP_ANSWER = """
INSERT INTO idempotency_keys (tenant_id, scope, key, fingerprint, answer)
VALUES (%(tenant_id)s, %(scope)s, %(key)s, %(fingerprint)s, %(answer)s)
"""


FORGET_BEFORE = "DELETE FROM idempotency_keys WHERE tenant_id = %(tenant_id)s AND created_at < %(before)s"


async def forget_before(tx: Tx, before: datetime) -> int:
    """Drops the tenant's stored answers that are older; how many."""
    return await tx.run(FORGET_BEFORE, {"tenant_id": tx.tenant_id, "before": before})


async def once(
    tx: Tx, *, scope: str, key: str | None, body: Any, create: Callable[[], Awaitable[dict[str, Any]]]
) -> tuple[dict[str, Any], bool]:
    """Runs `create` once per (tenant, scope, key); answers (what it answered, whether this is a replay).

    `scope` names the operation and the caller, such as "agents:dispatcher:0197…". `body` is the raw body or anything
    that orjson can write. Simultaneous calls queue behind the first. Without a key `create` simply runs. Raises Invalid
    (422, code "idempotency_key_reused") when the key came with another body before. A failing `create` keeps nothing.
    """
    if key is None:
        return await create(), False
    fingerprint = _fingerprint(body)
    kept = await answer_before(tx, scope=scope, key=key, fingerprint=fingerprint)
    if kept is not None:
        return orjson.loads(kept), True
    answer = orjson.dumps(await create(), option=orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS)
    await keep_answer(tx, scope=scope, key=key, fingerprint=fingerprint, answer=answer.decode())
    return orjson.loads(answer), False


async def answer_before(tx: Tx, *, scope: str, key: str, fingerprint: bytes) -> str | None:
    """Finds what the call with this key was answered before, or None: then the key is the caller's until the transaction ends.

    Raises Invalid when the key came with another body.
    """
    await tx.run(LOCK_KEY, {"number": lock_number("idempotency", tx.tenant_id, scope, key)})
    kept = await tx.row(FIND_ANSWER, {"tenant_id": tx.tenant_id, "scope": scope, "key": key})
    if kept is None:
        return None
    if bytes(kept["fingerprint"]) != fingerprint:
        raise Invalid(
            "This Idempotency-Key came with another body before: use a new key.",
            field="Idempotency-Key",
            code="idempotency_key_reused",
        )
    answer: str = kept["answer"]
    return answer


async def keep_answer(tx: Tx, *, scope: str, key: str, fingerprint: bytes, answer: str) -> None:
    """Keeps what was answered to a key, for whoever comes with it again. The caller holds the key's lock."""
    values = {"scope": scope, "key": key, "fingerprint": fingerprint, "answer": answer}
    await tx.run(KEEP_ANSWER, values | {"tenant_id": tx.tenant_id})


FORGET_ANSWERS = """
DELETE FROM idempotency_keys k
WHERE k.tenant_id = %(tenant_id)s AND starts_with(k.scope, %(scope)s)
  AND EXISTS (SELECT 1 FROM unnest(%(ids)s::text[]) AS named (id) WHERE strpos(k.answer, named.id) > 0)
"""


async def forget_answers(tx: Tx, *, scope: str, naming: Sequence[UUID]) -> int:
    """Forgets the answers of scopes that begin so in which one of these ids stands: what was said of an erased person; how many."""
    values = {"tenant_id": tx.tenant_id, "scope": scope, "ids": [str(one) for one in naming]}
    return await tx.run(FORGET_ANSWERS, values)


def _fingerprint(body: Any) -> bytes:
    raw = (
        body
        if isinstance(body, bytes)
        else orjson.dumps(body, option=orjson.OPT_SORT_KEYS | orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS)
    )
    return hashlib.sha256(raw).digest()
