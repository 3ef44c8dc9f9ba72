"""The sample city on the map: zones with shared, irregular borders, streets with house numbers, and places of trouble."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from random import Random
from typing import Any

import shapely
from shapely import LineString, MultiPoint, Point, Polygon
from shapely.affinity import rotate
from shapely.geometry import mapping
from shapely.geometry.base import BaseGeometry
from shapely.ops import linemerge, polygonize, substring

from civicpulse.sample.loader import Lines, Part

KM_PER_LAT = 111.195


@dataclass(frozen=True, slots=True)
class Zone:
    """A district: its polygon in km, the share of all reports that come from it, and what people find their way by."""

    code: str
    name: str
    polygon: Polygon
    share: float
    landmarks: Lines


@dataclass(frozen=True, slots=True)
class Street:
    """A street within one zone; the line is in km."""

    name: str
    zone: str
    line: LineString

    @property
    def metres(self) -> float:
        """Gives the street's length."""
        return float(self.line.length * 1000)


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is: degrees, the words a reporter would use, and what one needs to find places beside it."""

    lon: float
    lat: float
    address: str
    street: Street
    metres: float


@dataclass(frozen=True, slots=True)
class City:
    """The drawn city."""

    plan: Part
    zones: tuple[Zone, ...]
    streets: dict[str, tuple[Street, ...]] = field(default_factory=dict)
    hot_spots: dict[str, tuple[Place, ...]] = field(default_factory=dict)

    def outlines(self) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
        """Gives code, name and GeoJSON geometry of each zone."""
        for zone in self.zones:
            yield zone.code, zone.name, mapping(shapely.transform(zone.polygon, self._on_globe))

    def somewhere(self, rng: Random, *, troubled: float) -> Place:
        """Draws a place, by the zones' shares; with probability `troubled` near one of the hot spots."""
        zone = rng.choices(self.zones, [zone.share for zone in self.zones])[0].code
        if rng.random() < troubled:
            spot = rng.choice(self.hot_spots[zone])
            return self.place_on(spot.street, spot.metres + rng.gauss(0, 45), rng)
        street = rng.choice(self.streets[zone])
        return self.place_on(street, rng.uniform(0, street.metres), rng)

    def place_on(self, street: Street, metres: float, rng: Random) -> Place:
        """Finds the house at so many metres from the street's beginning, or the nearest one that there is."""
        metres, side = min(max(metres, 0), street.metres), rng.choice((0, 1))
        point = street.line.interpolate(metres / 1000)
        (lon, lat), km_per_lon = self.plan.centre, self._km_per_lon
        number = 2 * int(metres / self.plan.metres_per_house) + 1 + side
        lon, lat = round(lon + point.x / km_per_lon, 6), round(lat + point.y / KM_PER_LAT + (side - 0.5) * 0.0001, 6)
        return Place(lon, lat, f"{number} {street.name}", street, metres)

    def moved(self, place: Place, rng: Random, maximum_m: float) -> Place:
        """Moves a place up to `maximum_m` metres and keeps its address: phones are not exact."""
        angle, far = rng.uniform(0, 2 * math.pi), rng.uniform(0, maximum_m) / 1000
        lon = round(place.lon + far * math.cos(angle) / self._km_per_lon, 6)
        return replace(place, lon=lon, lat=round(place.lat + far * math.sin(angle) / KM_PER_LAT, 6))

    def fence_around(self, place: Place, radius_km: float) -> dict[str, Any]:
        """Draws a geofence for an agent: a GeoJSON polygon around a place."""
        lon, lat = self.plan.centre
        centre = Point((place.lon - lon) * self._km_per_lon, (place.lat - lat) * KM_PER_LAT)
        ring = shapely.transform(centre.buffer(radius_km, quad_segs=3), self._on_globe).exterior
        return {"type": "Polygon", "coordinates": [[list(point) for point in ring.coords]]}

    @property
    def _km_per_lon(self) -> float:
        return KM_PER_LAT * math.cos(math.radians(self.plan.centre[1]))

    def _on_globe(self, points: Any) -> Any:
        """Turns kilometres of the plan into longitude and latitude, rounded to a decimetre or so."""
        return (points / (self._km_per_lon, KM_PER_LAT) + self.plan.centre).round(6)


def draw_city(plan: Part, rng: Random) -> City:
    """Draws the city that is planned; one seed of `rng` gives one city."""
    city = City(plan, _zones(plan, rng))
    for zone, planned in zip(city.zones, plan.zones, strict=True):
        city.streets[zone.code] = _streets(zone, planned.streets, bearing=planned.bearing)
    for code, streets in city.streets.items():
        chosen = rng.sample(streets, plan.hot_spots_per_zone)
        city.hot_spots[code] = tuple(city.place_on(one, rng.uniform(0.2, 0.8) * one.metres, rng) for one in chosen)
    return city


def _zones(plan: Part, rng: Random) -> tuple[Zone, ...]:
    """Draws the zones: the plan's middles give rough cells; each border is then bent once, for both of its sides."""
    limit = Polygon(plan.limit)
    middles = MultiPoint([zone.middle for zone in plan.zones])
    cells = [cell.intersection(limit) for cell in shapely.voronoi_polygons(middles, extend_to=limit).geoms]
    net = shapely.unary_union([cell.boundary for cell in cells])
    borders = sorted(_lines(linemerge(net)), key=lambda line: (line.length, line.coords[0]))
    found = list(polygonize(shapely.unary_union([_roughened(line, rng, limit) for line in borders])))
    polygons = [next(polygon for polygon in found if polygon.contains(Point(zone.middle))) for zone in plan.zones]
    return tuple(
        Zone(zone.code, zone.name, polygon, zone.share, zone.landmarks)
        for zone, polygon in zip(plan.zones, polygons, strict=True)
    )


def _lines(geometry: BaseGeometry) -> list[LineString]:
    return [part for part in getattr(geometry, "geoms", (geometry,)) if isinstance(part, LineString)]


def _roughened(line: LineString, rng: Random, limit: Polygon) -> LineString:
    """Bends a line: mildly within the city, wildly along the limit, where there is a shore or a river."""
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
    """Draws a zone's streets: half of them along the bearing, the others across, all cut at its border."""
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
