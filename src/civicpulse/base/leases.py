"""The one mechanism under every queue: take, heartbeat, give back, try again later, park with the error.

A queue is a table whose rows say when they are due. To take a row is to move that time on, for as long as the lease lasts: a
worker that dies gives its rows back by letting their time come, and one that lives moves it on (`holding`). A try counts when
it begins, so that a row which kills its worker is not taken for ever, and the number of the try is the lease: who has lost it
changes nothing more. Rows whose work is done within one short transaction are locked by it instead (`locks`): the outbox.

A room says which table and columns (`Queue`), reads what it needs of the rows that were taken, and settles each when its
work is done, by setting its time to NULL or deleting it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias

from psycopg import OperationalError
from psycopg_pool import PoolTimeout

from civicpulse.base import clock
from civicpulse.base.db import Database, Row, Tx
from civicpulse.base.due import MARK, Source, renew
from civicpulse.base.tenancy import Tenant

# A worker that dies keeps what it holds from the others for no longer; one that lives prolongs it in time.
LEASE_SECONDS: Final = 15.0
BEAT_SECONDS: Final = 4.0

Now: TypeAlias = Callable[[], datetime]

CUT_OFF: Final = "Given up: the worker ended in the middle of each try."


def doubling(tries: int) -> timedelta:
    """Gives the pause after that many tries: five seconds, ten, twenty, and so on."""
    return timedelta(seconds=5 * 2 ** (tries - 1))


@dataclass(frozen=True, slots=True)
class Queue:
    """A table as a queue; its statements are composed once.

    `waits` is true of rows that are not done. `ready` is true of those that may be taken now. `taken`, `returned` and
    `parked` are what else is set when a row is taken, put back, given up. `read` is the room's SELECT over `taken`, which
    has the keys and `attempts`.
    """

    name: str
    table: str
    read: str
    key: tuple[str, ...] = ("id",)
    due: str = "due_at"
    error: str = "last_error"
    waits: str = ""
    ready: str = ""
    order: str = ""
    taken: str = ""
    returned: str = ""
    parked: str = "state = 'parked', due_at = NULL"
    tries: int = 8
    pause: Callable[[int], timedelta] = doubling
    locks: bool = False
    source: Source = field(init=False, repr=False)
    """How the directory of what is due knows the queue."""
    statements: Mapping[str, str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        waits = self.waits or f"{self.due} IS NOT NULL"
        next_at = f"SELECT min({self.due}) FROM {self.table} WHERE tenant_id = %(tenant_id)s AND {waits}"
        object.__setattr__(self, "source", Source(self.name, next_at))
        object.__setattr__(self, "statements", _compose(self, waits))


def _compose(queue: Queue, waits: str) -> Mapping[str, str]:
    ready = queue.ready or f"{queue.due} <= %(now)s AND {waits}"
    keys = ", ".join(queue.key)
    found = f"""
    SELECT {keys}, attempts, {queue.due} FROM {queue.table} WHERE tenant_id = %(tenant_id)s AND {ready}
    ORDER BY {queue.order or queue.due} LIMIT %(limit)s FOR UPDATE SKIP LOCKED
"""
    taking = f"""
    UPDATE {queue.table} q SET {queue.due} = %(until)s, attempts = q.attempts + 1{_more(queue.taken)} FROM found
    WHERE q.tenant_id = %(tenant_id)s AND {" AND ".join(f"q.{name} = found.{name}" for name in queue.key)}
    RETURNING {", ".join(f"q.{name}" for name in queue.key)}, q.attempts
"""
    take = f"WITH taken AS ({found})" if queue.locks else f"WITH found AS ({found}), taken AS ({taking})"
    row = f"{' AND '.join(f'{name} = %({name})s' for name in queue.key)} AND attempts = %(held)s AND {waits}"
    change = f"UPDATE {queue.table} SET {{}} WHERE tenant_id = %(tenant_id)s AND {row}"
    # The mark that a row left at its lease's end is too late for a row that comes back before.
    back = f"WITH woken AS ({MARK}) {change}"
    return {
        "take": take + queue.read,
        "heartbeat": change.format(f"{queue.due} = %(at)s"),
        "prolong": _prolonging(queue, waits),
        "put_back": back.format(f"{queue.due} = %(at)s, attempts = %(tries)s{_more(queue.returned)}"),
        "fail": back.format(
            f"{queue.error} = %(error)s, {queue.due} = %(at)s, attempts = %(tries)s{_more(queue.returned)}"
        ),
        "park": change.format(f"{queue.error} = %(error)s, attempts = %(tries)s, {queue.parked}"),
    }


def _prolonging(queue: Queue, waits: str) -> str:
    """Moves on what still has the time that its lease set: a row that was settled, put back or is being settled has not."""
    held = ", ".join(f"%({name}s)s::text[]" for name in queue.key)
    return f"""
UPDATE {queue.table} q SET {queue.due} = %(at)s FROM (
    SELECT {", ".join(f"f.{name}" for name in (*queue.key, "attempts"))} FROM {queue.table} f
    WHERE f.tenant_id = %(tenant_id)s AND f.{queue.due} = ANY (%(until)s) AND {waits} FOR UPDATE SKIP LOCKED
) AS mine JOIN unnest({held}, %(attempts)s::int[]) AS held ({", ".join(queue.key)}, attempts)
    ON {" AND ".join(f"mine.{name}::text = held.{name}" for name in queue.key)} AND mine.attempts = held.attempts
