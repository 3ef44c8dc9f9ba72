"""The directory of what is due: which tenant has work in which queue, and when.

A mark (tenant, queue, due_at) says: look here then. Whoever adds work adds a mark in the same transaction; it is an insert
that waits for nobody. A worker that has looked replaces the marks by one that covers what is left, in one statement: it
takes away only marks that it sees, and whoever sees a mark sees the work that was committed with it. So no committed work
is ever without a mark, and a mark too many costs one look.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from civicpulse.base.db import Database, Tx

WAITING: Final = "SELECT queue, tenant_id FROM gate_due(%(now)s)"

MARK: Final = "INSERT INTO due (tenant_id, queue, due_at) VALUES (%(tenant_id)s, %(queue)s, %(at)s)"

# Marks that another worker holds are left to it: it replaces them itself.
SEEN: Final = """
DELETE FROM due WHERE tenant_id = %(tenant_id)s AND queue = %(queue)s AND ctid = ANY (ARRAY(
    SELECT d.ctid FROM due d WHERE d.tenant_id = %(tenant_id)s AND d.queue = %(queue)s AND d.due_at <= %(until)s
    FOR UPDATE SKIP LOCKED))
"""

CLAIM: Final = f"""
WITH seen AS ({SEEN} RETURNING due_at)
INSERT INTO due (tenant_id, queue, due_at) SELECT %(tenant_id)s, %(queue)s, %(at)s WHERE EXISTS (SELECT 1 FROM seen)
"""

REPLACE: Final = f"""
WITH seen AS ({SEEN})
INSERT INTO due (tenant_id, queue, due_at) VALUES (%(tenant_id)s, %(queue)s, %(at)s)
"""

MARK_FIRST: Final = """
INSERT INTO due (tenant_id, queue, due_at) SELECT %(tenant_id)s, %(queue)s, %(at)s
WHERE NOT EXISTS (SELECT 1 FROM due d WHERE d.tenant_id = %(tenant_id)s AND d.queue = %(queue)s)
"""

NONE_EARLIER: Final = """
AND NOT EXISTS (SELECT 1 FROM due d WHERE d.tenant_id = %(tenant_id)s AND d.queue = %(queue)s AND d.due_at <= n.at)
"""

FOREVER: Final = "infinity"


@dataclass(frozen=True, slots=True)
class Source:
    """What the directory knows of one queue: its name, and the query for the time of its first row or NULL."""

    name: str
    next_at: str
    renewing: str = field(init=False, repr=False)
    feeding: str = field(init=False, repr=False)
    covering: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "renewing", _adding("n.at", self.next_at, deleting=SEEN))
        kept = "least(n.at, (SELECT min(s.due_at) FROM seen s))"
        object.__setattr__(self, "feeding", _adding(kept, self.next_at, deleting=f"{SEEN} RETURNING due_at"))
        object.__setattr__(self, "covering", _adding("n.at", self.next_at) + NONE_EARLIER)


def _adding(at: str, next_at: str, *, deleting: str = "") -> str:
    seen = f"WITH seen AS ({deleting})" if deleting else ""
    return f"""{seen}
INSERT INTO due (tenant_id, queue, due_at)
SELECT %(tenant_id)s, %(queue)s, {at} FROM ({next_at}) AS n (at) WHERE n.at IS NOT NULL
"""


async def waiting(db: Database, *, now: datetime) -> Sequence[tuple[str, UUID]]:
    """Finds where there is work now: (queue, tenant id)."""
    async with db.gate() as conn:
        cursor = await conn.execute(WAITING, {"now": now})
        return await cursor.fetchall()


async def renew(tx: Tx, source: Source, *, now: datetime) -> None:
    """Replaces, after a look, the marks of a queue by one at the time of its first row, or by none."""
    await tx.run(source.renewing, _values(tx, source, now))


async def feed(tx: Tx, sources: Sequence[Source], *, now: datetime) -> None:
    """Marks when a queue's first row is due, after work that may have added rows; a mark that was earlier stays as early."""
    for source in sources:
        await tx.run(source.feeding, _values(tx, source, now))


async def cover(tx: Tx, sources: Sequence[Source], *, now: datetime) -> None:
    """Adds marks for rows that have none: those that an earlier release or a person at the database has written."""
    for source in sources:
        await tx.run(source.covering, _values(tx, source, now))


def _values(tx: Tx, source: Source, now: datetime) -> dict[str, Any]:
    return {"tenant_id": tx.tenant_id, "queue": source.name, "until": FOREVER, "now": now}


async def mark(tx: Tx, queue: str, *, at: datetime) -> None:
    """Says that the queue has work at `at`."""
    await tx.run(MARK, {"tenant_id": tx.tenant_id, "queue": queue, "at": at})


async def mark_first(tx: Tx, queue: str, *, at: datetime) -> None:
    """Says it only of a queue that has no mark at all."""
    await tx.run(MARK_FIRST, {"tenant_id": tx.tenant_id, "queue": queue, "at": at})


async def claim(tx: Tx, queue: str, *, now: datetime, until: datetime) -> bool:
    """Moves the due marks of a queue to `until`; False when there are none or another worker moves them."""
    return await tx.run(CLAIM, {"tenant_id": tx.tenant_id, "queue": queue, "until": now, "at": until}) == 1


async def replace(tx: Tx, queue: str, *, at: datetime) -> None:
    """Puts one mark at `at` in the place of all."""
    await tx.run(REPLACE, {"tenant_id": tx.tenant_id, "queue": queue, "until": FOREVER, "at": at})
