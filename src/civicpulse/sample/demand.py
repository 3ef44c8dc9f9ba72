"""What goes wrong in Harbour City, where and when, and who notices: the load that the city lives through."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

from civicpulse.sample.city import City, Place, place_on
from civicpulse.sample.people import TIMEZONE

LOCAL = ZoneInfo(TIMEZONE)
DAYS = 90
TROUBLED_SHARE = 0.4

# Share of reports by hour of the local day, midnight first.
HOURS = {
    "day": (1, 1, 0, 0, 1, 3, 8, 16, 22, 24, 23, 21, 20, 21, 20, 19, 18, 17, 14, 11, 8, 6, 4, 2),
    "morning": (0, 0, 0, 1, 3, 8, 18, 28, 30, 24, 16, 10, 8, 7, 6, 5, 6, 8, 9, 7, 4, 2, 1, 0),
    "evening": (6, 3, 2, 1, 1, 1, 3, 6, 8, 7, 6, 6, 6, 7, 8, 10, 14, 19, 24, 26, 27, 24, 18, 11),
    "night": (28, 24, 18, 10, 5, 4, 4, 4, 3, 2, 2, 2, 3, 3, 3, 4, 5, 7, 9, 13, 19, 26, 32, 33),
}
# Monday first: offices and commuters report in the week, parties and dumping happen at its end.
WEEK = {
    "city": (1.2, 1.15, 1.1, 1.05, 1.0, 0.7, 0.6),
    "waste": (1.5, 1.4, 1.0, 1.0, 1.1, 0.5, 0.3),
    "leisure": (0.7, 0.7, 0.8, 0.9, 1.3, 1.7, 1.4),
}
SUMMER = {6: 1.3, 7: 1.5, 8: 1.4, 9: 1.1, 12: 0.7, 1: 0.6, 2: 0.7}
LEAVES = {10: 1.6, 11: 1.9, 4: 1.3, 1: 0.6, 2: 0.6}
THAW = {2: 1.4, 3: 1.8, 4: 1.4, 7: 0.8, 8: 0.8}
WINTER_ONLY = dict.fromkeys(range(4, 11), 0.0) | {11: 0.25, 12: 1.0, 1: 1.6, 2: 1.4, 3: 0.4}
DARK_MONTHS = {11: 1.3, 12: 1.4, 1: 1.4, 6: 0.7, 7: 0.7}


@dataclass(frozen=True, slots=True)
class Kind:
    """How a category behaves: its share of incidents, its hours, week and months, what storms do to it, how many others
    notice the same, and how often it comes back to the same place."""

    share: float
    hours: str = "day"
    week: str = "city"
    months: tuple[tuple[int, float], ...] = ()
    storm: float = 1.0
    noticed: float = 0.0
    returns: float = 0.0
    has_asset: bool = False


def _kind(share: float, months: dict[int, float] | None = None, **rest: object) -> Kind:
    return replace(Kind(share, months=tuple((months or {}).items())), **rest)  # type: ignore[arg-type]


KINDS: dict[str, Kind] = {
    "pothole": _kind(13, THAW, noticed=0.34, returns=0.13),
    "street_light": _kind(8, DARK_MONTHS, hours="evening", noticed=0.26, returns=0.10, has_asset=True),
    "traffic_signal": _kind(3, storm=2.5, noticed=0.40, returns=0.08, has_asset=True),
    "sign_damage": _kind(3, storm=1.6, noticed=0.10),
    "sidewalk_damage": _kind(5, noticed=0.10),
    "snow_ice": _kind(8, WINTER_ONLY, storm=6.0, noticed=0.22),
    "street_cleaning": _kind(8, LEAVES, hours="morning", week="waste", noticed=0.12, returns=0.12),
    "water_leak": _kind(4, noticed=0.45, returns=0.05),
    "sewer_backup": _kind(2.5, SUMMER, storm=3.0, noticed=0.22, returns=0.08),
    "flooding": _kind(1.5, storm=9.0, noticed=0.42, returns=0.15),
    "missed_trash": _kind(9, hours="morning", week="waste", noticed=0.16, returns=0.10),
    "bulk_pickup": _kind(6, week="waste"),
    "illegal_dumping": _kind(6, hours="morning", week="leisure", noticed=0.18, returns=0.20),
    "graffiti": _kind(5, SUMMER, hours="morning", week="leisure", noticed=0.08, returns=0.18),
    "fallen_tree": _kind(1.5, storm=10.0, noticed=0.36),
    "tree_pruning": _kind(4, LEAVES),
    "park_maintenance": _kind(4, SUMMER, week="leisure", noticed=0.10),
    "dead_animal": _kind(2, hours="morning", noticed=0.18),
    "stray_animal": _kind(2, SUMMER, hours="evening", noticed=0.12),
    "rodent": _kind(4, SUMMER, hours="evening", noticed=0.08, returns=0.14),
    "abandoned_vehicle": _kind(4, noticed=0.12),
    "illegal_parking": _kind(7, noticed=0.08, returns=0.10),
    "noise": _kind(6, SUMMER, hours="night", week="leisure", noticed=0.16, returns=0.16),
    "housing_condition": _kind(4, DARK_MONTHS, hours="evening"),
    "building_hazard": _kind(1.5, storm=2.0, noticed=0.15),
    "general_inquiry": _kind(6),
}

TAGS = {
    "pothole": ("bus_route", "bike_route", "truck_route"), "traffic_signal": ("rush_hour", "bus_route"),
    "street_light": ("unsafe_at_night",), "sidewalk_damage": ("trip_hazard",), "street_cleaning": ("market",),
    "illegal_dumping": ("repeat_site", "camera_wanted"), "graffiti": ("repeat_site",), "missed_trash": ("route_4", "route_7"),
    "rodent": ("restaurant",), "noise": ("bar_street", "building_site"), "park_maintenance": ("playground",),
    "flooding": ("after_rain",), "water_leak": ("utility",), "housing_condition": ("tenant",),
}  # fmt: skip
PRESSING_TAGS = ("school", "accessibility", "hospital", "hazard")
PRESSING = 0.035


@dataclass(frozen=True, slots=True)
class Sighting:
    """One report to come: when and where it is made, of what, and whether it is the first of its incident."""

    at: datetime
    place: Place
    category: str
    tags: tuple[str, ...]
    asset_id: str | None
    is_first: bool


def sightings(city: City, rng: Random, *, many: int, since: datetime, until: datetime) -> list[Sighting]:
    """About `many` reports between the two moments, in order of time."""
    calendar = _calendar(rng, since, until)
    found: list[Sighting] = []
    while len(found) < many:
        day, category = calendar.pick(rng)
        first = _moment(rng, day, KINDS[category].hours)
        if not since <= first <= until:
            continue
        place = city.somewhere(rng, troubled=TROUBLED_SHARE)
        for at in _occurrences(rng, category, first, until):
            found += [seen for seen in _noticed(rng, category, place, at) if seen.at <= until]
    return sorted(found, key=lambda seen: seen.at)


@dataclass(frozen=True, slots=True)
class _Calendar:
    """Every (day, category) with its weight, summed up."""

    cells: list[tuple[date, str]]
    sums: list[float]

    def pick(self, rng: Random) -> tuple[date, str]:
        return rng.choices(self.cells, cum_weights=self.sums)[0]


def _calendar(rng: Random, since: datetime, until: datetime) -> _Calendar:
    first, last = since.astimezone(LOCAL).date(), until.astimezone(LOCAL).date()
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    storms = _storms(rng, days)
    cells, sums, total = [], [], 0.0
    for day in days:
        mood = rng.uniform(0.8, 1.2)
        for category, kind in KINDS.items():
            season = dict(kind.months).get(day.month, 1.0)
            weather = kind.storm if day in storms else 1 + (kind.storm - 1) / 6 * (day - timedelta(days=1) in storms)
            total += kind.share * WEEK[kind.week][day.weekday()] * season * weather * mood
            cells.append((day, category))
            sums.append(total)
    return _Calendar(cells, sums)


def _storms(rng: Random, days: list[date]) -> set[date]:
    """One every two or three weeks, the last a few days ago."""
    storms, number = {days[-4]}, rng.randint(4, 12)
    while number < len(days) - 8:
        storms.add(days[number])
        number += rng.randint(11, 21)
    return storms


def _moment(rng: Random, day: date, hours: str) -> datetime:
    hour = rng.choices(range(24), HOURS[hours])[0]
    local = datetime(day.year, day.month, day.day, hour, rng.randrange(60), rng.randrange(60), tzinfo=LOCAL)
    return local.astimezone(UTC)


def _occurrences(rng: Random, category: str, first: datetime, until: datetime) -> Iterator[datetime]:
    """The trouble itself and, at some places, its return weeks later."""
    at = first
    while at <= until:
        yield at
        if rng.random() >= KINDS[category].returns:
            return
        at += timedelta(days=rng.uniform(12, 40), hours=rng.uniform(-3, 3))


def _noticed(rng: Random, category: str, place: Place, at: datetime) -> Iterator[Sighting]:
    """The first report and those of others who see the same: most at the spot, some a few houses away."""
    kind = KINDS[category]
    asset = f"{category[:2].upper()}-{rng.randrange(1000, 9999)}" if kind.has_asset and rng.random() < 0.5 else None
    yield Sighting(at, place, category, _tags(rng, category), asset, is_first=True)
    if rng.random() >= kind.noticed:
        return
    for _ in range(1 + min(6, int(rng.expovariate(0.9)))):
        later = at + timedelta(minutes=rng.lognormvariate(math.log(60), 1.6))  # half of them within the hour
        if rng.random() < 0.72:
            seen = place.moved(rng, 14)
        else:
            street = place.street
            metres = min(max(place.metres + rng.uniform(-70, 70), 0), street.line.length * 1000)
            seen = place_on(street, metres, rng)
        yield Sighting(
            later, seen, category, _tags(rng, category), asset if rng.random() < 0.6 else None, is_first=False
        )


def _tags(rng: Random, category: str) -> tuple[str, ...]:
    own = TAGS.get(category, ())
    tags = [rng.choice(own)] if own and rng.random() < 0.3 else []
    if rng.random() < PRESSING:
        tags.append(rng.choices(PRESSING_TAGS, (5, 3, 2, 2))[0])
    return tuple(tags)
