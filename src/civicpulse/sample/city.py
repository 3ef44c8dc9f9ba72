"""Harbour City on the map: zones with shared, irregular borders, streets with house numbers, and places of trouble."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from random import Random
from typing import Any

import shapely
from shapely import LineString, MultiPoint, Point, Polygon
from shapely.affinity import rotate
from shapely.geometry import mapping
from shapely.geometry.base import BaseGeometry
from shapely.ops import linemerge, polygonize, substring

# The plan is drawn in kilometres around this point and then laid on the globe.
CENTRE_LON, CENTRE_LAT = -74.0, 40.71
KM_PER_LAT = 111.195
KM_PER_LON = KM_PER_LAT * math.cos(math.radians(CENTRE_LAT))

# The coast and the city limit, anticlockwise from the west; the bay opens in the south-west.
LIMIT = (
    (-4.9, -0.2), (-4.2, -1.5), (-2.9, -1.8), (-1.6, -1.3), (-0.5, -2.0), (-0.2, -3.4), (0.9, -4.4), (2.8, -4.0),
    (4.6, -2.6), (5.3, -0.2), (4.9, 2.4), (3.2, 4.2), (0.8, 4.9), (-1.8, 4.6), (-3.9, 3.4), (-4.6, 1.2),
)  # fmt: skip

# Code, name, the middle of the zone in km, share of the city's reports, bearing of its streets in degrees.
ZONES = (
    ("ZONE-DT-01", "Downtown", (-0.1, -0.1), 2.3, 12),
    ("ZONE-HB-02", "Harbour", (-2.9, -0.7), 1.3, -20),
    ("ZONE-OQ-03", "Old Quay", (1.5, -2.8), 1.2, 35),
    ("ZONE-LF-04", "Lindenfield", (-2.9, 2.2), 1.0, 5),
    ("ZONE-MB-05", "Millbrook", (3.6, -1.0), 1.1, -12),
    ("ZONE-UH-06", "University Hill", (0.5, 1.9), 1.2, 24),
    ("ZONE-NG-07", "Northgate", (-0.3, 3.9), 0.8, 0),
    ("ZONE-SM-08", "Saltmarsh", (3.3, 2.4), 0.7, -30),
)

LANDMARKS = {
    "ZONE-DT-01": ("City Hall", "the Exchange", "Mercer Square", "the Central Library"),
    "ZONE-HB-02": ("the ferry terminal", "the fish market", "Pier 7", "the customs house"),
    "ZONE-OQ-03": ("the rope factory", "the maritime museum", "the old lock", "Quay School"),
    "ZONE-LF-04": ("Linden Park", "the tram depot", "St. Brendan Church", "Lindenfield School"),
    "ZONE-MB-05": ("the mill pond", "Millbrook Station", "the sports hall", "the county clinic"),
    "ZONE-UH-06": ("the university", "the observatory", "Hill Hospital", "the student union"),
    "ZONE-NG-07": ("Northgate Mall", "the fire station", "the bus terminal", "Gate School"),
    "ZONE-SM-08": ("the marsh trail", "the garden colony", "the water works", "the rowing club"),
}

STREETS = (
    "Mercer St", "Chandler St", "Lantern St", "Cooper Ave", "Exchange Pl", "Assembly St", "Printers Ln", "Bellringer St",
    "Pier Ave", "Anchor St", "Cordage St", "Netmaker Ln", "Saltbox St", "Mariner Ave", "Gull St", "Dockside Rd",
    "Quayside Rd", "Ropewalk St", "Lock St", "Tallow Ln", "Cooperage St", "Bollard St", "Capstan Ave", "Tidewater Rd",
    "Linden Ave", "Orchard St", "Meadow Ln", "Tram St", "Hawthorn St", "Brendan Ave", "Clover St", "Depot Rd",
    "Millrace Rd", "Weaver St", "Brookside Ave", "Granary St", "Sluice Ln", "Station Rd", "Flour St", "Willow Ave",
    "College Ave", "Observatory Dr", "Scholars Ln", "Prospect Hill Rd", "Laurel St", "Faculty St", "Ivy Ln", "Summit Ave",
    "Gate St", "Northern Ave", "Terminal Rd", "Kiln St", "Foundry St", "Watchman St", "Tollhouse Rd", "Arbor St",
    "Marsh Rd", "Reed St", "Heron Ave", "Dyke Ln", "Cranberry St", "Oarsman St", "Garden Row Rd", "Plover St",
)  # fmt: skip

STREETS_PER_ZONE = 8
METRES_PER_HOUSE = 9.0
HOT_SPOTS_PER_ZONE = 4


@dataclass(frozen=True, slots=True)
class Zone:
    """A district: its polygon in km, and the share of all reports that come from it."""

    code: str
    name: str
    polygon: Polygon
    share: float


@dataclass(frozen=True, slots=True)
class Street:
    """A street within one zone; the line is in km."""

    name: str
    zone: str
    line: LineString


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is: degrees, the words a reporter would use, and what one needs to find places beside it."""

    lon: float
    lat: float
    address: str
    street: Street
    metres: float

    def moved(self, rng: Random, most_m: float) -> "Place":
        """A point up to `most_m` metres away, told by the same address: phones are not exact."""
        angle, far = rng.uniform(0, 2 * math.pi), rng.uniform(0, most_m) / 1000
        lon = self.lon + far * math.cos(angle) / KM_PER_LON
        return replace(self, lon=round(lon, 6), lat=round(self.lat + far * math.sin(angle) / KM_PER_LAT, 6))


