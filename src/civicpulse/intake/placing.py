"""Where a request lies: its point, the zone that its words name, else the address as far as it can be found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, TypeAlias
from uuid import UUID

from civicpulse.base.clients.geocoder import NominatimClient
from civicpulse.base.db import Database, Row, Tx
from civicpulse.base.errors import Invalid
from civicpulse.base.tenancy import Tenant
from civicpulse.intake.schemas import LocationIn
from civicpulse.packs.model import Pack
from civicpulse.packs.store import current_pack
from civicpulse.places.cells import cell_of
from civicpulse.places.geocoding import NOWHERE, AddressParts, Place, geocode_many, home_country
from civicpulse.places.place import Quality
from civicpulse.places.zone_names import ZoneNames, zone_names
from civicpulse.places.zones import UNZONED, ZoneIndex, zone_index
from civicpulse.rules.placement import ROUGH, is_point, key_of_place

FoundBy: TypeAlias = Literal["point", "zone_in_location", "zone_in_description", "address", "nothing"]


@dataclass(frozen=True, slots=True)
class Spot:
    """A place as a request has it: degrees, what was said of it, its zone, and how well it is known.

    `quality` None: the degrees were measured. Whether it counts as a point is decided with the category
    (rules.placement), when the request is prepared.
    """

    lon: float | None = None
    lat: float | None = None
    address_hint: str | None = None
    zone_id: str = UNZONED
    quality: Quality | None = None
    country_code: str | None = None

    def columns(self, *, finds_duplicates: bool) -> Row:
        """Gives the request's columns. The middle of a town gives no zone where duplicates are looked for."""
        has_degrees = self.lon is not None and self.lat is not None
        counts = is_point(self.quality, has_degrees=has_degrees, finds_duplicates=finds_duplicates)
        rough = self.quality in ROUGH and not counts
        return {
            "lon": self.lon,
            "lat": self.lat,
            "cell": cell_of(self.lon, self.lat) if counts and self.lon is not None and self.lat is not None else None,
            "address_hint": self.address_hint,
            "address_key": known_key(self.quality, self.address_hint),
            "zone_id": UNZONED if rough else self.zone_id,
            "geo_quality": self.quality,
            "country_code": self.country_code,
        }


known_key = lru_cache(maxsize=10_000)(key_of_place)
"""The key of a place; the same addresses come again and again in files."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A report's spot and how it was found."""

    spot: Spot
    found_by: FoundBy

    def to_json(self) -> dict[str, Any]:
        """Writes the place as the decision keeps it."""
        spot = self.spot
        return {
            "zone_id": spot.zone_id,
            "geo_quality": spot.quality,
            "country_code": spot.country_code,
            "found_by": self.found_by,
        }


_grounds: dict[UUID, tuple[int, int, Pack, ZoneIndex]] = {}


async def check_point(db: Database, tenant: Tenant, location: LocationIn) -> None:
    """Raises Invalid for a point that would be refused as a request's; asks the database once for each version of the rules."""
    known = _grounds.get(tenant.tenant_id)
    if known is None or known[:2] != (tenant.pack_version, tenant.zones_version):
        async with db.transaction(tenant) as tx:
            known = tenant.pack_version, tenant.zones_version, await current_pack(tx), await zone_index(tx)
        _grounds[tenant.tenant_id] = known
    pack, zones = known[2:]
    lon, lat = location.coordinates[:2]
    if pack.document.outside_zones == "reject" or not zones.is_within_box(lon, lat):
        zone_at(zones, pack, lon, lat)


async def geocode_reports(tx: Tx, reports: Sequence[Row], *, online: NominatimClient | None) -> dict[UUID, Place]:
    """Finds the places, by report, of those that say where in words that name no zone; empty where the tenant has no home country.

    By the gazetteer and by what an `online` geocoder has answered before: no transaction waits for a network.
    """
    if await home_country(tx) is None:
        return {}
    names = await zone_names(tx)
    asked = [report for report in reports if isinstance(report["location"], str) and _zone(names, report) is None]
    if not asked:
        return {}
    parts = [AddressParts(raw=report["location"]) for report in asked]
    found = await geocode_many(tx, parts, online=online, max_online=0)
    return {report["id"]: place for report, place in zip(asked, found, strict=True)}


async def place_report(tx: Tx, pack: Pack, report: Row, found: Mapping[UUID, Place]) -> Placed:
    """Finds the report's place. Raises Invalid for a point that the tenant does not serve any more."""
    location = report["location"]
    if isinstance(location, dict):
        return Placed(await spot_of(tx, pack, LocationIn.model_validate(location)), "point")
    named = _zone(await zone_names(tx), report)
    if named is not None:
        return Placed(Spot(address_hint=location, zone_id=named[0], quality="none"), named[1])
    return await _by_address(tx, location, found.get(report["id"], NOWHERE))


def _zone(names: ZoneNames, report: Row) -> tuple[str, FoundBy] | None:
    location = report["location"]
    if location is not None and (code := names.only_one_in(location)):
        return code, "zone_in_location"
    code = names.only_one_in(report["description"])
    return (code, "zone_in_description") if code else None


async def _by_address(tx: Tx, location: str | None, place: Place) -> Placed:
    spot = spot_of_place(await zone_index(tx), place, location)
    return Placed(spot, "nothing" if place.quality == "none" else "address")


def spot_of_place(zones: ZoneIndex, place: Place, address: str | None) -> Spot:
    """Makes the spot of an address that was looked up, or of one that was not found."""
    known = place.lon is not None and place.lat is not None and place.quality != "region"
    zone = zones.zone_of(place.lon or 0.0, place.lat or 0.0) if known and len(zones) else None
    return Spot(place.lon, place.lat, address, zone or UNZONED, place.quality, place.country_code)


async def spot_of(tx: Tx, pack: Pack, location: LocationIn | None) -> Spot:
    """Makes the spot of a point. Raises Invalid when it is swapped, or outside every zone of a tenant that takes none from there."""
    if location is None:
        return Spot()
    lon, lat = location.coordinates[0], location.coordinates[1]
    zone_id = zone_at(await zone_index(tx), pack, lon, lat)
    return Spot(lon, lat, location.address_hint, zone_id)


def zone_at(zones: ZoneIndex, pack: Pack, lon: float, lat: float) -> str:
    """Finds the code of the zone that holds the point, else UNZONED. Raises Invalid as `spot_of` does."""
    found = zones.zone_of(lon, lat)
    if found is not None:
        return found
    if -90 <= lon <= 90 and zones.zone_of(lat, lon) is not None:
        raise Invalid(
            "This point is outside every zone, and inside one when swapped: send [longitude, latitude].",
            field="location.coordinates",
        )
    if pack.document.outside_zones == "reject":
        raise Invalid(
            "This point is outside the area that is served here.", field="location.coordinates", code="outside_zones"
        )
    return UNZONED