WHERE q.tenant_id = %(tenant_id)s AND {" AND ".join(f"q.{name} = mine.{name}" for name in queue.key)}
"""


def _more(assignments: str) -> str:
    return f", {assignments}" if assignments else ""


async def take(
    tx: Tx, queue: Queue, *, limit: int, seconds: float = 0.0, now: datetime | None = None, **values: Any
) -> list[Row]:
    """Takes up to `limit` due rows, given to nobody else for `seconds`, as the queue reads them. Commit before working on them.

    Rows of a queue that `locks` are held by this transaction instead. `values` are what the queue's own conditions ask for.
    """
    now = now or clock.wall()
    until = now + timedelta(seconds=seconds)
    rows = await tx.rows(
        queue.statements["take"], values | {"tenant_id": tx.tenant_id, "now": now, "until": until, "limit": limit}
    )
    if len(rows) < limit and not queue.locks:
        await renew(tx, queue.source, now=now)
    return [row | {"held_until": until} for row in rows]


async def heartbeat(tx: Tx, queue: Queue, row: Row, *, seconds: float) -> bool:
    """Prolongs the lease; False when it is somebody else's now."""
    at = clock.wall() + timedelta(seconds=seconds)
    return await tx.run(queue.statements["heartbeat"], _values(tx, queue, row, at=at)) == 1


@asynccontextmanager
async def holding(
    db: Database, tenant: Tenant, queue: Queue, rows: Sequence[Row], *, now: Now = clock.wall
) -> AsyncIterator[None]:
    """Keeps the leases of `rows`, taken for LEASE_SECONDS, while the block works, however long: a worker that dies loses them soon.

    A row that is settled in the meantime, or put back, is left as it is.
    """
    beating = asyncio.create_task(_beat(db, tenant, queue, rows, now))
    try:
        yield
    finally:
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)


async def _beat(db: Database, tenant: Tenant, queue: Queue, rows: Sequence[Row], now: Now) -> None:
    lasting = [row["held_until"] for row in rows[:1]]
    while rows:
        await asyncio.sleep(BEAT_SECONDS)
        with suppress(OperationalError, PoolTimeout):  # the next beat may reach the database again
            async with db.transaction(tenant) as tx:
                lasting.append(await prolong(tx, queue, rows, lasting=lasting, now=now()))


async def prolong(tx: Tx, queue: Queue, rows: Sequence[Row], *, lasting: Sequence[datetime], now: datetime) -> datetime:
    """Prolongs the leases of those of `rows` that still end at one of the times `lasting`; the time at which they end then."""
    until = now + timedelta(seconds=LEASE_SECONDS)
    keys = {f"{name}s": [str(row[name]) for row in rows] for name in queue.key}
    attempts = [row["attempts"] for row in rows]
    about = {"tenant_id": tx.tenant_id, "at": until, "until": list(lasting), "attempts": attempts}
    await tx.run(queue.statements["prolong"], about | keys)
    return until


async def give_back(tx: Tx, queue: Queue, row: Row) -> None:
    """Leaves the row to the next worker at once; this was no try."""
    await tx.run(queue.statements["put_back"], _values(tx, queue, row, at=clock.wall(), tries=row["attempts"] - 1))


async def postpone(tx: Tx, queue: Queue, row: Row, *, error: str, until: datetime) -> None:
    """Puts the row off, with the reason; this was no try."""
    await tx.run(
        queue.statements["fail"], _values(tx, queue, row, at=until, tries=row["attempts"] - 1, error=_clean(error))
    )


async def retry_later(tx: Tx, queue: Queue, row: Row, error: str, *, now: datetime | None = None) -> bool:
    """Puts the row back for its next try, or parks it after the last one; whether it is parked now."""
    tries = row["attempts"] + (1 if queue.locks else 0)
    if tries >= queue.tries:
        await park(tx, queue, row, error, now=now)
        return True
    at = (now or clock.wall()) + queue.pause(tries)
    await tx.run(queue.statements["fail"], _values(tx, queue, row, at=at, tries=tries, error=_clean(error)))
    return False


async def park(tx: Tx, queue: Queue, row: Row, error: str, *, now: datetime | None = None) -> None:
    """Gives the row up, with the error: visible, never lost, put back by hand."""
    tries = row["attempts"] + (1 if queue.locks else 0)
    at = now or clock.wall()
    await tx.run(queue.statements["park"], _values(tx, queue, row, at=at, tries=tries, error=_clean(error)))


def _values(tx: Tx, queue: Queue, row: Row, **values: Any) -> dict[str, Any]:
    about = {"tenant_id": tx.tenant_id, "queue": queue.name, "held": row["attempts"]}
    return about | {name: row[name] for name in queue.key} | values


def _clean(error: str) -> str:
    """Makes a fault's text fit to be stored: without NUL, which PostgreSQL's text cannot hold, and not without end."""
    return error.replace("\x00", "")[:2000]


def worn_out(queue: Queue, rows: Sequence[Row]) -> list[Row]:
    """Finds the rows whose tries are used up already: each of them ended with its worker."""
    return [row for row in rows if row["attempts"] > queue.tries]
