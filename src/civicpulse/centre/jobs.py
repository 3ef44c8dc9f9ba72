"""The worker's share: runs that wait, and runs whose worker died."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID

from civicpulse.base.clients.storage import Storage
from civicpulse.base.log import get_logger
from civicpulse.base.services import Services
from civicpulse.centre.run_queries import WAITING_TENANTS
from civicpulse.centre.runner import run_next

log = get_logger(__name__)

MOST_TENANTS: Final = 3  # worked for at once


async def work_off_runs(services: Services, storage: Storage) -> int:
    """Works on the oldest due run of each tenant, one after the other; how many. For commands and tests."""
    taken = 0
    for tenant_id in await _waiting(services):
        tenant = await services.tenants.by_id(tenant_id)
        taken += tenant is not None and await run_next(services, storage, tenant) is not None
    return taken


async def _waiting(services: Services) -> list[UUID]:
    return await services.db.tenants_with_work(WAITING_TENANTS)


class Shift:
    """Runs of several tenants at once, a task for each: a long night of one holds up nobody else.

    `stopping` is asked between batches: once it says yes, a run is given back and goes on in another worker.
    """

    def __init__(self, services: Services, storage: Storage, stopping: Callable[[], bool]) -> None:
        self._services, self._storage, self._stopping = services, storage, stopping
        self._at_work: dict[UUID, asyncio.Task[None]] = {}

    async def step(self) -> int:
        """Begins with each tenant that has a due run, as far as there is a place; how many it has begun with."""
        waiting = [tenant_id for tenant_id in await _waiting(self._services) if tenant_id not in self._at_work]
        begun = waiting[: MOST_TENANTS - len(self._at_work)]
        for tenant_id in begun:
            self._at_work[tenant_id] = asyncio.create_task(self._work(tenant_id))
        return len(begun)

    async def close(self) -> None:
        """Waits until each has ended the batch that it holds."""
        await asyncio.gather(*self._at_work.values())

    async def _work(self, tenant_id: UUID) -> None:
        try:
            tenant = await self._services.tenants.by_id(tenant_id)
            if tenant is not None and not self._stopping():
                await run_next(self._services, self._storage, tenant, stopping=self._stopping)
        except Exception as error:  # the database is away, most likely; the run's lease brings it back
            log.error("pipeline_work_failed", tenant=str(tenant_id), exc_info=error)
        finally:
            del self._at_work[tenant_id]


@asynccontextmanager
async def open_shift(services: Services, storage: Storage, *, stopping: Callable[[], bool]) -> AsyncIterator[Shift]:
    """A shift that ends its batches at the end of the block."""
    shift = Shift(services, storage, stopping)
    try:
        yield shift
    finally:
        await shift.close()
