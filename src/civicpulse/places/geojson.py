"""Zones from a GeoJSON file: read, checked and repaired before anything is stored. Pure but for reading the file."""

import gzip
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import cos, radians
from pathlib import Path
from typing import Any

import orjson
import shapely
from shapely.errors import ShapelyError
from shapely.geometry import mapping, shape
from shapely.geometry.base import BaseGeometry

from civicpulse.base.errors import Invalid

METRES_PER_DEGREE = 111_195.0
WGS_84 = frozenset({"CRS84", "CRS84H", "4326", "4979", "WGS84", "WGS 84"})
POLYGONAL = frozenset({"Polygon", "MultiPolygon"})


@dataclass(frozen=True, slots=True)
class Repair:
    """A polygon that crossed itself, and by how much the repair changed its area."""

    zone_id: str
    index: int
    reason: str
    area_before_m2: float
    area_after_m2: float


@dataclass(frozen=True, slots=True)
class BadFeature:
    """A feature that cannot be a zone; `index` counts from 0 in the file."""

    index: int
    reason: str


@dataclass(frozen=True, slots=True)
class ZoneDraft:
    """One zone as read: `polygon` is valid and made of polygons only, in degrees (lon, lat)."""

    zone_id: str
    name: str
    polygon: BaseGeometry
    properties: dict[str, Any]
    repaired: bool

    @property
    def geometry(self) -> dict[str, Any]:
        """The polygon as a GeoJSON geometry."""
        return dict(mapping(self.polygon))


@dataclass(frozen=True, slots=True)
class ZoneFile:
    """What a file holds. `joined` names the codes that came in several features, now one zone each."""

    drafts: tuple[ZoneDraft, ...]
    repairs: tuple[Repair, ...]
    bad: tuple[BadFeature, ...]
    joined: tuple[str, ...]


def read_zone_file(path: Path, *, code_property: str, name_property: str | None) -> ZoneFile:
    """Reads a FeatureCollection (.geojson, .json, either also .gz); raises Invalid when the file is not one."""
    return read_zones(_features(path), code_property=code_property, name_property=name_property)


def _features(path: Path) -> list[Any]:
    try:
        raw = path.read_bytes()
        document = orjson.loads(gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw)
    except (OSError, EOFError, ValueError) as error:
        raise Invalid(f"{path} cannot be read as GeoJSON: {error}", code="unreadable_file") from error
    if isinstance(document, dict) and _is_foreign(document):
        raise Invalid(
            f"{path} has a member `crs` that names another coordinate system than WGS 84: {_brief(document['crs'])}. Save it "
            "in WGS 84 (EPSG:4326, longitude first), which is what GeoJSON is made of.",
            code="foreign_crs",
        )
    if isinstance(document, dict) and document.get("type") == "Feature":
        return [document]
    features = document.get("features") if isinstance(document, dict) else None
    if not isinstance(features, list):
        raise Invalid(f"{path} is no GeoJSON FeatureCollection: it has no list of features.", code="not_geojson")
    return features


def _is_foreign(part: Mapping[str, Any]) -> bool:
    """Tells whether a GeoJSON object says, in the member `crs` of the format's first edition, that it is not in WGS 84."""
    crs = part.get("crs")
    if crs is None:
        return False
    named = crs.get("properties") if isinstance(crs, dict) else None
    name = (named.get("name") or named.get("code")) if isinstance(named, dict) else None
    return re.split(r"[:/#]", str(name).upper())[-1] not in WGS_84


def _brief(value: Any) -> str:
    return orjson.dumps(value).decode()[:200]


def read_zones(features: Sequence[Any], *, code_property: str, name_property: str | None) -> ZoneFile:
    """Turns features into zones: repairs self-crossing polygons, joins features of one code, lists what is unusable."""
    by_code: dict[str, ZoneDraft] = {}
    repairs: list[Repair] = []
    bad: list[BadFeature] = []
    joined: dict[str, None] = {}
    for index, feature in enumerate(features):
        try:
            draft, repair = _draft(feature, index, code_property, name_property)
        except ValueError as error:
            bad.append(BadFeature(index, str(error)))
            continue
        repairs.extend([repair] if repair else [])
        first = by_code.get(draft.zone_id)
        if first is not None:
            joined[draft.zone_id] = None
            both = first.polygon.union(draft.polygon)
            draft = replace(first, polygon=both, repaired=first.repaired or draft.repaired)
        by_code[draft.zone_id] = draft
    return ZoneFile(tuple(by_code.values()), tuple(repairs), tuple(bad), tuple(joined))


def _draft(feature: Any, index: int, code_property: str, name_property: str | None) -> tuple[ZoneDraft, Repair | None]:
    properties = feature.get("properties") if isinstance(feature, dict) else None
    if not isinstance(properties, dict):
        raise ValueError("it is no feature with properties")
    geometry = feature.get("geometry")
    for part in (feature, geometry):
        if isinstance(part, dict) and _is_foreign(part):
            raise ValueError(f"its member `crs` names another coordinate system than WGS 84: {_brief(part['crs'])}")
    zone_id = _code(properties.get(code_property))
    if zone_id is None:
        present = ", ".join(sorted(properties)) or "none"
        raise ValueError(f"its property {code_property!r} is missing or empty; it has {present}")
    name = _code(properties.get(name_property)) if name_property else None
    given = _polygon(geometry)
    polygon, repair = given, None
    if not given.is_valid:
        reason = shapely.is_valid_reason(given)
        polygon = shapely.make_valid(given)
        polygon = _polygonal(polygon)
        repair = Repair(zone_id, index, reason, area_m2(given), area_m2(polygon))
    if polygon.is_empty or polygon.area == 0:
        raise ValueError("its polygon has no area")
    return ZoneDraft(zone_id, name or zone_id, polygon, properties, repair is not None), repair


def _code(value: Any) -> str | None:
    """Writes a code as text: 17, 17.0 and " 17 " are the same ward."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip() or None


def _polygon(geometry: Any) -> BaseGeometry:
    kind = geometry.get("type") if isinstance(geometry, dict) else None
    if kind not in POLYGONAL:
        raise ValueError(f"its geometry is {kind or 'missing'}, not a Polygon or MultiPolygon")
    try:
        polygon = shapely.force_2d(shape(geometry))
    except (ShapelyError, ValueError, TypeError, IndexError, KeyError) as error:
        raise ValueError(f"its coordinates cannot be read: {error}") from error
    if polygon.is_empty:
        raise ValueError("its geometry is empty")
    west, south, east, north = polygon.bounds
    if not (-180 <= west <= east <= 180 and -90 <= south <= north <= 90):
        raise ValueError("its coordinates are not degrees of longitude and latitude (WGS 84)")
    return polygon


def _polygonal(geometry: BaseGeometry) -> BaseGeometry:
    """Keeps the polygons of a geometry: repairs may leave lines and points behind."""
    if geometry.geom_type in POLYGONAL:
        return geometry
    return shapely.union_all(list(_polygons(geometry)))


def _polygons(geometry: BaseGeometry) -> Iterator[BaseGeometry]:
    for part in getattr(geometry, "geoms", ()):
        if part.geom_type in POLYGONAL:
            yield part
        else:
            yield from _polygons(part)


def area_m2(polygon: BaseGeometry) -> float:
    """Computes the area in square metres, near enough to see what a repair did."""
    if polygon.is_empty:
        return 0.0
    _, south, _, north = polygon.bounds
    return float(polygon.area) * METRES_PER_DEGREE**2 * cos(radians((south + north) / 2))