@dataclass(frozen=True, slots=True)
class City:
    """The drawn city."""

    zones: tuple[Zone, ...]
    streets: dict[str, tuple[Street, ...]]
    hot_spots: dict[str, tuple[Place, ...]]

    def features(self) -> dict[str, Any]:
        """The zones as a GeoJSON FeatureCollection with the properties `zone_id` and `name`."""
        features = [
            {
                "type": "Feature",
                "properties": {"zone_id": zone.code, "name": zone.name},
                "geometry": mapping(shapely.transform(zone.polygon, _on_globe)),
            }
            for zone in self.zones
        ]
        return {"type": "FeatureCollection", "features": features}

    def somewhere(self, rng: Random, *, troubled: float) -> Place:
        """A random place, by the zones' shares; with probability `troubled` near one of the hot spots."""
        zone = rng.choices(self.zones, [zone.share for zone in self.zones])[0].code
        if rng.random() < troubled:
            spot = rng.choice(self.hot_spots[zone])
            return place_on(
                spot.street, min(max(spot.metres + rng.gauss(0, 45), 0), spot.street.line.length * 1000), rng
            )
        street = rng.choice(self.streets[zone])
        return place_on(street, rng.uniform(0, street.line.length * 1000), rng)


def place_on(street: Street, metres: float, rng: Random) -> Place:
    """The house at so many metres from the street's beginning."""
    side = rng.choice((0, 1))
    point = street.line.interpolate(metres / 1000)
    lon, lat = CENTRE_LON + point.x / KM_PER_LON, CENTRE_LAT + point.y / KM_PER_LAT
    number = 2 * int(metres / METRES_PER_HOUSE) + 1 + side
    return Place(round(lon, 6), round(lat + (side - 0.5) * 0.0001, 6), f"{number} {street.name}", street, metres)


def draw_city(rng: Random) -> City:
    """Draws the city; the same `rng` gives the same city."""
    zones = _zones(rng)
    streets: dict[str, tuple[Street, ...]] = {}
    for number, (zone, plan) in enumerate(zip(zones, ZONES, strict=True)):
        names = STREETS[number * STREETS_PER_ZONE : (number + 1) * STREETS_PER_ZONE]
        streets[zone.code] = _streets(zone, names, bearing=plan[4])
    spots = {
        code: tuple(place_on(street, rng.uniform(0.2, 0.8) * street.line.length * 1000, rng) for street in chosen)
        for code, chosen in ((code, rng.sample(found, HOT_SPOTS_PER_ZONE)) for code, found in streets.items())
    }
    return City(zones, streets, spots)


