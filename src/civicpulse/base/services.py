"""What a process holds open while it runs; web app, worker and commands build it the same way."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from civicpulse.base.db import Database
from civicpulse.base.tenancy import TenantDirectory
from civicpulse.settings import Settings


@dataclass(frozen=True, slots=True)
class Services:
    """The open pool, the tenants and the settings."""

    settings: Settings
    db: Database
    tenants: TenantDirectory


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Opens what a process needs and closes it at the end of the block."""
    db = Database(settings.database_url, size=settings.pool_size)
    await db.open()
    try:
        yield Services(settings, db, TenantDirectory(db, default_slug=settings.default_tenant))
    finally:
        await db.close()
