"""A discrete-event simulation: lives that sleep until a moment, woken in order of time, many to a transaction.

A life is an async generator. It acts with the clock set to its moment and yields the next moment at which it wants to
go on; whatever lies after the end is never lived, and is the work that the city still has before it.
"""

import heapq
from collections.abc import AsyncGenerator, Callable
from datetime import datetime
from itertools import count
from typing import TypeAlias

from civicpulse.base import clock
from civicpulse.base.db import Database, Tx
from civicpulse.base.tenancy import Tenant

Life: TypeAlias = AsyncGenerator[datetime]

STEPS_PER_TRANSACTION = 400


class Engine:
    """The queue of lives. `tx` is the open transaction that all of them write in."""

    tx: Tx

    def __init__(self, db: Database, tenant: Tenant, *, until: datetime) -> None:
        self._db, self._tenant, self._until = db, tenant, until
        self._queue: list[tuple[datetime, int, Life]] = []
        self._numbers = count()

    def start(self, at: datetime, life: Life) -> None:
        """Lets `life` begin at `at`, or never when that is after the end."""
        heapq.heappush(self._queue, (at, next(self._numbers), life))

    async def run(self, *, progress: Callable[[datetime], None]) -> None:
        """Lives everything up to the end; `progress` hears the simulated time after each transaction."""
        try:
            while self._queue and self._queue[0][0] <= self._until:
                async with self._db.transaction(self._tenant) as self.tx, self.tx.conn.pipeline():
                    # In a pipeline a write is sent without waiting for its answer; the next read brings it.
                    for _ in range(STEPS_PER_TRANSACTION):
                        if not await self._step():
                            break
                progress(min(self._queue[0][0], self._until) if self._queue else self._until)
        finally:
            for _, _, life in self._queue:
                await life.aclose()

    async def _step(self) -> bool:
        if not self._queue or self._queue[0][0] > self._until:
            return False
        at, _, life = heapq.heappop(self._queue)
        with clock.at(at):
            wakes_at = await anext(life, None)
        if wakes_at is not None:
            self.start(max(at, wakes_at), life)
        return True
