"""Tenants: made by the operator, with the pack they start from."""

import secrets
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection, sql
from psycopg.types.json import Jsonb

from civicpulse.base.db import Tx
from civicpulse.base.errors import Conflict, Invalid
from civicpulse.base.ids import new_id
from civicpulse.base.tenancy import Tenant

ADD_TENANT = """
INSERT INTO tenants (tenant_id, slug, name, kind, pack_version, secret)
VALUES (%(tenant_id)s, %(slug)s, %(name)s, %(kind)s, 1, %(secret)s)
ON CONFLICT (slug) DO NOTHING
"""

ADD_FIRST_PACK = """
INSERT INTO pack_versions (tenant_id, version, document, created_by) VALUES (%(tenant_id)s, 1, %(document)s, 'operator')
"""


async def create_tenant(
    owner: AsyncConnection[Any], *, slug: str, name: str, kind: str, pack_document: dict[str, Any]
) -> Tenant:
    """Makes a tenant, its first pack version and its request numbers on the owner's connection, in one transaction.

    Raises Conflict when the slug is taken, Invalid when it is not a slug.
    """
    if (
        not slug
        or not slug.replace("-", "").isalnum()
        or not slug.isascii()
        or slug != slug.lower()
        or slug.startswith("-")
        or len(slug) > 63
    ):
        raise Invalid("A slug is 1 to 63 lower-case letters, digits and hyphens, such as 'springfield'.", field="slug")
    tenant_id: UUID = new_id()
    secret = secrets.token_bytes(32)
    async with owner.transaction():
        await owner.execute(sql.SQL("SET LOCAL civicpulse.tenant = {}").format(str(tenant_id)))
        added = await owner.execute(
            ADD_TENANT, {"tenant_id": tenant_id, "slug": slug, "name": name, "kind": kind, "secret": secret}
        )
        if added.rowcount == 0:
            raise Conflict(f"There is a tenant called {slug!r} already.", code="tenant_exists")
        await owner.execute(ADD_FIRST_PACK, {"tenant_id": tenant_id, "document": Jsonb(pack_document)})
        await owner.execute("SELECT create_request_numbers(%s)", [tenant_id])
    return Tenant(tenant_id, slug, name, kind, pack_version=1, zones_version=0, secret=secret)


SET_TENANT = """
UPDATE tenants SET pack_version = %(version)s, name = %(name)s, kind = %(kind)s WHERE tenant_id = %(tenant_id)s
"""

BUMP_ZONES = """
UPDATE tenants SET zones_version = zones_version + 1 WHERE tenant_id = %(tenant_id)s RETURNING zones_version
"""


async def set_tenant(tx: Tx, *, pack_version: int, name: str, kind: str) -> None:
    """Lets the tenant go by that version of its pack, under that name and kind."""
    values = {"tenant_id": tx.tenant_id, "version": pack_version, "name": name, "kind": kind}
    await tx.run(SET_TENANT, values)


async def bump_zones(tx: Tx) -> int:
    """Tells every process that the tenant's zones have changed; their new version."""
    version: int = await tx.value(BUMP_ZONES, {"tenant_id": tx.tenant_id})
    return version
