"""What a process holds open while it runs; web app, worker and commands build it the same way."""

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from civicpulse.base.clients.geocoder import NominatimClient
from civicpulse.base.clients.tracing import tracing
from civicpulse.base.db import Database
from civicpulse.base.processes import Processes
from civicpulse.base.tenancy import TenantDirectory
from civicpulse.settings import Settings

ROWS_AT_ONCE: Final = 50_000
"""Objects that may come together before the collector looks for cycles: a batch of rows is some tens of thousands, none garbage."""


@dataclass(frozen=True, slots=True)
class Services:
    """The open pool, the tenants, the settings, processes for work that might never end, an online geocoder if one is set."""

    settings: Settings
    db: Database
    tenants: TenantDirectory
    processes: Processes
    geocoder: NominatimClient | None = None


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Opens what a process needs and closes it at the end of the block."""
    gc.set_threshold(ROWS_AT_ONCE, 10, 10)
    with tracing(settings):
        db = Database(settings.database_url, size=settings.pool_size)
        processes = Processes()
        await db.open()
        try:
            tenants = TenantDirectory(db, default_slug=settings.default_tenant)
            yield Services(settings, db, tenants, processes, _geocoder(settings, db))
        finally:
            await processes.close()
            await db.close()


def _geocoder(settings: Settings, db: Database) -> NominatimClient | None:
    if not settings.nominatim_url:
        return None
    return NominatimClient(settings.nominatim_url, db, timeout_seconds=settings.nominatim_timeout_seconds)
