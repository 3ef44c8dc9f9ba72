"""What a process holds open while it runs; web app, worker and commands build it the same way."""

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from civicpulse.base.clients.geocoder import NominatimClient
from civicpulse.base.clients.tracing import tracing
from civicpulse.base.db import Database, Patience
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
async def open_services(settings: Settings, *, patience: Patience | None = None) -> AsyncIterator[Services]:
    """Opens what a process needs and closes it at the end of the block; without `patience` it has that of jobs and commands."""
    gc.set_threshold(ROWS_AT_ONCE, 10, 10)
    with tracing(settings):
        db = Database(settings.database_url, size=settings.pool_size, patience=patience or jobs_patience(settings))
        processes = Processes()
        await db.open()
        try:
            tenants = TenantDirectory(db, default_slug=settings.default_tenant)
            yield Services(settings, db, tenants, processes, _geocoder(settings, db))
        finally:
            await processes.close()
            await db.close()


def calls_patience(settings: Settings) -> Patience:
    """Says how long may take what a call does in the database: somebody waits for it."""
    return Patience(
        settings.statement_timeout_seconds, settings.lock_timeout_seconds, settings.idle_transaction_timeout_seconds
    )


def jobs_patience(settings: Settings) -> Patience:
    """Says how long may take what jobs and commands do in the database: they read and write much at once."""
    return Patience(settings.job_timeout_seconds, settings.lock_timeout_seconds, settings.job_timeout_seconds)


def _geocoder(settings: Settings, db: Database) -> NominatimClient | None:
    if not settings.nominatim_url:
        return None
    return NominatimClient(settings.nominatim_url, db, timeout_seconds=settings.nominatim_timeout_seconds)
