"""The shapes in which places and a tenant's configuration leave."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, ValidatorFunctionWrapHandler, WrapValidator

from civicpulse.base.answers import View, optional
from civicpulse.packs.model import PackDocument

Box = tuple[float, float, float, float]
Position = Annotated[list[float], Field(min_length=2, max_length=3)]
Ring = list[Position]
Properties = Annotated[dict[str, Any], Field(description="What the zone's file says of it: any fields, of any kind")]


def _as_stored(value: Any, _: ValidatorFunctionWrapHandler) -> PackDocument:
    """Checks a configuration as a stored one is read: it may be of an earlier release."""
    return PackDocument.stored(value)


Configuration = Annotated[PackDocument, WrapValidator(_as_stored)]


class PolygonView(View):
    """GeoJSON polygons in degrees."""

    type: Literal["Polygon", "MultiPolygon"]
    coordinates: list[Ring] | list[list[Ring]]


class ZoneView(View):
    """A zone; `bbox` is west, south, east, north, `geometry` is there when asked for."""

    zone_id: str
    name: str
    properties: Properties
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
    properties: Properties
    geometry: PolygonView


class TenantView(View):
    """What everybody may know of a tenant."""

    slug: str
    name: str
    type: str
    language: str
    timezone: str


class ConfigurationView(View):
    """A version of the configuration; `config` is a pack: all of the tenant's rules, `areas` are the tenant's zones of today."""

    slug: str
    name: str
    type: str
    version: int
    created_at: datetime
    created_by: str
    areas: list[AreaView]
    config: Configuration


class ConfigurationVersionView(View):
    """Who made a version, when, and which sections it changed; null: the first one."""

    version: int
    created_at: datetime
    created_by: str
    changed: list[str] | None
    rolled_back_to: int | None
