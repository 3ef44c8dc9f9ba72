"""Where a report lies, as its request has it, and what a job has found out about a report before it becomes a request."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from civicpulse.base.db import Row, Tx
from civicpulse.base.errors import Invalid
from civicpulse.intake.schemas import LocationIn
from civicpulse.packs.model import Pack
from civicpulse.places.cells import cell_of
from civicpulse.places.place import Quality
from civicpulse.places.zones import UNZONED, ZoneIndex, zone_index
from civicpulse.rules.addresses import address_key, place_key


@dataclass(frozen=True, slots=True)
class Spot:
    """A place: degrees, its cell, what was said of it, its zone.

    Without a cell nothing is near it: either there are no degrees, or they are those of a town's centre.
    """

    lon: float | None = None
    lat: float | None = None
    cell: int | None = None
    address_hint: str | None = None
    zone_id: str = UNZONED
    geo_quality: Quality | None = None
    country_code: str | None = None

    @property
    def columns(self) -> Row:
        """The request's columns."""
        # Where only a town was found, its name is no place.
        key_of = address_key if self.geo_quality in ("town", "region") else place_key
        return {
            "lon": self.lon,
            "lat": self.lat,
            "cell": self.cell,
            "address_hint": self.address_hint,
            "address_key": key_of(self.address_hint),
            "zone_id": self.zone_id,
            "geo_quality": self.geo_quality,
            "country_code": self.country_code,
        }


@dataclass(frozen=True, slots=True)
class Understood:
    """A report as a job has read it: the id and instant that it came with, and what its text and place gave."""

    id: UUID
    submitted_at: datetime
    priority_score: int
    needs_person: bool
    spot: Spot


async def spot_of(tx: Tx, pack: Pack, location: LocationIn | None) -> Spot:
    """The spot of a point. Raises Invalid when it is swapped, or outside every zone of a tenant that takes none from there."""
    if location is None:
        return Spot()
    lon, lat = location.coordinates[0], location.coordinates[1]
    zone_id = zone_at(await zone_index(tx), pack, lon, lat)
    return Spot(lon, lat, cell_of(lon, lat), location.address_hint, zone_id)


def zone_at(zones: ZoneIndex, pack: Pack, lon: float, lat: float) -> str:
    """The code of the zone that holds the point, else UNZONED. Raises Invalid as `spot_of` does."""
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
