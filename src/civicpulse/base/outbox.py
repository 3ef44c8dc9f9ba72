"""The outbox drained: each committed event's reactions, at least once, in batches that no two workers share."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeAlias

from civicpulse.base.db import Database, Row, Tx
from civicpulse.base.log import get_logger
from civicpulse.base.tenancy import TenantDirectory

log = get_logger(__name__)

Reaction: TypeAlias = Callable[[Tx, Row], Awaitable[None]]
Reactions: TypeAlias = Mapping[str, Sequence[Reaction]]

BATCH = 200
MOST_ATTEMPTS = 8

WAITING_TENANTS = "SELECT tenant_id FROM gate_tenants_outbox()"

TAKE = """
SELECT o.subject_id, o.seq, o.type, o.attempts, e.subject_type, e.actor_type, e.actor_id, e.at, e.meta
FROM outbox o JOIN events e ON e.tenant_id = o.tenant_id AND e.subject_id = o.subject_id AND e.seq = o.seq
WHERE o.tenant_id = %(tenant_id)s AND o.available_at <= now() AND o.parked_at IS NULL
ORDER BY o.available_at LIMIT %(most)s FOR UPDATE OF o SKIP LOCKED
"""

DONE = """
DELETE FROM outbox o USING unnest(%(subjects)s::uuid[], %(seqs)s::int[]) AS done (subject_id, seq)
WHERE o.tenant_id = %(tenant_id)s AND o.subject_id = done.subject_id AND o.seq = done.seq
"""

# Back-off doubles from five seconds; after the last try the row is parked with its error, visible, never lost.
PUT_BACK = """
UPDATE outbox SET attempts = attempts + 1, last_error = %(error)s, available_at = now() + make_interval(secs => 5 * 2 ^ attempts),
    parked_at = CASE WHEN attempts + 1 >= %(most)s THEN now() END
WHERE tenant_id = %(tenant_id)s AND subject_id = %(subject_id)s AND seq = %(seq)s
"""


async def drain(db: Database, tenants: TenantDirectory, reactions: Reactions) -> int:
    """Runs the reactions of all waiting events; how many events it took. Safe to run in many workers at once."""
    waiting = await db.tenants_with_work(WAITING_TENANTS)
    taken = 0
    for tenant_id in waiting:
        tenant = await tenants.by_id(tenant_id)
        while tenant is not None:
            async with db.transaction(tenant) as tx:
                count = await _drain_batch(tx, reactions)
            taken += count
            if count < BATCH:
                break
    return taken


async def _drain_batch(tx: Tx, reactions: Reactions) -> int:
    events = await tx.rows(TAKE, {"tenant_id": tx.tenant_id, "most": BATCH})
    done: list[Row] = []
    for event in events:
        error = await _react(tx, event, reactions.get(event["type"], ()))
        if error is None:
            done.append(event)
        else:
            about = {"tenant_id": tx.tenant_id, "subject_id": event["subject_id"], "seq": event["seq"]}
            await tx.run(PUT_BACK, about | {"error": error, "most": MOST_ATTEMPTS})
    if done:
        finished = {"subjects": [event["subject_id"] for event in done], "seqs": [event["seq"] for event in done]}
        await tx.run(DONE, finished | {"tenant_id": tx.tenant_id})
    return len(events)


async def _react(tx: Tx, event: Row, reactions: Sequence[Reaction]) -> str | None:
    """None when all went well, else the error; a failing reaction undoes itself only, behind a savepoint."""
    if not reactions:
        return None
    try:
        async with tx.conn.transaction():
            for reaction in reactions:
                await reaction(tx, event)
    except Exception as error:
        log.warning(
            "reaction_failed", type=event["type"], subject=str(event["subject_id"]), seq=event["seq"], exc_info=error
        )
        return f"{type(error).__name__}: {error}"[:2000]
    return None
