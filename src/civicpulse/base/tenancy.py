"""Which tenants there are, remembered for a few seconds so that no request has to ask."""

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import dict_row

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


FIND_TENANTS: Final = "SELECT tenant_id, slug, name, kind, pack_version, zones_version FROM gate_tenants()"

SIGNING_KEY: Final = "SELECT t.secret FROM tenants t WHERE t.tenant_id = %s"


class TenantDirectory:
    """All tenants, oldest first; at most FRESH_SECONDS old. A slug or id that is not there is looked up again at once.

    A tenant's secret comes from no list: it is read once, under the tenant's own binding.
    """

    def __init__(self, db: "Database", *, default_slug: str = "") -> None:
        self._db = db
        self._default_slug = default_slug
        self._by_id: dict[UUID, Tenant] = {}
        self._by_slug: dict[str, Tenant] = {}
        self._secrets: dict[UUID, bytes] = {}
        self._read_at = float("-inf")

    async def refresh(self) -> None:
        """Reads the tenants now."""
        async with self._db.gate() as conn:
            found = await (await conn.cursor(row_factory=dict_row).execute(FIND_TENANTS)).fetchall()
            for row in found:
                if row["tenant_id"] not in self._secrets:
                    self._secrets[row["tenant_id"]] = await _secret(conn, row["tenant_id"])
        tenants = [Tenant(**row, secret=self._secrets[row["tenant_id"]]) for row in found]
        self._by_id = {tenant.tenant_id: tenant for tenant in tenants}
        self._by_slug = {tenant.slug: tenant for tenant in tenants}
        self._read_at = time.monotonic()

    async def _fresh(self) -> None:
        if time.monotonic() - self._read_at > FRESH_SECONDS:
            await self.refresh()

    async def all(self) -> list[Tenant]:
        """Lists every tenant, oldest first."""
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


async def _secret(conn: AsyncConnection[Any], tenant_id: UUID) -> bytes:
    async with conn.transaction():
        await conn.execute(f"SET LOCAL civicpulse.tenant = '{tenant_id}'".encode())  # a UUID needs no quoting
        row = await (await conn.execute(SIGNING_KEY, [tenant_id])).fetchone()
    assert row is not None, "a tenant is never taken away"
    return bytes(row[0])
