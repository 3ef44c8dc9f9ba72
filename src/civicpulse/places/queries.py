"""Every statement on zones."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import orjson

from civicpulse.base.db import Row, Tx
from civicpulse.places.geojson import ZoneDraft

ALL_ZONES = """
SELECT zone_id, name, geometry FROM zones WHERE tenant_id = %(tenant_id)s ORDER BY zone_id COLLATE "C"
"""

NAMED_ZONES = "SELECT zone_id, name FROM zones WHERE tenant_id = %(tenant_id)s"

LIST_ZONES = """
SELECT zone_id, name, properties, repaired, CASE WHEN %(geometry)s THEN geometry END AS geometry
FROM zones WHERE tenant_id = %(tenant_id)s AND zone_id COLLATE "C" > %(after)s
ORDER BY zone_id COLLATE "C" LIMIT %(limit)s
"""

GET_ZONE = """
SELECT zone_id, name, properties, repaired, geometry FROM zones
WHERE tenant_id = %(tenant_id)s AND zone_id = %(zone_id)s
"""

# A zone that is already as the file has it is not touched and not returned.
PUT_ZONES = """
INSERT INTO zones (tenant_id, zone_id, name, geometry, properties, repaired)
SELECT %(tenant_id)s, z.zone_id, z.name, z.geometry, z.properties, z.repaired
FROM jsonb_to_recordset(%(zones)s::jsonb)
    AS z (zone_id text, name text, geometry jsonb, properties jsonb, repaired boolean)
ON CONFLICT (tenant_id, zone_id) DO UPDATE
SET name = excluded.name, geometry = excluded.geometry, properties = excluded.properties, repaired = excluded.repaired
WHERE (zones.name, zones.geometry, zones.properties, zones.repaired)
      IS DISTINCT FROM (excluded.name, excluded.geometry, excluded.properties, excluded.repaired)
RETURNING zone_id, xmax = 0 AS added
"""

ZONES_VERSION = "SELECT zones_version FROM tenants WHERE tenant_id = %(tenant_id)s"


async def all_zones(tx: Tx) -> list[Row]:
    """Lists every zone with its geometry, by code."""
    return await tx.rows(ALL_ZONES, {"tenant_id": tx.tenant_id})


async def named_zones(tx: Tx) -> list[Row]:
    """Lists code and name of every zone."""
    return await tx.rows(NAMED_ZONES, {"tenant_id": tx.tenant_id})


async def list_zones(tx: Tx, *, after: str, limit: int, geometry: bool) -> list[Row]:
    """Lists zones whose code follows `after`; the geometry is None unless asked for."""
    return await tx.rows(LIST_ZONES, {"tenant_id": tx.tenant_id, "after": after, "limit": limit, "geometry": geometry})


async def find_zone(tx: Tx, zone_id: str) -> Row | None:
    """Finds one zone with its geometry, or None."""
    return await tx.row(GET_ZONE, {"tenant_id": tx.tenant_id, "zone_id": zone_id})


async def put_zones(tx: Tx, drafts: Sequence[ZoneDraft]) -> list[Row]:
    """Adds and changes zones by code; the touched ones, each with `added`."""
    zones: list[dict[str, Any]] = [
        {
            "zone_id": draft.zone_id,
            "name": draft.name,
            "geometry": draft.geometry,
            "properties": draft.properties,
            "repaired": draft.repaired,
        }
        for draft in drafts
    ]
    return await tx.rows(PUT_ZONES, {"tenant_id": tx.tenant_id, "zones": orjson.dumps(zones).decode()})


async def zones_version(tx: Tx) -> int:
    """Finds the stored version of the zones, which may be newer than the one in `tx.tenant`."""
    version: int = await tx.value(ZONES_VERSION, {"tenant_id": tx.tenant_id})
    return version


# A request without a cell has no place of its own: its zone was not found by a polygon.
LOCATED_REQUESTS = """
SELECT id, lon, lat, zone_id FROM requests
WHERE tenant_id = %(tenant_id)s AND cell IS NOT NULL AND id > %(after)s ORDER BY id LIMIT %(limit)s
"""


async def located_requests(tx: Tx, *, after: UUID, limit: int) -> list[Row]:
    """Lists requests with a place, in order of their ids."""
    return await tx.rows(LOCATED_REQUESTS, {"tenant_id": tx.tenant_id, "after": after, "limit": limit})
