"""Every statement on a tenant's configuration: the tenant's row and the versions of its pack."""

from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from civicpulse.base.db import Row, Tx
from civicpulse.packs.order import stored_order

# Not FOR UPDATE: rows that refer to the tenant are written all the time, and need not wait for a configuration.
LOCK_TENANT = "SELECT pack_version FROM tenants WHERE tenant_id = %(tenant_id)s FOR NO KEY UPDATE"

GET_CONFIGURATION = """
SELECT t.slug, t.name, t.kind, t.pack_version AS current_version, v.version, v.document, v.created_at, v.created_by
FROM tenants t JOIN pack_versions v ON v.tenant_id = t.tenant_id AND v.version = coalesce(%(version)s, t.pack_version)
WHERE t.tenant_id = %(tenant_id)s
"""

WORKFLOWS = """
SELECT DISTINCT document -> 'workflow' AS workflow FROM pack_versions
WHERE tenant_id = %(tenant_id)s AND document #>> '{workflow,version}' = %(version)s
"""

ADD_VERSION = """
INSERT INTO pack_versions (tenant_id, version, document, created_at, created_by)
VALUES (%(tenant_id)s, %(version)s, %(document)s, %(at)s, %(by)s)
"""

# What changed is in the trail: the document itself need not be read.
LIST_VERSIONS = """
SELECT v.version, v.created_at, v.created_by, e.meta -> 'changed' AS changed, e.meta -> 'rolled_back_to' AS rolled_back_to
FROM pack_versions v
LEFT JOIN events e ON e.tenant_id = v.tenant_id AND e.subject_id = v.tenant_id AND e.type IN ('tenant.configured', 'config_changed')
     AND (e.meta ->> 'version')::int = v.version
WHERE v.tenant_id = %(tenant_id)s AND v.version < %(before)s ORDER BY v.version DESC LIMIT %(limit)s
"""


async def lock_tenant(tx: Tx) -> None:
    """Lets changes of the tenant's configuration happen one after the other."""
    await tx.run(LOCK_TENANT, {"tenant_id": tx.tenant_id})


async def get_configuration(tx: Tx, version: int | None = None) -> Row | None:
    """Reads the tenant with its pack of that version, None when there is no such version; without a version, the current one."""
    row = await tx.row(GET_CONFIGURATION, {"tenant_id": tx.tenant_id, "version": version})
    return row and row | {"document": stored_order(row["document"])}


async def add_version(tx: Tx, version: int, document: dict[str, Any], *, at: datetime, by: str) -> None:
    """Stores a version; versions are never changed."""
    values = {"version": version, "document": Jsonb(document), "at": at, "by": by}
    await tx.run(ADD_VERSION, values | {"tenant_id": tx.tenant_id})


async def list_workflows(tx: Tx, version: str) -> list[dict[str, Any]]:
    """Lists the workflows that stored packs hold under this workflow version, each once."""
    return [row["workflow"] for row in await tx.rows(WORKFLOWS, {"tenant_id": tx.tenant_id, "version": version})]


async def list_versions(tx: Tx, *, before: int, limit: int) -> list[Row]:
    """Lists versions below `before`, newest first."""
    return await tx.rows(LIST_VERSIONS, {"tenant_id": tx.tenant_id, "before": before, "limit": limit})
