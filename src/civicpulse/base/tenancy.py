"""Which tenants there are, remembered for a few seconds so that no request has to ask."""

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID

from psycopg.rows import class_row

if TYPE_CHECKING:
    from civicpulse.base.db import Database

FRESH_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Tenant:
    """One organisation on the engine. The two versions tell caches when its pack or its zones have changed."""

    tenant_id: UUID
    slug: str
    name: str
    kind: str
    pack_version: int
    zones_version: int
    secret: bytes = field(repr=False)


class TenantDirectory:
    """All tenants, oldest first; at most FRESH_SECONDS old. A slug or id that is not there is looked up again at once."""

    def __init__(self, db: "Database", *, default_slug: str = "") -> None:
        self._db = db
        self._default_slug = default_slug
        self._by_id: dict[UUID, Tenant] = {}
        self._by_slug: dict[str, Tenant] = {}
        self._read_at = float("-inf")

    async def refresh(self) -> None:
        """Reads the tenants now."""
        async with self._db.gate() as conn:
            cursor = conn.cursor(row_factory=class_row(Tenant))
            await cursor.execute(
                "SELECT tenant_id, slug, name, kind, pack_version, zones_version, secret FROM gate_tenants()"
            )
            tenants = await cursor.fetchall()
        self._by_id = {tenant.tenant_id: tenant for tenant in tenants}
        self._by_slug = {tenant.slug: tenant for tenant in tenants}
        self._read_at = time.monotonic()

    async def _fresh(self) -> None:
        if time.monotonic() - self._read_at > FRESH_SECONDS:
            await self.refresh()

    async def all(self) -> list[Tenant]:
        """Every tenant, oldest first."""
        await self._fresh()
        return list(self._by_id.values())

    async def by_slug(self, slug: str) -> Tenant | None:
        """Finds the tenant called `slug`, or None."""
        await self._fresh()
        if slug not in self._by_slug:
            await self.refresh()
        return self._by_slug.get(slug)

    async def by_slug_if_known(self, slug: str) -> Tenant | None:
        """Finds the tenant for a word that may be a slug (a host name); a word that is not known is not looked up again."""
        await self._fresh()
        return self._by_slug.get(slug)

    async def by_id(self, tenant_id: UUID) -> Tenant | None:
        """Finds the tenant with that id, or None."""
        await self._fresh()
        if tenant_id not in self._by_id:
            await self.refresh()
        return self._by_id.get(tenant_id)

    async def default(self) -> Tenant | None:
        """Finds the tenant of a caller who names none: CIVICPULSE_DEFAULT_TENANT, else the oldest one."""
        await self._fresh()
        if self._default_slug:
            return await self.by_slug(self._default_slug)
        if not self._by_id:
            await self.refresh()
        return next(iter(self._by_id.values()), None)
