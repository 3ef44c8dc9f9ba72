"""What goes wrong in the sample city, where and when, and who notices: the load that the city lives through."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

from civicpulse.sample.city import City, Place
from civicpulse.sample.loader import Kind, Part
from civicpulse.sample.world import drawn


@dataclass(frozen=True, slots=True)
class Sighting:
    """One report to come: when and where it is made, and of what."""

    at: datetime
    place: Place
    category: str
    tags: tuple[str, ...]
    asset_id: str | None


@dataclass(frozen=True, slots=True)
class Load:
    """What the city will live through; `local` is its time zone."""

    demand: Part
    kinds: dict[str, Kind]
    city: City
    local: ZoneInfo
    rng: Random

    def sightings(self, *, many: int, since: datetime, until: datetime) -> list[Sighting]:
        """Draws about `many` reports between the two moments, in order of time."""
        (cells, sums), found = self._calendar(since, until), list[Sighting]()
        while len(found) < many:
            day, category = self.rng.choices(cells, cum_weights=sums)[0]
            first = self._moment(day, self.kinds[category].hours)
            if not since <= first <= until:
                continue
            place = self.city.somewhere(self.rng, troubled=self.demand.troubled_share)
            for at in self._occurrences(category, first, until):
                found += [seen for seen in self._noticed(category, place, at) if seen.at <= until]
        return sorted(found, key=lambda seen: seen.at)

    def _calendar(self, since: datetime, until: datetime) -> tuple[list[tuple[date, str]], list[float]]:
        """Lists every (day, category), and their weights summed up."""
        first, last = since.astimezone(self.local).date(), until.astimezone(self.local).date()
        days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
        storms = _storms(self.rng, days)
        cells, sums, total = [], [], 0.0
        for day in days:
            mood = self.rng.uniform(0.8, 1.2)
            for category, kind in self.kinds.items():
                season, week = kind.months.get(day.month, 1.0), self.demand.weeks[kind.week][day.weekday()]
                weather = (
                    kind.storm if day in storms else 1 + (kind.storm - 1) / 6 * (day - timedelta(days=1) in storms)
                )
                total += kind.share * week * season * weather * mood
                cells.append((day, category))
                sums.append(total)
        return cells, sums

    def _moment(self, day: date, hours: str) -> datetime:
        rng, hour = self.rng, self.rng.choices(range(24), self.demand.hours[hours])[0]
        local = datetime(day.year, day.month, day.day, hour, rng.randrange(60), rng.randrange(60), tzinfo=self.local)
        return local.astimezone(UTC)

    def _occurrences(self, category: str, first: datetime, until: datetime) -> Iterator[datetime]:
        """Draws the moments of a trouble: the first and, at some places, its returns weeks later."""
        at = first
        while at <= until:
            yield at
            if self.rng.random() >= self.kinds[category].returns:
                return
            at += timedelta(days=self.rng.uniform(12, 40), hours=self.rng.uniform(-3, 3))

    def _noticed(self, category: str, place: Place, at: datetime) -> Iterator[Sighting]:
        """Draws the first report and those of others who see it too: mainly at the spot, some a few houses away."""
        rng, kind = self.rng, self.kinds[category]
        asset = f"{category[:2].upper()}-{rng.randrange(1000, 9999)}" if kind.has_asset and rng.random() < 0.5 else None
        yield Sighting(at, place, category, self._tags(category), asset)
        if rng.random() >= kind.noticed:
            return
        for _ in range(1 + min(6, int(rng.expovariate(0.9)))):
            later = at + timedelta(minutes=rng.lognormvariate(math.log(60), 1.6))  # half of them within the hour
            if rng.random() < 0.72:
                seen = self.city.moved(place, rng, 14)
            else:
                seen = self.city.place_on(place.street, place.metres + rng.uniform(-70, 70), rng)
            yield Sighting(later, seen, category, self._tags(category), asset if rng.random() < 0.6 else None)

    def _tags(self, category: str) -> tuple[str, ...]:
        own, rng = self.kinds[category].tags, self.rng
        tags = [rng.choice(own)] if own and rng.random() < 0.3 else []
        if rng.random() < self.demand.pressing:
            tags.append(drawn(rng, self.demand.pressing_tags))
        return tuple(tags)


def _storms(rng: Random, days: list[date]) -> set[date]:
    """Draws the days of storms: one every two or three weeks, the last a few days ago."""
    storms, number = {days[-4]}, rng.randint(4, 12)
    while number < len(days) - 8:
        storms.add(days[number])
        number += rng.randint(11, 21)
    return storms
