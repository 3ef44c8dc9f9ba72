"""The outbox drained: each committed event's reactions, at least once, in batches that no two workers share."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, TypeAlias

from civicpulse.base import clock, due, leases
from civicpulse.base.db import Database, Row, Tx
from civicpulse.base.due import Source
from civicpulse.base.events import event_name
from civicpulse.base.leases import Queue
from civicpulse.base.log import get_logger
from civicpulse.base.tenancy import Tenant, TenantDirectory
from civicpulse.base.turns import Line, work_off

log = get_logger(__name__)

Reaction: TypeAlias = Callable[[Tx, Row], Awaitable[None]]
Reactions: TypeAlias = Mapping[str, Sequence[Reaction]]

BATCH: Final = 200

# Locked, not leased: a batch of reactions is some milliseconds of one transaction.
QUEUE: Final = Queue(
    name="outbox",
    table="outbox",
    key=("subject_id", "seq"),
    due="available_at",
    waits="parked_at IS NULL",
    parked="parked_at = %(at)s",
    locks=True,
    read="""
SELECT t.subject_id, t.seq, e.type, t.attempts, e.subject_type, e.actor_type, e.actor_id, e.at, e.meta
FROM taken t JOIN events e ON e.tenant_id = %(tenant_id)s AND e.subject_id = t.subject_id AND e.seq = t.seq
ORDER BY t.available_at, t.subject_id, t.seq
""",
)

DONE: Final = """
DELETE FROM outbox o USING unnest(%(subjects)s::uuid[], %(seqs)s::int[]) AS done (subject_id, seq)
WHERE o.tenant_id = %(tenant_id)s AND o.subject_id = done.subject_id AND o.seq = done.seq
"""


def outbox_line(db: Database, reactions: Reactions, feeds: Sequence[Source] = ()) -> Line:
    """Makes the worker's line of events; `feeds` are the queues that reactions and changes of requests add to."""

    async def work(tenant: Tenant) -> int:
        async with db.transaction(tenant) as tx:
            return await drain_batch(tx, reactions, feeds)

    return Line(QUEUE.name, work)


async def drain(db: Database, tenants: TenantDirectory, reactions: Reactions, feeds: Sequence[Source] = ()) -> int:
    """Runs the reactions of all waiting events; how many it took. For commands and tests. Safe beside itself."""
    return await work_off(db, tenants, outbox_line(db, reactions, feeds))


async def drain_batch(tx: Tx, reactions: Reactions, feeds: Sequence[Source] = ()) -> int:
    """Runs the reactions of up to BATCH waiting events of one tenant in this transaction; how many it took."""
    events = await leases.take(tx, QUEUE, limit=BATCH)
    done: list[Row] = []
    for event in events:
        error = await _react(tx, event, reactions.get(event_name(event["type"], event["meta"]), ()))
        if error is None:
            done.append(event)
        else:
            await leases.retry_later(tx, QUEUE, event, error)
    if done:
        finished = {"subjects": [event["subject_id"] for event in done], "seqs": [event["seq"] for event in done]}
        await tx.run(DONE, finished | {"tenant_id": tx.tenant_id})
    if events:
        await due.feed(tx, feeds, now=clock.wall())
    if len(events) < BATCH:
        await due.renew(tx, QUEUE.source, now=clock.wall())
    return len(events)


async def _react(tx: Tx, event: Row, reactions: Sequence[Reaction]) -> str | None:
    """Runs the reactions; None when all went well, else the error. A failing one undoes itself only, behind a savepoint."""
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
        return f"{type(error).__name__}: {error}"
    return None


async def empty_outbox(tx: Tx) -> None:
    """Takes a tenant's events off the outbox, for whoever has run their reactions itself."""
    await tx.run(EMPTY, {"tenant_id": tx.tenant_id})


EMPTY = "DELETE FROM outbox WHERE tenant_id = %(tenant_id)s"
