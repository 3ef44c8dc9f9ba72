"""Where a report lies: its point, the zone that its words name, else the address as far as it can be found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias
from uuid import UUID

from civicpulse.base.clients.geocoder import NominatimClient
from civicpulse.base.db import Database, Row, Tx
from civicpulse.base.tenancy import Tenant
from civicpulse.intake.schemas import LocationIn
from civicpulse.intake.spot import Spot, spot_of, zone_at
from civicpulse.packs.model import Pack
from civicpulse.packs.store import current_pack
from civicpulse.places.cells import cell_of
from civicpulse.places.geocoding import NOWHERE, AddressParts, Place, geocode_many, home_country
from civicpulse.places.zone_names import ZoneNames, zone_names
from civicpulse.places.zones import UNZONED, ZoneIndex, zone_index

FoundBy: TypeAlias = Literal["point", "zone_in_location", "zone_in_description", "address", "nothing"]


@dataclass(frozen=True, slots=True)
class Placed:
    """A report's spot and how it was found."""

    spot: Spot
    found_by: FoundBy

    def to_json(self) -> dict[str, Any]:
        """As the decision keeps it."""
        spot = self.spot
        return {
            "zone_id": spot.zone_id,
            "geo_quality": spot.geo_quality,
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
    """Places, by report, of those that say where in words that name no zone; empty where the tenant has no home country.

    By the gazetteer and by what an `online` geocoder has answered before: no transaction waits for a network.
    """
    if await home_country(tx) is None:
        return {}
    names = await zone_names(tx)
    asked = [report for report in reports if isinstance(report["location"], str) and _zone(names, report) is None]
    if not asked:
        return {}
    parts = [AddressParts(raw=report["location"]) for report in asked]
    found = await geocode_many(tx, parts, online=online, most_online=0)
    return {report["id"]: place for report, place in zip(asked, found, strict=True)}


async def place_report(tx: Tx, pack: Pack, report: Row, found: Mapping[UUID, Place]) -> Placed:
    """The report's place. Raises Invalid for a point that the tenant does not serve any more."""
    location = report["location"]
    if isinstance(location, dict):
        return Placed(await spot_of(tx, pack, LocationIn.model_validate(location)), "point")
    named = _zone(await zone_names(tx), report)
    if named is not None:
        return Placed(Spot(address_hint=location, zone_id=named[0], geo_quality="none"), named[1])
    return await _by_address(tx, location, found.get(report["id"], NOWHERE))


def _zone(names: ZoneNames, report: Row) -> tuple[str, FoundBy] | None:
    location = report["location"]
    if location is not None and (code := names.only_one_in(location)):
        return code, "zone_in_location"
    code = names.only_one_in(report["description"])
    return (code, "zone_in_description") if code else None


async def _by_address(tx: Tx, location: str | None, place: Place) -> Placed:
    """A town's centre is no place to look for twins or a zone at: only a house has a cell and a zone."""
    cell, zone_id = None, UNZONED
    if place.quality == "house" and place.lon is not None and place.lat is not None:
        cell = cell_of(place.lon, place.lat)
        zone_id = (await zone_index(tx)).zone_of(place.lon, place.lat) or UNZONED
    spot = Spot(place.lon, place.lat, cell, location, zone_id, place.quality, place.country_code)
    return Placed(spot, "nothing" if place.quality == "none" else "address")
