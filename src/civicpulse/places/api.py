"""HTTP of this room: the zones that requests are filed under."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from civicpulse.accounts.callers import Caller, needs
from civicpulse.base.answers import Page, answers
from civicpulse.base.db import Row
from civicpulse.base.errors import NotFound
from civicpulse.base.paging import MAX_LIMIT, decode_cursor, encode_cursor, page
from civicpulse.base.web import Json, TransactionRoute
from civicpulse.places import queries
from civicpulse.places.views import AreaView, ZoneAtView, ZoneFeature, ZoneView
from civicpulse.places.zones import ZoneIndex, zone_index
from civicpulse.rules.access import Permission

router = APIRouter(route_class=TransactionRoute, tags=["places"])

SORT = "zone_id"


def _document(row: Row, index: ZoneIndex) -> dict[str, Any]:
    """Writes one zone of a list; `bbox` is west, south, east, north."""
    document = {
        "zone_id": row["zone_id"],
        "name": row["name"],
        "properties": row["properties"],
        "repaired": row["repaired"],
        "bbox": index.bounds.get(row["zone_id"]),
    }
    if row["geometry"] is not None:
        document["geometry"] = row["geometry"]
    return document


async def _page(caller: Caller, limit: int, cursor: str | None, *, geometry: bool) -> tuple[list[Row], str | None]:
    after = decode_cursor(cursor, SORT, [str])[0] if cursor else ""
    rows = await queries.list_zones(caller.tx, after=after, limit=limit + 1, geometry=geometry)
    shown = rows[:limit]
    return shown, encode_cursor(SORT, [shown[-1]["zone_id"]]) if len(rows) > limit else None


@router.get(
    "/zones",
    summary="List the tenant's zones, by code; with their polygons when geometry=true",
    responses=answers(Page[ZoneView]),
)
async def list_zones(
    caller: Annotated[Caller, needs(Permission.PLACE_READ)],
    geometry: bool = False,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = MAX_LIMIT,
    cursor: str | None = None,
) -> Response:
    """Lists a page of zones."""
    shown, following = await _page(caller, limit, cursor, geometry=geometry)
    index = await zone_index(caller.tx)
    return Json(page([_document(row, index) for row in shown], following))


@router.get("/areas", summary="List zones in short: id and name", responses=answers(Page[AreaView]))
async def list_areas(
    caller: Annotated[Caller, needs(Permission.PLACE_READ)],
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = MAX_LIMIT,
    cursor: str | None = None,
) -> Response:
    """Lists a page of areas (another word for zones), by code."""
    shown, following = await _page(caller, limit, cursor, geometry=False)
    return Json(page([{"id": row["zone_id"], "name": row["name"]} for row in shown], following))


@router.get("/zones/at", summary="Find the zone that holds a point", responses=answers(ZoneAtView))
async def find_zone_at(
    caller: Annotated[Caller, needs(Permission.PLACE_READ)],
    lon: Annotated[float, Query(ge=-180, le=180)],
    lat: Annotated[float, Query(ge=-90, le=90)],
) -> Response:
    """Finds the zone's code and name; both null outside all zones."""
    zone_id = (await zone_index(caller.tx)).zone_of(lon, lat)
    row = await queries.find_zone(caller.tx, zone_id) if zone_id else None
    return Json({"lon": lon, "lat": lat, "zone_id": zone_id, "name": row["name"] if row else None})


@router.get(
    "/zones/{zone_id:path}",
    summary="Read one zone as a GeoJSON feature",
    responses=answers(ZoneFeature, {404: ("not_found",)}),
)
async def get_zone(zone_id: str, caller: Annotated[Caller, needs(Permission.PLACE_READ)]) -> Response:
    """Shows the feature with its polygon."""
    row = await queries.find_zone(caller.tx, zone_id)
    if row is None:
        raise NotFound(f"There is no zone {zone_id!r}.")
    index = await zone_index(caller.tx)
    properties = row["properties"] | {"zone_id": row["zone_id"], "name": row["name"], "repaired": row["repaired"]}
    feature = {
        "type": "Feature",
        "id": row["zone_id"],
        "bbox": index.bounds.get(row["zone_id"]),
        "properties": properties,
        "geometry": row["geometry"],
    }
    return Json(feature)
