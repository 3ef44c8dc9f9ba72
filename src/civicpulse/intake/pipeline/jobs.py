"""The worker's share: runs that wait, and runs whose worker died."""

import asyncio
from collections.abc import Callable
from typing import Final
from uuid import UUID

from civicpulse.base.clients.storage import Storage
from civicpulse.base.services import Services
from civicpulse.intake.pipeline.run_queries import WAITING_TENANTS
from civicpulse.intake.pipeline.runner import run_next

MOST_TENANTS: Final = 3  # worked for at once


async def work_off_runs(services: Services, storage: Storage, *, stopping: Callable[[], bool] = lambda: False) -> int:
    """Works on the oldest due run of each tenant, of a few at once; how many runs it has taken.

    `stopping` is asked between batches: once it says yes, a run is given back and goes on in another worker.
    """
    async with services.db.gate() as conn:
        cursor = await conn.execute(WAITING_TENANTS)
        waiting = [row[0] for row in await cursor.fetchall()]
    places = asyncio.Semaphore(MOST_TENANTS)

    async def work(tenant_id: UUID) -> bool:
        async with places:
            tenant = await services.tenants.by_id(tenant_id)
            if tenant is None or stopping():
                return False
            return await run_next(services, storage, tenant, stopping=stopping) is not None

    return sum(await asyncio.gather(*(work(tenant_id) for tenant_id in waiting)))
