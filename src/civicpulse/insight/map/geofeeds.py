"""Map feeds: what a heatmap, a cluster layer and a zone layer draw, as GeoJSON (R-KPI-04)."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import h3.api.basic_int as h3
import orjson

from civicpulse.base.db import Row, Tx
from civicpulse.insight.map import geo_queries
from civicpulse.insight.schemas import Scope
from civicpulse.places.zones import UNZONED
from civicpulse.requests.filters import Box, longitudes
from civicpulse.rules.heat import FORMULA

HEATMAP_FINEST: Final = 9
RECENT: Final = timedelta(days=30)
OUTSIDE: Final = "Outside every zone"

# Zoom → H3 resolution: cells of some 60 to 130 pixels on a map of 512-pixel tiles. From POINTS_ZOOM on, single requests.
RESOLUTIONS: Final = (1, 1, 1, 1, 2, 3, 3, 4, 5, 5, 6, 7, 8, 8, 9, 10)
POINTS_ZOOM: Final = len(RESOLUTIONS)
MAX_ZOOM: Final = 22

Features = list[dict[str, Any]]


def resolution_of(zoom: int) -> int:
    """Chooses the resolution in which requests are clustered at a zoom."""
    return RESOLUTIONS[min(zoom, POINTS_ZOOM - 1)]


def cell_index(grouped: int, resolution: int) -> int:
    """Restores the H3 index of a cell that was grouped in SQL: its resolution bits put right."""
    return (grouped & ~(0xF << 52)) | (resolution << 52)


def expansion_zoom(low: int, high: int) -> int:
    """Finds the zoom at which a cluster whose lowest and highest cell are given falls apart.

    Indexes sort by place, so what the two have in common all cells between them have in common.
    """
    for zoom, resolution in enumerate(RESOLUTIONS):
        if low >> (3 * (15 - resolution)) != high >> (3 * (15 - resolution)):
            return zoom
    return POINTS_ZOOM


def _point(lon: float, lat: float, properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "Feature",
        "properties": properties,
        "geometry": {"type": "Point", "coordinates": [round(lon, 6), round(lat, 6)]},
    }


def _request_point(row: Row) -> dict[str, Any]:
    properties = {
        "request_id": row["number"],
        "category": row["category"],
        "priority": row["priority"],
        "weight": round(row["weight"], 4),
        "age_hours": round(row["age_hours"], 2),
    }
    return _point(row["lon"], row["lat"], properties)


def _cell_point(row: Row, **more: Any) -> dict[str, Any]:
    cell = cell_index(row["cell"], row["resolution"])
    lat, lon = h3.cell_to_latlng(cell)
    return _point(lon, lat, {"cell": h3.int_to_str(cell), "count": row["n"], "weight": round(row["weight"], 4), **more})


async def heatmap(
    tx: Tx, scope: Scope, *, weights: Mapping[str, float], at: datetime, max_points: int
) -> tuple[Features, dict[str, Any]]:
    """Draws open requests as weighted points, or, when there are more than `max_points`, as cells with their weights added up."""
    aggregation: dict[str, Any] = {"method": "weighted_heatmap", "weight_formula": FORMULA}
    aggregation["left_out"] = await geo_queries.count_left_out(tx, scope)
    if await geo_queries.count_open(tx, scope, limit=max_points + 1) <= max_points:
        rows = await geo_queries.list_points(tx, scope, weights=weights, at=at, limit=max_points)
        return [_request_point(row) for row in rows], {**aggregation, "unit": "request", "count": len(rows)}
    rows = await geo_queries.list_cells(tx, scope, weights=weights, at=at, finest=HEATMAP_FINEST, limit=max_points)
    resolution = rows[0]["resolution"] if rows else HEATMAP_FINEST
    told = {"unit": "cell", "h3_resolution": resolution, "count": sum(row["n"] for row in rows)}
    return [_cell_point(row) for row in rows], {
        **aggregation,
        **told,
        "tile_hint": f"z={RESOLUTIONS.index(max(resolution, 1))}",
    }


async def clusters(
    tx: Tx, scope: Scope, *, weights: Mapping[str, float], at: datetime, zoom: int, max_points: int
) -> tuple[Features, dict[str, Any]]:
    """Draws open requests grouped for a zoom; a group of one is the request itself, at its own place."""
    aggregation: dict[str, Any] = {"method": "cluster", "weight_formula": FORMULA, "tile_hint": f"z={zoom}"}
    aggregation["left_out"] = await geo_queries.count_left_out(tx, scope)
    if zoom >= POINTS_ZOOM and await geo_queries.count_open(tx, scope, limit=max_points + 1) <= max_points:
        rows = await geo_queries.list_points(tx, scope, weights=weights, at=at, limit=max_points)
        features = [_single(row, round(row["weight"], 4)) for row in rows]
        return features, {**aggregation, "unit": "request", "count": len(rows)}
    finest = resolution_of(zoom)
    rows = await geo_queries.list_cells(tx, scope, weights=weights, at=at, finest=finest, limit=max_points)
    singles = {
        row["cell"]: row
        for row in await geo_queries.list_in_cells(tx, scope, [row["low"] for row in rows if row["n"] == 1])
    }
    resolution = rows[0]["resolution"] if rows else finest
    told = {"unit": "cell", "h3_resolution": resolution, "count": sum(row["n"] for row in rows)}
    return list(_clustered(rows, singles, zoom)), {**aggregation, **told}


def _single(row: Row, weight: float) -> dict[str, Any]:
    names = ("category", "priority", "status")
    told = {"request_id": row["number"], **{name: row[name] for name in names}}
    return _point(row["lon"], row["lat"], {"cluster": False, "count": 1, "weight": weight, **told})


def _clustered(rows: list[Row], singles: Mapping[int, Row], zoom: int) -> Iterator[dict[str, Any]]:
    for row in rows:
        single = singles.get(row["low"]) if row["n"] == 1 else None
        if single is not None:
            yield _single(single, round(row["weight"], 4))
        else:
            further = max(zoom + 1, expansion_zoom(row["low"], row["high"]))
            yield _cell_point(row, cluster=True, expansion_zoom=min(further, MAX_ZOOM))


async def zones(tx: Tx, scope: Scope, *, weights: Mapping[str, float], at: datetime) -> tuple[Features, dict[str, Any]]:
    """Draws every zone's polygon with what is open in it now and what was resolved in the last 30 days.

    What lies in no zone, or in one that has no polygon any more, is a feature without a geometry: nothing is left out.
    """
    by_zone = {row["zone_id"]: row for row in await geo_queries.count_by_zone(tx, scope, weights=weights, at=at)}
    resolved = {row["zone_id"]: row for row in await geo_queries.resolved_by_zone(tx, scope, since=at - RECENT)}
    features = []
    drawable = await geo_queries.list_zones(tx, scope)
    for zone in drawable:
        geometry = orjson.loads(zone["geometry"])
        if scope.bbox is None or _touches(geometry, scope.bbox):
            found = {"now": by_zone.get(zone["zone_id"], {}), "done": resolved.get(zone["zone_id"], {})}
            features.append({"type": "Feature", "properties": _zone_properties(zone, **found), "geometry": geometry})
    drawn = {zone["zone_id"] for zone in drawable}
    for code in sorted((by_zone.keys() | resolved.keys()) - drawn):
        if scope.bbox is None or code in by_zone:  # what was resolved is not counted by box
            zone = {"zone_id": code, "name": OUTSIDE if code == UNZONED else code}
            found = {"now": by_zone.get(code, {}), "done": resolved.get(code, {})}
            features.append({"type": "Feature", "properties": _zone_properties(zone, **found), "geometry": None})
    count = sum(feature["properties"]["open"] for feature in features)
    return features, {"method": "zone_summary", "weight_formula": FORMULA, "unit": "zone", "count": count}


def _zone_properties(zone: Row, *, now: Row, done: Row) -> dict[str, Any]:
    hours = done.get("hours")
    return {
        "zone_id": zone["zone_id"],
        "name": zone["name"],
        "open": now.get("open", 0),
        "backlog": now.get("open", 0),  # the KPIs' word for the same
        "at_risk": now.get("at_risk", 0),
        "overdue": now.get("overdue", 0),
        "breached": now.get("breached", 0),
        "weight": round(now.get("weight", 0.0), 4),
        "resolved_30d": done.get("resolved", 0),
        "avg_resolution_hours": None if hours is None else round(hours, 2),
    }


def _positions(coordinates: Any) -> Iterator[tuple[float, float]]:
    if coordinates and isinstance(coordinates[0], int | float):
        yield coordinates[0], coordinates[1]
    else:
        for part in coordinates:
            yield from _positions(part)


def _touches(geometry: Mapping[str, Any], box: Box) -> bool:
    """Tells whether the polygon's own box meets `box`."""
    _, south, _, north = box
    places = list(_positions(geometry["coordinates"]))
    lons, lats = [lon for lon, _ in places], [lat for _, lat in places]
    within = min(lats) <= north and max(lats) >= south
    return within and any(min(lons) <= east and max(lons) >= west for west, east in longitudes(box))
