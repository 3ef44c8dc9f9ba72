"""The shapes in which places and a tenant's configuration leave."""

from datetime import datetime
from typing import Any, Literal

from civicpulse.base.answers import View, optional

Box = tuple[float, float, float, float]


class PolygonView(View):
    """GeoJSON polygons in degrees."""

    type: Literal["Polygon", "MultiPolygon"]
    coordinates: list[Any]


class ZoneView(View):
    """A zone; `bbox` is west, south, east, north, `geometry` is there when asked for."""

    zone_id: str
    name: str
    properties: dict[str, Any]
    repaired: bool
    bbox: Box | None
    geometry: PolygonView = optional()


class AreaView(View):
    """A zone in short, by its other name."""

    id: str
    name: str


class ZoneAtView(View):
    """The zone that holds a point; null outside all of them."""

    lon: float
    lat: float
    zone_id: str | None
    name: str | None


class ZoneFeature(View):
    """A zone as a GeoJSON feature; `properties` are those of its file and zone_id, name and repaired."""

    type: Literal["Feature"]
    id: str
    bbox: Box | None
    properties: dict[str, Any]
    geometry: PolygonView


class TenantView(View):
    """What everybody may know of a tenant."""

    slug: str
    name: str
    type: str
    language: str
    timezone: str


class ConfigurationView(View):
    """A version of the configuration; `config` is a pack, `areas` are the tenant's zones of today."""

    slug: str
    name: str
    type: str
    version: int
    created_at: datetime
    created_by: str
    areas: list[AreaView]
    config: dict[str, Any]


class ConfigurationVersionView(View):
    """Who made a version, when, and which sections it changed; null: the first one."""

    version: int
    created_at: datetime
    created_by: str
    changed: list[str] | None
    rolled_back_to: int | None
