"""A worker's turns: queues of several tenants worked on side by side, so that nobody's work holds up anybody else's.

A tenant with a million waiting rows gets a few batches, then another one may have the place; who has waited longest is
next. Where there is work is read from the directory (`base/due.py`).
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeAlias
from uuid import UUID

from civicpulse.base import clock, due
from civicpulse.base.db import Database
from civicpulse.base.due import Source
from civicpulse.base.log import get_logger
from civicpulse.base.tenancy import Tenant, TenantDirectory

log = get_logger(__name__)

REST_SECONDS: Final = 2.0  # after a failure that was not one row's own
TIMER_LEASE: Final = timedelta(minutes=20)

Batch: TypeAlias = Callable[[Tenant], Awaitable[int]]
"""Works on one batch of a tenant; how many rows it took, 0 when there is nothing more to take now."""


@dataclass(frozen=True, slots=True)
class Line:
    """Who works on a queue: one batch at a time, for `places` tenants at once, `batches` before another may have the place."""

    queue: str
    work: Batch
    places: int = 2
    batches: int = 5


class Turns:
    """The lines of one worker process."""

    def __init__(self, db: Database, tenants: TenantDirectory, lines: Sequence[Line]) -> None:
        self._db, self._tenants = db, tenants
        self._lines = {line.queue: line for line in lines}
        self._at_work: dict[tuple[str, UUID], asyncio.Task[None]] = {}
        self._served: dict[tuple[str, UUID], int] = {}
        self._count = 0
        self._closing = False
        self.more = asyncio.Event()
        """Set when a turn has ended and there is more to do: `step` need not wait for the next look."""
        self._is_full = False

    async def step(self) -> int:
        """Begins with each tenant that has due work, as far as there is a place; how many turns it has begun."""
        self.more.clear()
        found = [place for place in await due.waiting(self._db, now=clock.wall()) if place[0] in self._lines]
        begun, self._is_full = 0, False
        for place in sorted(found, key=lambda place: self._served.get(place, 0)):
            queue, _ = place
            taken = sum(other == queue for other, _ in self._at_work)
            if place in self._at_work:
                continue
            if taken >= self._lines[queue].places:
                self._is_full = True
            else:
                self._count += 1
                self._served[place] = self._count
                self._at_work[place] = asyncio.create_task(self._work(*place))
                begun += 1
        return begun

    async def close(self) -> None:
        """Waits until each has finished the batch that it holds."""
        self._closing = True
        await asyncio.gather(*self._at_work.values())

    async def _work(self, queue: str, tenant_id: UUID) -> None:
        line = self._lines[queue]
        taken = 0
        try:
            tenant = await self._tenants.by_id(tenant_id)
            for _ in range(line.batches):
                taken = await line.work(tenant) if tenant is not None and not self._closing else 0
                if not taken:
                    break
        except Exception as error:  # one tenant's fault must not stop the others
            log.error("turn_failed", queue=queue, tenant=str(tenant_id), exc_info=error)
            if not self._closing:
                await asyncio.sleep(REST_SECONDS)
        finally:
            del self._at_work[queue, tenant_id]
            if taken or self._is_full:
                self.more.set()


@asynccontextmanager
async def open_turns(db: Database, tenants: TenantDirectory, lines: Sequence[Line]) -> AsyncIterator[Turns]:
    """Turns that finish what they hold at the end of the block."""
    turns = Turns(db, tenants, lines)
    try:
        yield turns
    finally:
        await turns.close()


async def work_off(db: Database, tenants: TenantDirectory, line: Line) -> int:
    """Works one line off for every tenant that has something due, one after the other; how many. For commands and tests."""
    done = 0
    for queue, tenant_id in await due.waiting(db, now=clock.wall()):
        tenant = await tenants.by_id(tenant_id) if queue == line.queue else None
        while tenant is not None and (taken := await line.work(tenant)):
            done += taken
    return done


def timer(
    db: Database,
    name: str,
    job: Callable[[Tenant], Awaitable[object]],
    *,
    every: timedelta,
    after: timedelta = timedelta(),
) -> Line:
    """Makes a line that runs `job` for each tenant once in each period, `after` its beginning; one worker at a time.

    The mark of the timer is the lease: moved on while the job runs, due again when its worker dies.
    """

    async def work(tenant: Tenant) -> int:
        now = clock.wall()
        async with db.transaction(tenant) as tx:
            is_mine = await due.claim(tx, name, now=now, until=now + TIMER_LEASE)
        if is_mine:
            await job(tenant)
            async with db.transaction(tenant) as tx:
                await due.replace(tx, name, at=next_time(clock.wall(), every, after))
        return 0

    return Line(name, work, places=1)


async def look_around(
    db: Database, tenants: TenantDirectory, sources: Sequence[Source], timers: Sequence[Line]
) -> None:
    """Sees to it that everything has its mark: rows that came without one, and the timers of new tenants."""
    for tenant in await tenants.all():
        async with db.transaction(tenant) as tx:
            await due.cover(tx, sources, now=clock.wall())
            for line in timers:
                await due.mark_first(tx, line.queue, at=clock.wall())


def next_time(now: datetime, every: timedelta, after: timedelta) -> datetime:
    """Finds the first moment after `now` that lies `after` the beginning of a period (counted from year 1, UTC)."""
    origin = datetime.min.replace(tzinfo=now.tzinfo) + after
    return origin + ((now - origin) // every + 1) * every