def fence_around(place: Place, radius_km: float) -> dict[str, Any]:
    """A geofence for an agent: a GeoJSON polygon around a place."""
    centre = Point((place.lon - CENTRE_LON) * KM_PER_LON, (place.lat - CENTRE_LAT) * KM_PER_LAT)
    ring = shapely.transform(centre.buffer(radius_km, quad_segs=3), _on_globe).exterior
    return {"type": "Polygon", "coordinates": [[list(point) for point in ring.coords]]}


def _zones(rng: Random) -> tuple[Zone, ...]:
    """The plan's middles give the rough cells; each border is then roughened once, for both of its sides."""
    limit = Polygon(LIMIT)
    middles = MultiPoint([plan[2] for plan in ZONES])
    cells = [cell.intersection(limit) for cell in shapely.voronoi_polygons(middles, extend_to=limit).geoms]
    net = shapely.unary_union([cell.boundary for cell in cells])
    borders = sorted(_lines(linemerge(net)), key=lambda line: (line.length, line.coords[0]))
    rough = [_roughened(line, rng, limit) for line in borders]
    found = list(polygonize(shapely.unary_union(rough)))
    zones = []
    for code, name, middle, share, _ in ZONES:
        polygon = next(polygon for polygon in found if polygon.contains(Point(middle)))
        zones.append(Zone(code, name, polygon, share))
    return tuple(zones)


def _lines(geometry: BaseGeometry) -> list[LineString]:
    return [part for part in getattr(geometry, "geoms", (geometry,)) if isinstance(part, LineString)]


def _roughened(line: LineString, rng: Random, limit: Polygon) -> LineString:
    """The line with bends: mild within the city, wilder along the limit, where there is a shore or a river."""
    is_edge = limit.exterior.distance(line.interpolate(0.5, normalized=True)) < 1e-6
    points = list(line.coords)
    for level in range(4 if is_edge else 3):
        points = _bent(points, rng, (0.13 if is_edge else 0.09) / 1.35**level)
    return LineString([(round(x, 4), round(y, 4)) for x, y in points])


def _bent(points: Sequence[tuple[float, ...]], rng: Random, bend: float) -> list[tuple[float, ...]]:
    bent: list[tuple[float, ...]] = [points[0]]
    for (x1, y1), (x2, y2) in pairwise(points):
        aside = rng.uniform(-bend, bend)
        bent += [((x1 + x2) / 2 - (y2 - y1) * aside, (y1 + y2) / 2 + (x2 - x1) * aside), (x2, y2)]
    return bent


def _streets(zone: Zone, names: Sequence[str], *, bearing: float) -> tuple[Street, ...]:
    """Half of the streets run along the bearing, the others across, all cut at the zone's border."""
    middle, half = zone.polygon.representative_point(), len(names) // 2
    streets = []
    for number, name in enumerate(names):
        across, place = divmod(number, half)
        offset = (place - (half - 1) / 2) * 0.48
        raw = LineString([(middle.x - 6, middle.y + offset), (middle.x + 6, middle.y + offset)])
        inside = rotate(raw, bearing + 90 * across, origin=middle).intersection(zone.polygon.buffer(-0.04))
        line = max(_lines(inside), key=lambda part: part.length)
        streets.append(Street(name, zone.code, substring(line, 0.03, 0.97, normalized=True)))
    return tuple(streets)


def _on_globe(points: Any) -> Any:
    """Kilometres of the plan as degrees of longitude and latitude, rounded to a decimetre or so."""
    return (points / (KM_PER_LON, KM_PER_LAT) + (CENTRE_LON, CENTRE_LAT)).round(6)
