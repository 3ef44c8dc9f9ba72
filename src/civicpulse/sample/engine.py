"""A discrete-event simulation: lives that sleep until a moment, woken in order of time, many to a transaction.

A life is an async generator. It acts with the clock set to its moment and yields the next moment at which it wants to
go on; whatever lies after the end is never lived, and is the work that the city still has before it.
"""

import heapq
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from itertools import count
from typing import Any, TypeAlias, TypeVar

from psycopg import AsyncConnection, sql, waiting
from psycopg.abc import PQGen

from civicpulse.base import clock
from civicpulse.base.db import Tx
from civicpulse.base.errors import Problem
from civicpulse.base.log import get_logger
from civicpulse.base.logins import as_application
from civicpulse.base.tenancy import Tenant

Life: TypeAlias = AsyncGenerator[datetime]
T = TypeVar("T")
log = get_logger(__name__)

STEPS_PER_TRANSACTION = 200
# What a crash can lose is a sample, and the last transaction waits for the disk again.
BEGIN = "BEGIN; SET LOCAL civicpulse.tenant = {}; SET LOCAL synchronous_commit = off"


class _Direct(AsyncConnection[Any]):
    """A connection that waits for the server on the spot.

    Nothing else runs in the loop while the sample is made, and a turn of the loop costs more than a typical statement does.
    """

    async def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:  # noqa: ASYNC109 - the driver's own signature
        """Runs a generator of the driver until it is done."""
        return waiting.wait(gen, self.pgconn.socket, interval=interval, timeout=timeout)


class Engine:
    """The queue of lives, and the connection that all of them write on; `tx` is its open transaction.

    A life whose step the product refuses ends there with a warning, and the city goes on: actions decide before they
    write.
    """

    tx: Tx

    def __init__(self, conn: AsyncConnection[Any], tenant: Tenant, *, until: datetime) -> None:
        self._conn, self._tenant, self._until = conn, tenant, until
        self._queue: list[tuple[datetime, int, Life]] = []
        self._numbers = count()
        self._open = AsyncExitStack()

    def start(self, at: datetime, life: Life) -> None:
        """Lets `life` begin at `at`, or never when that is after the end."""
        heapq.heappush(self._queue, (at, next(self._numbers), life))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Tx]:
        """Opens a transaction of the tenant, as the application's role, committed at the end of the block.

        In a pipeline: a write is sent without waiting for its answer, which comes with the next read's. So `tx.run`
        cannot tell how many rows it touched, and nothing that is done here may ask.
        """
        async with self._open:
            yield await self._open.enter_async_context(self._begun())

    @asynccontextmanager
    async def apart(self) -> AsyncIterator[None]:
        """Commits what was done so far, for a block that opens transactions of its own, and opens the next after it."""
        await self._open.aclose()
        try:
            yield
        finally:
            await self._open.enter_async_context(self._begun())

    @asynccontextmanager
    async def _begun(self) -> AsyncIterator[Tx]:
        await self._conn.execute(sql.SQL(BEGIN).format(str(self._tenant.tenant_id)))
        self.tx = Tx(self._conn, self._tenant)
        async with self._conn.pipeline():
            yield self.tx
        await self._conn.execute("COMMIT")

    async def run(self, *, committed: Callable[[datetime, int], Awaitable[None]]) -> None:
        """Lives everything up to the end; `committed` hears the simulated time and the number of each transaction."""
        numbers = count(1)
        try:
            while self._queue and self._queue[0][0] <= self._until:
                async with self.transaction():
                    for _ in range(STEPS_PER_TRANSACTION):
                        if not await self._step():
                            break
                reached = min(self._queue[0][0], self._until) if self._queue else self._until
                await committed(reached, next(numbers))
        finally:
            for _, _, life in self._queue:
                await life.aclose()

    async def _step(self) -> bool:
        if not self._queue or self._queue[0][0] > self._until:
            return False
        at, _, life = heapq.heappop(self._queue)
        with clock.at(at):
            try:
                wakes_at = await anext(life, None)
            except Problem as problem:
                wakes_at = None
                log.warning("sample_step_refused", code=problem.code, detail=problem.detail)
        if wakes_at is not None:
            self.start(max(at, wakes_at), life)
        return True


@asynccontextmanager
async def engine_for(url: str, tenant: Tenant, *, until: datetime) -> AsyncIterator[Engine]:
    """Opens an engine with a connection of its own, closed at the end of the block; what is not committed is rolled back."""
    async with await _Direct.connect(as_application(url), autocommit=True, prepare_threshold=2) as conn:
        yield Engine(conn, tenant, until=until)
