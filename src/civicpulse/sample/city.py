"""The sample city on the map: streets with house numbers, and places of trouble."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from civicpulse.sample.loader import Lines, Part

METRES_PER_LAT = 111_195


@dataclass(frozen=True, slots=True)
class Zone:
    """A district: the share of all reports that come from it, and what people find their way by."""

    code: str
    name: str
    share: float
    landmarks: Lines


@dataclass(frozen=True, slots=True)
class Street:
    """A straight street within one zone, from end to end in degrees."""

    name: str
    zone: str
    ends: tuple[tuple[float, float], tuple[float, float]]
    metres: float


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is: degrees, the words a reporter would use, and what one needs to find places beside it."""

    lon: float
    lat: float
    address: str
    street: Street
    metres: float


class City:
    """The city of a plan and its zones; `rng` chooses where there is trouble."""

    def __init__(self, plan: Part, outlines: Part, rng: Random) -> None:
        self._plan = plan
        self._metres_per_lon = METRES_PER_LAT * math.cos(
            math.radians(outlines.features[0].geometry.coordinates[0][0][1])
        )
        names = {feature.properties.zone_id: feature.properties.name for feature in outlines.features}
        self.zones = tuple(Zone(one.code, names[one.code], one.share, one.landmarks) for one in plan.zones)
        self._streets = {
            one.code: tuple(Street(name, one.code, ends, self._length(*ends)) for name, ends in one.streets.items())
            for one in plan.zones
        }
        self.hot_spots = {
            code: tuple(
                self.place_on(street, rng.uniform(0.2, 0.8) * street.metres, rng)
                for street in rng.sample(streets, plan.hot_spots_per_zone)
            )
            for code, streets in self._streets.items()
        }

    def somewhere(self, rng: Random, *, troubled: float) -> Place:
        """Draws a place, by the zones' shares; with probability `troubled` near one of the hot spots."""
        zone = rng.choices(self.zones, [zone.share for zone in self.zones])[0].code
        if rng.random() < troubled:
            spot = rng.choice(self.hot_spots[zone])
            return self.place_on(spot.street, spot.metres + rng.gauss(0, 45), rng)
        street = rng.choice(self._streets[zone])
        return self.place_on(street, rng.uniform(0, street.metres), rng)

    def place_on(self, street: Street, metres: float, rng: Random) -> Place:
        """Finds the house at so many metres from the street's beginning, or the nearest one that there is."""
        metres, side = min(max(metres, 0), street.metres), rng.choice((0, 1))
        lon, lat = (start + (end - start) * metres / street.metres for start, end in zip(*street.ends, strict=True))
        number = 2 * int(metres / self._plan.metres_per_house) + 1 + side
        address = f"{number} {street.name}"
        return Place(round(lon, 6), round(lat + (side - 0.5) * 0.0001, 6), address, street, metres)

    def moved(self, place: Place, rng: Random, maximum_m: float) -> Place:
        """Moves a place up to `maximum_m` metres and keeps its address: phones are not exact."""
        lon, lat = self._beside(place, rng.uniform(0, 2 * math.pi), rng.uniform(0, maximum_m))
        return replace(place, lon=lon, lat=lat)

    def fence(self, zone: str) -> Mapping[str, Any]:
        """Draws the geofence of an agent who walks the zone's first place of trouble: a GeoJSON polygon."""
        middle, metres = self.hot_spots[zone][0], self._plan.fence_km * 1000
        ring = [list(self._beside(middle, math.pi * (corner % 12) / 6, metres)) for corner in range(13)]
        return {"type": "Polygon", "coordinates": [ring]}

    def _beside(self, place: Place, angle: float, metres: float) -> tuple[float, float]:
        lon = place.lon + metres * math.cos(angle) / self._metres_per_lon
        return round(lon, 6), round(place.lat + metres * math.sin(angle) / METRES_PER_LAT, 6)

    def _length(self, start: tuple[float, float], end: tuple[float, float]) -> float:
        return math.hypot((end[0] - start[0]) * self._metres_per_lon, (end[1] - start[1]) * METRES_PER_LAT)
