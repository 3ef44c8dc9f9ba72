"""What a process holds open while it runs; web app, worker and commands build it the same way."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from civicpulse.base.clients.geocoder import NominatimClient
from civicpulse.base.db import Database
from civicpulse.base.processes import Processes
from civicpulse.base.tenancy import TenantDirectory
from civicpulse.base.tracing import tracing
from civicpulse.settings import Settings


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
