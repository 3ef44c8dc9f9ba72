"""Reads an address as people write it and finds its town in the gazetteer, or its region, or honestly nothing.

"Косшы / Астана", "Конаев (Капчагай)", "Mangystau obl.", "Шымкент обл. Туркестан": the first name that is a town of the
region counts. A misspelt name is guessed only within a known region, or among well-known towns, and only when one
town alone is near enough (`gazetteer`).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from rapidfuzz import fuzz, process

from civicpulse.places import gazetteer
from civicpulse.places.gazetteer import Country, Region, Town
from civicpulse.places.place import NOWHERE, AddressParts, Place, Quality
from civicpulse.places.spelling import skeleton

SOURCE = "gazetteer"
SURE_COUNTRY = 85  # similarity of skeletons, 0..100

_SEPARATORS = re.compile(r"[/,;|()\[\]\n\t«»\"“”]+|\s[-–—]\s")
# A word that says "region" of its neighbour.
_REGION_WORD = re.compile(
    r"(?:обл|област[ьи]|облыс[ыі]|oblys[yı]?|obl|oblast|region|reg|өңірі|край|province)\.?", re.IGNORECASE
)
# What stands before or after a settlement's name and is no part of it.
_KINDS = re.compile(
    r"(?<!\w)(?:г|гор|город|қ|қала|қаласы|с|сел|село|п|пос|поселок|посёлок|пгт|рп|кент|кенті|а|аул|ауыл|ауылы|ст|станция"
    r"|city|town|village|c|g|s)(?:\.\s*|\s+|$)",
    re.IGNORECASE,
)
# A district of a region or of a town, with its name before or after it.
_DISTRICT = re.compile(
    r"(?<!\S)\S{1,100}\s{1,20}(?:р-н|район|ауданы|district)(?!\w)|(?<!\w)(?:р-н|район|ауданы)\.?\s{1,20}\S{1,100}",
    re.IGNORECASE,
)
# From here on a text speaks of a place inside a town.
_STREET = re.compile(
    r"(?<!\w)(?:ул|улица|көшесі|көш|пр|пр-т|пр-кт|просп|проспект|даңғылы|пер|переулок|бул|бульвар|мкр|мкрн|мик-н|микрорайон"
    r"|ықшам\s?аудан|шағын\s?аудан|дом|д|үй|кв|оф|офис|эт|этаж|бц|бизнес-центр|тц|зд|здание|корп|каб"
    r"|street|st|ave|avenue|road|rd|apt|office|floor)(?!\w)",
    re.IGNORECASE,
)
_DIGIT = re.compile(r"\d")


@dataclass(frozen=True, slots=True)
class _Reading:
    """The names in an address: possible towns in order, and its regions."""

    towns: tuple[str, ...]
    regions: tuple[Region, ...]

    @property
    def codes(self) -> frozenset[str] | None:
        """Where the town may lie; None: anywhere."""
        return _codes(self.regions)


def _codes(regions: Sequence[Region]) -> frozenset[str] | None:
    return frozenset().union(*(region.codes for region in regions)) if regions else None


def find(parts: AddressParts, *, home: str | None = None) -> Place:
    """Finds the place of an address; `home` is the country of addresses that name none. Street and house are not looked at."""
    return _find(_clean(parts.country), _clean(parts.region), _clean(parts.town), _clean(parts.raw), home)


def _clean(text: str | None) -> str:
    return " ".join(text.split()) if text else ""


@lru_cache(maxsize=100_000)
def _find(country: str, region: str, town: str, raw: str, home: str | None) -> Place:
    code = country_code(country) if country else _named_country(region, town, raw)
    if code is not None:
        return _in_country(gazetteer.country(code), region, town, raw) or Place(None, None, "none", code, None, "none")
    if country:
        return NOWHERE  # a country was named, and it is none that we know
    at_home = _in_country(gazetteer.country(home), region, town, raw) if home else None
    return at_home or _in_world((town, raw)) or NOWHERE


def town_name(parts: AddressParts, home: str | None, language: str) -> str:
    """Names the town of an address as people of that language do; one that is not found stays as it is written."""
    return _town_name(_clean(parts.country), _clean(parts.region), _clean(parts.town), home, language)


@lru_cache(maxsize=100_000)
def _town_name(country: str, region: str, town: str, home: str | None, language: str) -> str:
    code = (country_code(country) if country else _named_country(region, town)) or home
    found = _town(known := gazetteer.country(code), _read(known, region, town, "")) if code else None
    if found is not None:
        return known.called(found, language)
    return town


def stated_town(line: str, home: str | None) -> str | None:
    """Finds the well-known town that a line says; None where it says none, or only a street that is called like one.

    "Караганда, Бухар-Жырау 1" says a town; "Астана, 16" may be a street, as the number of a house follows it.
    """
    if home is None:
        return None
    parts = [part.strip() for part in _SEPARATORS.split(line)]
    for part, following in zip(parts, [*parts[1:], ""], strict=True):
        is_street = following[:1].isdigit() or _STREET.search(part) is not None or _DIGIT.search(part) is not None
        town = None if is_street else gazetteer.country(home).town(_name(part), None)
        if town is not None and town.population >= gazetteer.FAMOUS:
            return part
    return None


def _named_country(*texts: str) -> str | None:
    """Finds the country that a part of the texts names in full."""
    names = gazetteer.country_names()
    keys = (skeleton(segment) for text in texts for segment in _segments(text))
    return next((names[key] for key in keys if len(key) > gazetteer.ABBREVIATION and key in names), None)


@lru_cache(maxsize=2_000)
def country_code(name: str) -> str | None:
    """Finds the ISO code of a country by its name in English, Russian or Kazakh, with small misspellings; else None."""
    key = skeleton(name)
    names = gazetteer.country_names()
    if key in names or len(key) < gazetteer.SHORTEST_GUESS:
        return names.get(key)
    guess = process.extractOne(key, names.keys(), scorer=fuzz.ratio, score_cutoff=SURE_COUNTRY)
    return names[guess[0]] if guess else None


def _in_country(country: Country, region: str, town: str, raw: str) -> Place | None:
    reading = _read(country, region, town, raw)
    found = _town(country, reading)
    if found is not None:
        return Place(found.lon, found.lat, "town", found.country, found.name, SOURCE)
    for known in reading.regions:
        seat = country.seat(known)
        if seat is not None:
            quality: Quality = "town" if known.is_city else "region"
            return Place(seat.lon, seat.lat, quality, seat.country, known.name, SOURCE)
    return None


def _town(country: Country, reading: _Reading) -> Town | None:
    for search in (country.town, country.guess):
        for name in reading.towns:
            found = search(name, reading.codes)
            if found is not None:
                return found
    return None


def _in_world(texts: Sequence[str]) -> Place | None:
    for text in texts:
        for name in _segments(text):
            key = skeleton(_name(name))
            towns = gazetteer.large_towns().get(key, ())
            if towns and len(key) > gazetteer.ABBREVIATION:
                town = max(towns, key=lambda one: one.population)
                return Place(town.lon, town.lat, "town", town.country, town.name, SOURCE)
    return None


def _read(country: Country, region: str, town: str, raw: str) -> _Reading:
    regions, found = list[Region](), dict[str, list[str]]()
    # The region first: a name such as "Абай" is a town where one of its towns is called so, else a region of its own.
    for field, text in (("region", region), ("town", town), ("raw", raw)):
        found[field] = []
        for segment in _segments(text):
            is_region_field = field == "region"
            _read_segment(country, segment, towns=found[field], regions=regions, is_region_field=is_region_field)
    towns = [*found["town"], *found["region"], *found["raw"]]
    return _Reading(tuple(dict.fromkeys(towns)), tuple(dict.fromkeys(regions)))


def _read_segment(
    country: Country, segment: str, *, towns: list[str], regions: list[Region], is_region_field: bool
) -> None:
    """Sorts a segment's words into `towns` and `regions`."""
    if gazetteer.country_names().get(skeleton(segment)) == country.code:
        return
    words, rest = segment.split(), list[str]()
    while words:
        word = words.pop(0)
        if not _REGION_WORD.fullmatch(word):
            rest.append(word)
            continue
        known = _ending_region(country, rest)
        if known is None and words and (following := country.region(words[0])):
            known, words = following, words[1:]
        if known is not None:
            regions.append(known)
    left = _name(" ".join(rest))
    if not left:
        return
    known = country.region(left)
    if known is not None and (is_region_field or not country.town(left, _codes(regions))):
        regions.append(known)
    else:
        towns.append(left)


def _ending_region(country: Country, words: list[str]) -> Region | None:
    """Finds the region that the last words name, taken off `words`: the longest name that is one."""
    for start in range(max(0, len(words) - 3), len(words)):
        known = country.region(_name(" ".join(words[start:])))
        if known is not None:
            del words[start:]
            return known
    return None


def _segments(text: str) -> Iterator[str]:
    """Finds the parts of a text that may name a settlement or a region."""
    for segment in _SEPARATORS.split(text):
        plain = _STREET.split(_DISTRICT.sub(" ", segment), maxsplit=1)[0].strip(" .")
        if plain and not _DIGIT.search(plain):
            yield plain


def _name(text: str) -> str:
    """Gives a name without "г.", "село", "ауылы" and their like."""
    name = _KINDS.sub(" ", text).strip(" .")
    return " ".join(name.split())
