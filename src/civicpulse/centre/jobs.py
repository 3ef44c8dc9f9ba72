"""The worker's share: runs that wait, and runs whose worker died."""

from collections.abc import Callable
from typing import Final

from civicpulse.base.clients.storage import Storage
from civicpulse.base.services import Services
from civicpulse.base.tenancy import Tenant
from civicpulse.base.turns import Line, work_off
from civicpulse.centre.run_queries import QUEUE
from civicpulse.centre.runner import run_next

TENANTS: Final = 3  # worked for at once


def runs_line(services: Services, storage: Storage, *, stopping: Callable[[], bool] = lambda: False) -> Line:
    """Makes the worker's line of runs, one of a tenant at a time.

    `stopping` is asked between batches: once it says yes, a run is given back and goes on in another worker.
    """

    async def work(tenant: Tenant) -> int:
        return not stopping() and await run_next(services, storage, tenant, stopping=stopping) is not None

    return Line(QUEUE.name, work, places=TENANTS, batches=1)


async def work_off_runs(services: Services, storage: Storage) -> int:
    """Works on the due runs of each tenant, one after the other; how many. For commands and tests."""
    return await work_off(services.db, services.tenants, runs_line(services, storage))
