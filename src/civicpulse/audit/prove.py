"""A bundle that proves a request's trail to somebody who has neither the database nor our word: `scripts/check_proof.py` checks it.

It holds each event as it was hashed, the way from the event to the root of its block, the blocks from there to the next
checkpoint, the signed checkpoint, and the public keys. Texts of people are in it only if asked for.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from civicpulse.audit.chain import content_of
from civicpulse.audit.checkpoints import AFTER, Checkpoint, stored
from civicpulse.audit.merkle import path
from civicpulse.audit.verify import block_of
from civicpulse.base.db import Row, Tx
from civicpulse.base.errors import NotFound

FORMAT: Final = "civicpulse-proof-1"

FIND: Final = "SELECT id FROM requests WHERE tenant_id = %(tenant_id)s AND number = %(number)s"

# As PostgreSQL writes them: that is what was hashed.
EVENTS: Final = """
SELECT e.seq, e.subject_type, e.type, e.actor_type, e.actor_id, (extract(epoch FROM e.at) * 1000000)::bigint AS at_us, e.at,
       e.meta::text AS meta, e.attests::text AS attests, encode(e.hash, 'hex') AS hash
FROM events e WHERE e.tenant_id = %(tenant_id)s AND e.subject_id = %(id)s ORDER BY e.seq
"""

BLOCKS_WITH: Final = """
SELECT b.position, b.subjects, b.seqs, b.root, b.counts, b.at, b.hash FROM chain_blocks b
WHERE b.tenant_id = %(tenant_id)s AND %(id)s = ANY (b.subjects) ORDER BY b.position
"""

BLOCKS_BETWEEN: Final = """
SELECT position, root, counts, at, hash FROM chain_blocks
WHERE tenant_id = %(tenant_id)s AND position BETWEEN %(first)s - 1 AND %(last)s ORDER BY position
"""

TEXTS: Final = """
SELECT 'comment ' || c.id AS what, c.body AS text FROM comments c WHERE c.tenant_id = %(tenant_id)s AND c.request_id = %(id)s
UNION ALL
SELECT 'description', r.description FROM requests r WHERE r.tenant_id = %(tenant_id)s AND r.id = %(id)s
"""


async def prove(tx: Tx, number: str, keys: Sequence[Mapping[str, Any]], *, with_texts: bool) -> dict[str, Any]:
    """Makes the bundle of a request. Events that no checkpoint covers yet are in it, and said to be unproved.

    Raises NotFound when the tenant has no such request.
    """
    request_id = await tx.value(FIND, {"tenant_id": tx.tenant_id, "number": number})
    if request_id is None:
        raise NotFound(f"There is no request {number!r} here.", code="request_not_found")
    scope = {"tenant_id": tx.tenant_id, "id": request_id}
    events = await tx.rows(EVENTS, scope)
    checkpoints = await _checkpoints(tx)
    needed, used = dict[int, dict[str, Any]](), dict[int, Checkpoint]()
    for block in await tx.rows(BLOCKS_WITH, scope):
        covering = next((one for one in checkpoints if one.position >= block["position"]), None)
        if covering is None:
            continue
        await _place(tx, request_id, block, events)
        used[covering.number] = covering
        needed |= await _headers(tx, block["position"], covering.position)
    bundle: dict[str, Any] = {
        "format": FORMAT,
        "tenant": str(tx.tenant_id),
        "request": number,
        "subject_id": str(request_id),
        "events": [_shown(event) for event in events],
        "unproved": [event["seq"] for event in events if "block" not in event],
        "blocks": [needed[position] for position in sorted(needed)],
        "checkpoints": [{"body": dict(one.body), "signature": one.signature} for one in used.values()],
        "keys": list(keys),
    }
    if with_texts:
        bundle["texts"] = {row["what"]: row["text"] for row in await tx.rows(TEXTS, scope)}
    return bundle


async def _checkpoints(tx: Tx) -> list[Checkpoint]:
    found, after = list[Checkpoint](), 0
    while rows := await tx.rows(AFTER, {"tenant_id": tx.tenant_id, "after": after}):
        found += [stored(row) for row in rows]
        after = rows[-1]["number"]
    return found


async def _place(tx: Tx, request_id: UUID, block: Row, events: Sequence[Row]) -> None:
    """Notes with each of the events that the block holds how it leads to the block's root."""
    leaves = (await content_of(tx, block)).leaves
    by_seq = {event["seq"]: event for event in events}
    for index, (subject_id, seq) in enumerate(zip(block["subjects"], block["seqs"], strict=True)):
        if subject_id == request_id and seq in by_seq:
            steps = [[side, beside.hex()] for side, beside in path(leaves, index)]
            by_seq[seq] |= {"block": block["position"], "path": steps}


async def _headers(tx: Tx, first: int, last: int) -> dict[int, dict[str, Any]]:
    rows = await tx.rows(BLOCKS_BETWEEN, {"tenant_id": tx.tenant_id, "first": first, "last": last})
    before = {row["position"]: row for row in rows}
    return {
        row["position"]: block_of(tx.tenant_id, row, before.get(row["position"] - 1)).header()
        for row in rows
        if row["position"] >= first
    }


def _shown(event: Row) -> Row:
    return {name: value for name, value in event.items() if name != "at"} | {"at": event["at"].isoformat()}
