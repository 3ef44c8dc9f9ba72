"""Every statement on offices and on the online geocoder's answers."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from civicpulse.base.db import Row, Tx
from civicpulse.places.place import Place

FIND_GEOCODES = """
SELECT query, lon, lat, quality, country_code, matched FROM geocodes
WHERE tenant_id = %(tenant_id)s AND query = ANY (%(texts)s)
"""

PUT_GEOCODE = """
INSERT INTO geocodes (tenant_id, query, lon, lat, quality, country_code, matched, asked_at)
VALUES (%(tenant_id)s, %(query)s, %(lon)s, %(lat)s, %(quality)s, %(country_code)s, %(matched)s, %(at)s)
ON CONFLICT (tenant_id, query) DO UPDATE
SET lon = excluded.lon, lat = excluded.lat, quality = excluded.quality, country_code = excluded.country_code,
    matched = excluded.matched, asked_at = excluded.asked_at
"""

# An office that is already as the file has it is not touched; one whose address changed must be placed anew.
PUT_OFFICES = """
INSERT INTO offices (tenant_id, id, name, address, created_at, updated_at)
SELECT %(tenant_id)s, o.id, o.name, o.address, %(at)s, %(at)s
FROM unnest(%(ids)s::uuid[], %(names)s::text[], %(addresses)s::text[]) AS o (id, name, address)
ON CONFLICT (tenant_id, name) DO UPDATE
SET address = excluded.address, lon = NULL, lat = NULL, geo_quality = NULL, updated_at = excluded.updated_at
WHERE offices.address <> excluded.address
RETURNING id, name, xmax = 0 AS added
"""

OFFICE_IDS = "SELECT id, name FROM offices WHERE tenant_id = %(tenant_id)s AND name = ANY (%(names)s)"

LIST_OFFICES = """
SELECT id, name, address, lon, lat, geo_quality, created_at, updated_at FROM offices
WHERE tenant_id = %(tenant_id)s ORDER BY name COLLATE "C", id
"""

PLACE_OFFICES = """
UPDATE offices SET lon = p.lon, lat = p.lat, geo_quality = p.quality, updated_at = %(at)s
FROM unnest(%(ids)s::uuid[], %(lons)s::float8[], %(lats)s::float8[], %(qualities)s::text[]) AS p (id, lon, lat, quality)
WHERE offices.tenant_id = %(tenant_id)s AND offices.id = p.id
"""


async def find_geocodes(tx: Tx, texts: Sequence[str]) -> list[Row]:
    """Finds the remembered answers among `texts`."""
    return await tx.rows(FIND_GEOCODES, {"tenant_id": tx.tenant_id, "texts": list(texts)})


async def put_geocode(tx: Tx, text: str, place: Place, *, at: datetime) -> None:
    """Remembers an answer, also that nothing was found."""
    values: dict[str, Any] = {
        "tenant_id": tx.tenant_id,
        "query": text,
        "lon": place.lon,
        "lat": place.lat,
        "quality": place.quality,
        "country_code": place.country_code,
        "matched": place.matched,
        "at": at,
    }
    await tx.run(PUT_GEOCODE, values)


async def put_offices(tx: Tx, rows: Sequence[tuple[UUID, str, str]], *, at: datetime) -> list[Row]:
    """Adds and changes offices (id for a new one, name, address) by name; the touched ones, each with `added`."""
    values = {
        "tenant_id": tx.tenant_id,
        "ids": [row[0] for row in rows],
        "names": [row[1] for row in rows],
        "addresses": [row[2] for row in rows],
        "at": at,
    }
    return await tx.rows(PUT_OFFICES, values)


async def office_ids(tx: Tx, names: Sequence[str]) -> dict[str, UUID]:
    """Finds the ids, by name, of the offices that there are."""
    rows = await tx.rows(OFFICE_IDS, {"tenant_id": tx.tenant_id, "names": list(names)})
    return {row["name"]: row["id"] for row in rows}


async def list_offices(tx: Tx) -> list[Row]:
    """Lists every office, by name."""
    return await tx.rows(LIST_OFFICES, {"tenant_id": tx.tenant_id})


async def place_offices(tx: Tx, placed: Sequence[tuple[UUID, Place]], *, at: datetime) -> None:
    """Stores where offices lie."""
    values = {
        "tenant_id": tx.tenant_id,
        "ids": [office_id for office_id, _ in placed],
        "lons": [place.lon for _, place in placed],
        "lats": [place.lat for _, place in placed],
        "qualities": [place.quality for _, place in placed],
        "at": at,
    }
    await tx.run(PLACE_OFFICES, values)
